//! Health, metrics, specification, and the manners that every answer has.

use serde_json::json;
use trackside::config::SETTINGS;

use crate::support::{Server, text};

#[tokio::test]
async fn health_tells_of_the_database_and_leaves_out_what_is_not_configured() {
    let server = Server::start_with(&[("REDIS_URL", "")]).await;
    let nobody = server.stranger();
    let engine = if server.place.is_postgres() { "postgres" } else { "sqlite" };
    for path in ["/health", "/api/health"] {
        let health = nobody.get(path).await.expect(200).json;
        assert_eq!(health["status"], "healthy");
        assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
        let database = &health["infrastructure"]["database"];
        assert_eq!((&database["status"], &database["storeType"]), (&json!("healthy"), &json!(engine)));
        assert!(database["latencyMs"].is_number() && database["poolTotal"].is_number());
        assert!(health["infrastructure"].get("redis").is_none());
    }
    assert_eq!(nobody.get("/health/live").await.expect(200).json["status"], "healthy");
    assert_eq!(nobody.get("/health/ready").await.expect(200).json["status"], "healthy");
}

#[tokio::test]
async fn a_service_that_stops_is_not_ready_while_requests_in_flight_finish() {
    let server = Server::start().await;
    let stranger = server.stranger();
    stranger.get("/health/ready").await.expect(200);
    // An open connection outlives the moment at which stopping begins.
    server.service.app.shutdown.cancel();
    if let Ok(answer) = stranger.request(reqwest::Method::GET, "/health/ready").send().await {
        assert_eq!(answer.status(), 503);
    }
    server.service.stop().await;
}

#[tokio::test]
async fn metrics_count_deliveries_and_requests() {
    let server = Server::start().await;
    let project = server.project().await;
    project.deliver_bytes("d-1", "ping", b"{}".to_vec()).await.expect(202);
    project.deliver_bytes("d-2", "push", b"null".to_vec()).await.expect(202);
    project.settled().await;
    let metrics = server.stranger().get("/metrics").await.expect(200).body;
    assert!(
        metrics.contains(r#"trackside_deliveries_total{outcome="accepted",source="github"} 2"#),
        "{metrics}"
    );
    assert!(metrics.contains("trackside_http_request_seconds_bucket"));
    assert!(metrics.contains(r#"trackside_jobs{state="failed"} 1"#), "{metrics}");
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let server = Server::start().await;
    let nobody = server.stranger();
    for path in ["/nowhere", "/api/v1/nowhere", "/api/v2/projects", "/webhooks/github"] {
        nobody.get(path).await.refused(404, "not_found");
    }
    nobody.delete("/api/v1/projects").await.refused(405, "method_not_allowed");
    nobody.get("/api/v1/projects/not-an-id").await.refused(401, "unauthenticated");
    let acme = server.tenant("Acme").await;
    acme.client.get("/api/v1/projects/not-an-id").await.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_request_keeps_the_id_it_came_with_if_that_can_be_logged() {
    let server = Server::start().await;
    for (sent, kept) in [("my-id_1.2", true), ("has space", false), (&"x".repeat(101), false)] {
        let request =
            server.stranger().request(reqwest::Method::GET, "/nowhere").header("x-request-id", sent);
        let answer = crate::support::client::answer(request).await;
        let given = answer.headers["x-request-id"].to_str().unwrap();
        assert_eq!(given == sent, kept);
        assert_eq!(text(&answer.json["requestId"]), given);
    }
}

#[tokio::test]
async fn browsers_of_other_origins_are_let_in_only_where_that_is_set() {
    let asks = async |server: &Server, origin: &str| {
        let request = server.stranger().request(reqwest::Method::OPTIONS, "/api/v1/projects");
        let request = request.header("origin", origin).header("access-control-request-method", "GET");
        request.send().await.unwrap().headers().get("access-control-allow-origin").is_some()
    };
    assert!(!asks(&Server::start().await, "https://evil.example").await);
    let server =
        Server::start_with(&[("TRACKSIDE_ALLOWED_ORIGINS", "https://good.example, https://other.example/")])
            .await;
    assert!(asks(&server, "https://good.example").await);
    assert!(asks(&server, "https://other.example").await);
    assert!(!asks(&server, "https://evil.example").await);
}

#[tokio::test]
async fn the_services_own_pages_are_no_other_origin() {
    let server = Server::start().await;
    let own = format!("http://{}", server.service.address);
    for (origin, is_taken) in [(own.as_str(), true), ("http://evil.example", false)] {
        let request =
            server.stranger().request(reqwest::Method::GET, "/health/live").header("origin", origin);
        assert_eq!(request.send().await.unwrap().status().is_success(), is_taken, "{origin}");
    }
}

#[tokio::test]
async fn the_committed_specification_is_the_one_that_is_served() {
    let committed = include_str!("../../openapi/openapi.json");
    let committed: serde_json::Value = serde_json::from_str(committed).unwrap();
    let server = Server::start().await;
    let served = server.stranger().get("/openapi.json").await.expect(200).json;
    assert!(served == committed, "run: cargo run -- openapi > openapi/openapi.json");
}

#[test]
fn every_operation_that_takes_anything_documents_how_it_refuses() {
    let specification = trackside::http::specification();
    for (path, methods) in specification["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let takes = operation.get("parameters").is_some() || operation.get("requestBody").is_some();
            let refusal = &operation["responses"]["400"]["content"]["application/problem+json"];
            assert!(!takes || refusal.is_object(), "{method} {path}");
            let body = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            if let Some(schema) = body.as_str() {
                let schema = schema.rsplit('/').next().unwrap();
                let example = &specification["components"]["schemas"][schema]["example"];
                assert!(example.is_object(), "{schema} has an example");
            }
            assert!(operation["responses"].as_object().unwrap().keys().any(|status| status.starts_with('2')));
        }
    }
}

#[tokio::test]
async fn the_documentation_page_needs_nothing_from_elsewhere() {
    let server = Server::start().await;
    let page = server.stranger().get("/docs").await.expect(200).body;
    for elsewhere in [" src=\"http", " href=\"http", "@import", "url(http"] {
        assert!(!page.contains(elsewhere), "the page loads something by {elsewhere}");
    }
    assert!(page.contains("swagger"));
}

#[test]
fn the_example_environment_names_every_setting_with_its_default() {
    let example = include_str!("../../.env.example");
    let lines: Vec<_> = example.lines().filter(|line| !line.starts_with("# ") && !line.is_empty()).collect();
    let settings: Vec<_> =
        SETTINGS.iter().map(|setting| format!("#{}={}", setting.name, setting.default)).collect();
    assert_eq!(lines, settings);
}
