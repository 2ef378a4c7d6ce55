//! Gates: what has to hold before a phase or a work item is complete, and who may say that it does.

mod configuration;
mod items;
mod pair;
mod phases;
mod property;
mod sheet;

use serde_json::{Value, json};

use crate::support::{Project, Server, repository::READS_FILES, text};

/// A server that reads repositories.
async fn server() -> Server {
    Server::start_with(&READS_FILES).await
}

impl Project {
    /// Every gate, oldest first.
    async fn gates(&self) -> Vec<Value> {
        self.all("/gates").await
    }

    /// The gate of a name, of a phase or of the only work item that has one.
    async fn gate(&self, name: &str) -> Value {
        let gates = self.gates().await;
        let found = gates.iter().find(|gate| gate["name"] == name);
        found.unwrap_or_else(|| panic!("no gate {name}: {gates:?}")).clone()
    }

    /// How the gate of a name stands.
    async fn stands(&self, name: &str) -> String {
        text(&self.gate(name).await["status"])
    }

    /// How far the phases are, in their order, and which is the current one.
    async fn shares(&self) -> (Vec<u64>, Value) {
        let progress = self.client.get(&self.path("/phase-progress")).await.expect(200).json;
        let shares = progress["phases"].as_array().unwrap().iter();
        (
            shares.map(|phase| phase["percentage"].as_u64().unwrap()).collect(),
            progress["currentPhase"].clone(),
        )
    }

    /// Has the project ask for these gates, and for no others.
    async fn asks_for(&self, gates: Value) {
        let mut config = self.client.get(&self.path("")).await.expect(200).json["config"].take();
        config["gates"] = gates;
        self.client.patch(&self.path(""), json!({"config": config})).await.expect(200);
    }

    /// Gives a work item a gate that waits for somebody's review.
    async fn reviewed(&self, item: &Value, name: &str) -> Value {
        let gate = json!({"workItemId": item["id"], "name": name, "check": "manual_review"});
        self.client.post(&self.path("/gates"), gate).await.expect(201).json
    }

    fn decision_path(&self, gate: &Value) -> String {
        self.path(&format!("/gates/{}/decision", text(&gate["id"])))
    }

    /// What the log tells of gates: each name, and from what to what.
    async fn turns(&self) -> Vec<String> {
        let told = self.told("gate_evaluated").await;
        let words =
            |turn: &Value| format!("{} {} {}", text(&turn["name"]), text(&turn["from"]), text(&turn["to"]));
        told.iter().map(words).collect()
    }
}
