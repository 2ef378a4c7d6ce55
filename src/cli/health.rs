//! `trackside health`: asks the service on this machine whether it can take requests, as a container's engine does.

use anstream::println;
use serde_json::json;

use super::client::{self, Server};
use crate::{
    config::Config,
    error::{Code, Error, Result},
};

pub(super) async fn run(config: &Config, json: bool) -> Result<()> {
    let server = Server::at(config.listen);
    let (status, body) = client::read(server.send("GET", "/health/ready", &[], Vec::new()).await?).await;
    if !status.is_success() {
        let state = body["status"].as_str().unwrap_or("it did not say how it is");
        let words = format!("{server} is not ready ({state}): its log, and {server}/health, say why");
        return Err(Error::new(Code::Unavailable, words));
    }
    if json {
        println!("{:#}", json!({"status": "ready"}));
    } else {
        println!("{server} is ready");
    }
    Ok(())
}
