//! An AI agent: what an MCP client sends for it.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{
    Client,
    client::{Answer, answer},
};

/// A revision of the protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Revision {
    /// 2025-11-25
    Older,
    /// 2026-07-28
    Newest,
}

/// An agent: what an MCP client sends for it.
pub(crate) struct Agent {
    client: Client,
    revision: Revision,
}

impl Agent {
    pub(crate) fn new(client: &Client, revision: Revision) -> Self {
        Self { client: client.clone(), revision }
    }

    /// A request of the newest revision, which stands alone.
    pub(crate) fn message(id: u64, method: &str, mut params: Value) -> Value {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "agent", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
    }

    /// A request of the protocol, not sent yet.
    pub(crate) fn request(&self, method: &str, params: Value) -> RequestBuilder {
        let mut request = self.client.request(Method::POST, "/mcp");
        request = request.header("accept", "application/json, text/event-stream");
        let (version, body) = match self.revision {
            Revision::Older => {
                ("2025-11-25", json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
            }
            Revision::Newest => {
                request = request.header("mcp-method", method);
                if let Some(name) = params["name"].as_str().or(params["uri"].as_str()) {
                    request = request.header("mcp-name", name);
                }
                ("2026-07-28", Self::message(1, method, params))
            }
        };
        request.header("mcp-protocol-version", version).json(&body)
    }

    /// Sends a request of the protocol.
    pub(crate) async fn send(&self, method: &str, params: Value) -> Answer {
        answer(self.request(method, params)).await
    }

    /// Calls a tool; gives its result.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        let mut answer =
            self.send("tools/call", json!({"name": tool, "arguments": arguments})).await.expect(200);
        answer.json["result"].take()
    }

    /// What a tool answers, if it does what it was asked.
    pub(crate) async fn get(&self, tool: &str, arguments: Value) -> Value {
        let mut result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], false, "{result}");
        let told: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(told, result["structuredContent"], "either alone is enough");
        result["structuredContent"].take()
    }

    /// The code with which a tool refuses.
    pub(crate) async fn refused(&self, tool: &str, arguments: Value) -> Value {
        let mut result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], true, "{result}");
        result["structuredContent"].take()
    }
}
