//! The SDK that the service is built on, behind the same accept loop: a server whose tool answers what it is asked.

use std::{sync::Arc, time::Duration};

use poem::{Endpoint, EndpointExt as _, IntoResponse as _, Response, endpoint::TowerCompatExt as _};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock},
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use trackside::server;

use crate::Result;

/// Serves it until the process is ended.
pub(crate) async fn serve_echo(port: u16) -> Result<()> {
    let config =
        StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let service = StreamableHttpService::new(|| Ok(Echo), Arc::new(NeverSessionManager::default()), config);
    let mount = service.compat().around(|mount, request| async move {
        match request.uri().path() {
            "/mcp" => Ok(mount.call(request).await?.into_response()),
            _ => Ok(Response::builder().body("ready")),
        }
    });
    let listener = server::bind(([127, 0, 0, 1], port).into())?;
    server::serve(listener, mount, 10_000, CancellationToken::new(), Duration::ZERO).await;
    Ok(())
}

#[derive(Clone)]
struct Echo;

impl ServerHandler for Echo {
    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> std::result::Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let text = arguments.get("text").and_then(Value::as_str).unwrap_or_default();
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }
}
