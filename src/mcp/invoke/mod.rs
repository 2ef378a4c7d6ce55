//! An older protocol than MCP, for clients that speak it and have not moved yet: five tools by dotted names, called by
//! plain JSON over `POST /mcp/invoke`, listed at `GET /mcp/tools`, beside `GET /mcp/health`.
//!
//! It is a thin layer. Each tool ([`tools`]) is an operation that MCP's tools and the REST routes have too, in the shape
//! that its clients know ([`shapes`]). A call goes the way of every other one ([`Call`]): credential, token bucket, scope,
//! the project's reach, the operation, and one record that is durable before the answer (P6); also a call of no such tool
//! and one that nobody can make sense of ([`envelope`]). Who comes with nothing valid leaves none, as at `/mcp`.
//!
//! A refusal is a problem document like all others, and says the same once more in the older words ([`refusal`]). Names
//! that are spelled in another way than ours are understood here and nowhere else.

mod envelope;
mod gates;
mod refusal;
mod shapes;
mod stories;
mod tools;

use std::sync::Arc;

use bytes::Bytes;
use poem::{
    Endpoint, EndpointExt as _, IntoResponse as _, Request, Response, RouteMethod, get, handler,
    http::StatusCode,
    post,
    web::{Data, Json},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use self::{
    envelope::Envelope,
    tools::{Asked, Older, TABLE},
};
use super::{
    call::Call,
    http::{admit, check_host, hosts},
    text,
};
use crate::{
    accounts::{self, Principal},
    admission::Noted,
    app::App,
    audit::{self, CallRecord},
    error::{Code, Error, Result},
    sender::Sender,
};

/// What a call is recorded as whose tool nobody can read.
const UNREAD: &str = "mcp/invoke";
/// Characters of one text in an answer.
const TEXT: usize = 500;

/// Answers `GET /mcp/health`: whether calls can be answered at all, to anybody.
#[handler]
pub(crate) async fn show_health(app: Data<&Arc<App>>) -> Response {
    let (status, word) = match app.database.ping().await {
        Ok(()) => (StatusCode::OK, "healthy"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
    };
    Json(json!({ "status": word, "version": env!("CARGO_PKG_VERSION") })).with_status(status).into_response()
}

/// `GET /mcp/tools`: what there is to call, for whoever comes with a key.
pub(crate) fn mount_list(app: Arc<App>) -> impl Endpoint<Output = Response> + 'static {
    guarded(app, get(list_tools))
}

/// `POST /mcp/invoke`: the calls.
pub(crate) fn mount_invoke(app: Arc<App>) -> impl Endpoint<Output = Response> + 'static {
    guarded(app, post(invoke))
}

fn guarded(app: Arc<App>, route: RouteMethod) -> impl Endpoint<Output = Response> + 'static {
    let hosts = Arc::new(hosts(&app.public_url()));
    route.around(move |endpoint, request| guard(Arc::clone(&app), Arc::clone(&hosts), endpoint, request))
}

/// Lets a request through as `/mcp` does, and refuses one in the older words.
async fn guard<E: Endpoint>(
    app: Arc<App>,
    hosts: Arc<Vec<String>>,
    endpoint: Arc<E>,
    mut request: Request,
) -> poem::Result<Response> {
    let admitted = admit(&app, &mut request).await;
    if let Err(error) = admitted.and_then(|()| check_host(&hosts, &request)) {
        let error = match error.code {
            Code::Unauthenticated => {
                refusal::of_credential(error, accounts::what_is_amiss(&app, request.headers()))
            }
            _ => error,
        };
        return Err(refusal::told(error).into());
    }
    match endpoint.call(request).await {
        Ok(response) => Ok(response.into_response()),
        Err(error) => Err(match error.downcast::<Error>() {
            Ok(error) => refusal::told(error).into(),
            Err(error) => error,
        }),
    }
}

#[handler]
fn list_tools(_app: Data<&Arc<App>>) -> Json<Value> {
    let tools: Value = TABLE.iter().map(Older::shown).collect();
    Json(json!({ "tools": tools }))
}

#[handler]
async fn invoke(app: Data<&Arc<App>>, request: &Request, body: Bytes) -> Result<Json<Value>> {
    let principal = request.extensions().get::<Arc<Principal>>().cloned();
    let principal = principal.ok_or_else(|| Error::internal("the mount does not authenticate"))?;
    let is_json = request.content_type().is_some_and(|kind| kind.starts_with("application/json"));
    let envelope = Envelope::read(is_json, &body);
    let arguments = envelope.as_ref().ok().and_then(|envelope| envelope.arguments.as_ref().ok());
    let call = Call {
        app: Arc::clone(app.0),
        principal,
        sender: request.extensions().get::<Sender>().cloned().unwrap_or_default(),
        tool: envelope.as_ref().map_or(UNREAD, |envelope| &*envelope.tool).to_owned(),
        fingerprint: audit::fingerprint(arguments.unwrap_or(&Value::Null)),
        project: arguments.and_then(envelope::project_of),
        noted: Noted::of(request),
        cancelled: CancellationToken::new(), // a client that goes away drops this future
    };
    let Envelope { tool, arguments } = match envelope {
        Ok(envelope) => envelope,
        Err(error) => return Err(call.unknown(error).await),
    };
    let Some(row) = TABLE.iter().find(|row| row.name == tool) else {
        return Err(call.unknown(refusal::no_tool(&tool)).await);
    };
    let mut data = answer(row, call, arguments).await?;
    text::clean(&mut data, TEXT);
    Ok(Json(json!({ "success": true, "data": data })))
}

/// Calls a tool; arguments that make no sense are refused where its other refusals are, behind scope and limit.
async fn answer(row: &'static Older, call: Call, arguments: Result<Value>) -> Result<Value> {
    let record = if row.writes { call.record(row.scope) } else { CallRecord::none() };
    let (app, principal) = (Arc::clone(&call.app), Arc::clone(&call.principal));
    let (caller, written) = (Arc::clone(&principal), record.clone());
    let work = async move {
        let asked = Asked { app, principal, record: written, arguments: arguments? };
        (row.call)(asked).await
    };
    let answered = call.run_tool(row.scope, record, work).await;
    answered.map_err(|error| match error.code {
        Code::InsufficientScope => refusal::of_scope(error, row.scope, &caller.scopes),
        _ => error,
    })
}
