//! `trackside health`: asks the service on this machine whether it can take requests, as a container's engine does.

use anstream::println;
use serde_json::json;

use super::client::{self, Server};
use crate::{config::Config, error::Result};

pub(super) async fn run(config: &Config, json: bool) -> Result<()> {
    let server = Server::at(config.listen);
    let (status, body) = client::read(server.send("GET", "/health/ready", &[], Vec::new()).await?).await;
    if !status.is_success() {
        return Err(client::refused(status, &body));
    }
    if json {
        println!("{:#}", json!({"status": "ready"}));
    } else {
        println!("{server} is ready");
    }
    Ok(())
}
