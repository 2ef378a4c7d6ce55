//! The doors of the service as everybody else goes through them, over HTTP; and how is told what went in.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{
    super::{
        client::{self, Server},
        say::{BOLD, CYAN, DIM, RED, RESET},
    },
    print,
};
use crate::{
    demo::{
        cast::Agent,
        play::Playing,
        stage::{Doors, PROGRAM, Told},
    },
    error::Result,
};

/// The revision of the protocol that the agents' client speaks.
const REVISION: &str = "2026-07-28";

/// A connection for each request.
pub(super) struct Wire {
    pub(super) server: Server,
    pub(super) json: bool,
}

impl Doors for Wire {
    async fn post(
        &self,
        project: &Playing,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    ) -> Result<(u16, Value)> {
        let path = format!("/webhooks/{}/{}", project.source, project.id);
        let (status, answer) = client::read(self.server.send("POST", &path, &headers, body).await?).await;
        match status.as_u16() {
            202 | 401 => Ok((status.as_u16(), answer)),
            _ => Err(client::refused(status, &answer)),
        }
    }

    async fn call(&self, agent: &Agent, tool: &'static str, arguments: Value) -> Result<(bool, Value)> {
        let about_the_client = json!({
            "io.modelcontextprotocol/protocolVersion": REVISION,
            "io.modelcontextprotocol/clientInfo": { "name": agent.name, "version": env!("CARGO_PKG_VERSION") },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({ "name": tool, "arguments": arguments, "_meta": about_the_client });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let headers = [
            ("authorization", format!("Bearer {}", agent.key.expose_secret())),
            ("accept", "application/json, text/event-stream".to_owned()),
            ("content-type", "application/json".to_owned()),
            ("user-agent", PROGRAM.to_owned()),
            ("mcp-protocol-version", REVISION.to_owned()),
            ("mcp-method", "tools/call".to_owned()),
            ("mcp-name", tool.to_owned()),
        ];
        let body = message.to_string().into_bytes();
        let answer = self.server.send("POST", "/mcp", &headers, body).await?;
        let (_, mut answer) = client::read(answer).await;
        let is_done = answer["result"]["isError"] == false;
        if answer["result"].is_object() {
            answer = answer["result"]["structuredContent"].take();
        }
        // What is refused before it gets to any tool is a problem document, which has a code too.
        Ok((is_done, answer))
    }

    fn tell(&self, told: &Told<'_>) -> Result<()> {
        print(&if self.json { to_json(told).to_string() } else { to_line(told) })
    }
}

fn to_json(told: &Told<'_>) -> Value {
    match told {
        Told::Delivery { project, sample, delivery_id, status, answer } => json!({
            "type": if *status == 202 { "delivery" } else { "refused" },
            "project": project.name, "source": project.source, "event": sample.event, "about": sample.about,
            "deliveryId": delivery_id, "status": status, "outcome": answer["status"],
        }),
        Told::Act { project, agent, tool, about, refused } => json!({
            "type": "act", "project": project.name, "agent": agent, "tool": tool, "about": about,
            "ok": refused.is_none(), "code": refused,
        }),
    }
}

fn to_line(told: &Told<'_>) -> String {
    match told {
        Told::Delivery { project, sample, status: 202, answer, .. } => {
            let (name, about, outcome) =
                (project.name, &sample.about, answer["status"].as_str().unwrap_or_default());
            format!("{CYAN}→{RESET} {BOLD}{name:<7}{RESET} {about} {DIM}→ 202 {outcome}{RESET}")
        }
        Told::Delivery { project, sample, status, .. } => {
            let (name, about) = (project.name, &sample.about);
            format!(
                "{RED}→{RESET} {BOLD}{name:<7}{RESET} {about}, with a wrong signature {DIM}→ {status}{RESET}"
            )
        }
        Told::Act { project, agent, tool, about, refused } => {
            let name = project.name;
            let outcome = refused.map(|code| format!(" {RED}→ {code}{RESET}")).unwrap_or_default();
            format!("{CYAN}◆{RESET} {BOLD}{name:<7}{RESET} {agent} {tool} {DIM}{about}{RESET}{outcome}")
        }
    }
}
