//! Runs: what agents run, what is lost, and what the states of a host's runs come to in any order.

mod agents;
mod lost;
mod states;

use serde_json::{Value, json};
use trackside::{
    accounts::{NewKey, Role},
    runs,
};

use crate::support::{Client, Project, Server, any_key, text};

/// An agent in a project's tenant.
async fn agent(server: &Server, project: &Project, name: &str) -> Client {
    let key = NewKey { name: name.into(), role: Role::Member, ..any_key() };
    server.client(&server.key(project.tenant.id, key).await)
}

/// Begins a run.
async fn begin(agent: &Client, project: &Project, body: Value) -> Value {
    agent.post(&project.path("/runs"), body).await.expect(201).json
}

/// Where a run is.
fn path_of(project: &Project, run: &Value) -> String {
    project.path(&format!("/runs/{}", text(&run["id"])))
}

/// How a run stands.
async fn status(project: &Project, run: &Value) -> String {
    text(&project.client.get(&path_of(project, run)).await.expect(200).json["status"])
}

/// Has an instance look for runs whose deadline has passed, as it does every few seconds.
async fn sweep(server: &Server) {
    runs::worker::close_lost(&server.service.app).await.unwrap();
}

/// What the log says of runs: names of events with the status that they tell.
async fn told(project: &Project) -> Vec<(String, String)> {
    let events = project.events().await;
    let of_runs = events.iter().filter(|event| text(&event["event"]).starts_with("run_"));
    of_runs.map(|event| (text(&event["event"]), text(&event["payload"]["status"]))).collect()
}

/// The same, as a test writes it.
fn are(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, status)| ((*name).to_owned(), (*status).to_owned())).collect()
}

/// Something to begin.
fn work() -> Value {
    json!({"name": "implement 1.2"})
}
