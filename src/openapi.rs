//! What the specification says beyond what poem-openapi can generate.
//!
//! That open routes need no credential; that an optional property may be null, which is how this service writes
//! what is not known; which problems an operation can have, by what it takes; and what [`admission`] adds to all
//! operations of the API: idempotency keys and limits.
//!
//! [`admission`]: crate::admission

use serde_json::{Map, Value, json};

use crate::admission::IDEMPOTENCY_KEY;

const API: &str = "/api/v1/";

/// Completes a specification as poem-openapi generates it.
pub fn complete(mut specification: Value) -> Value {
    if let Some(paths) = specification["paths"].as_object_mut() {
        for (path, methods) in paths {
            for (method, operation) in methods.as_object_mut().into_iter().flatten() {
                complete_operation(path, method, operation);
            }
        }
    }
    for schema in specification["components"]["schemas"].as_object_mut().into_iter().flat_map(Map::values_mut)
    {
        complete_schema(schema);
    }
    specification["components"]["parameters"] = json!({ "IdempotencyKey": {
        "name": IDEMPOTENCY_KEY,
        "in": "header",
        "required": false,
        "description": "A name for this request, chosen by the client: sent again with it within 24 hours, the \
            request has one effect and the same answer.",
        "schema": { "type": "string", "minLength": 1, "maxLength": 200 },
    }});
    specification["components"]["headers"] = json!({
        "RateLimit": limit_header("What is left: `\"rest\";r=599;t=1`, tokens and seconds until there are all of them.", "string"),
        "RateLimitPolicy": limit_header("The limit: `\"rest\";q=600;w=60`, tokens and seconds in which they come.", "string"),
        "XRateLimitLimit": limit_header("The limit, in the older form.", "integer"),
        "XRateLimitRemaining": limit_header("What is left, in the older form.", "integer"),
    });
    specification
}

fn limit_header(about: &str, kind: &str) -> Value {
    json!({ "description": about, "schema": { "type": kind } })
}

fn complete_operation(path: &str, method: &str, operation: &mut Value) {
    if operation.get("security").is_none() {
        operation["security"] = json!([]);
    }
    let is_api = path.starts_with(API);
    let is_write = !matches!(method, "get" | "head");
    let is_limited = is_api || path.starts_with("/webhooks/");
    if is_api && is_write {
        let key = json!({ "$ref": "#/components/parameters/IdempotencyKey" });
        match operation["parameters"].as_array_mut() {
            Some(parameters) => parameters.push(key),
            None => operation["parameters"] = json!([key]),
        }
    }
    let takes_body = operation.get("requestBody").is_some();
    let has_version = operation["parameters"]
        .as_array()
        .is_some_and(|parameters| parameters.iter().any(|parameter| parameter["name"] == "If-Match"));
    let replays = path.ends_with("/replay");
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    responses.retain(|status, _| match status.as_str() {
        "401" => is_limited,
        "403" => is_api,
        "404" => path.contains('{'),
        "409" | "422" => is_api && is_write,
        "410" => replays,
        "412" => has_version,
        "413" => takes_body || (is_api && is_write),
        "415" => takes_body && is_api,
        "429" => is_limited,
        _ => true,
    });
    for response in responses.values_mut().filter(|_| is_limited) {
        if response.get("headers").is_none() {
            response["headers"] = json!({});
        }
        for (name, header) in [
            ("RateLimit", "RateLimit"),
            ("RateLimit-Policy", "RateLimitPolicy"),
            ("X-RateLimit-Limit", "XRateLimitLimit"),
            ("X-RateLimit-Remaining", "XRateLimitRemaining"),
        ] {
            response["headers"][name] = json!({ "$ref": format!("#/components/headers/{header}") });
        }
    }
}

fn complete_schema(schema: &mut Value) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        // In OpenAPI 3.0 only a property with a type of its own can be marked so.
        if !required.contains(&json!(name)) && property.get("type").is_some() {
            property["nullable"] = json!(true);
        }
    }
    if let Some(example) = schema.get_mut("example").and_then(Value::as_object_mut) {
        example.retain(|_, value| !value.is_null());
    }
}
