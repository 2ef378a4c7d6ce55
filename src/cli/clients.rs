//! `trackside client`: the clients that sign people in.

use std::{io::Read as _, path::PathBuf, sync::Arc};

use anstream::println;
use clap::Subcommand;
use serde_json::{Value, json};

use super::say::{BOLD, DIM, RESET};
use crate::{
    accounts::oauth::{
        clients::{self, Client},
        redirect::RedirectUri,
    },
    app::App,
    error::{Error, Result},
};

#[derive(Subcommand)]
pub(super) enum ClientCommand {
    /// Register a client, or give a registered one another document; prints its id
    ///
    /// Clients whose documents this machine can fetch need not be registered.
    Add {
        /// Its metadata document, a JSON file with client_id, client_name and redirect_uris; - for standard input
        #[arg(long, value_name = "FILE")]
        metadata: PathBuf,
    },
    /// List the clients that are registered, and those whose documents are kept for now
    List,
    /// Remove a registered client, and end what people let it do
    Remove {
        /// Its id
        client_id: String,
    },
}

pub(super) async fn run(app: &Arc<App>, command: ClientCommand, json: bool) -> Result<()> {
    match command {
        ClientCommand::Add { metadata } => {
            let client = clients::register(app, read(&metadata)?).await?;
            if json { println!("{:#}", show(&client)) } else { println!("{}", client.id) }
        }
        ClientCommand::List => {
            let clients = clients::list(app).await?;
            if json {
                println!("{:#}", clients.iter().map(show).collect::<Value>());
            } else {
                clients.iter().for_each(|client| {
                    let (style, state) =
                        if client.is_registered { (BOLD, "registered") } else { (DIM, "fetched") };
                    println!("{style}{}{RESET}  {state:<10}  {}", client.id, client.name);
                });
            }
        }
        ClientCommand::Remove { client_id } => {
            clients::remove(app, &client_id).await?;
            if json {
                println!("{:#}", json!({"clientId": client_id}))
            } else {
                println!("removed {client_id}")
            }
        }
    }
    Ok(())
}

fn read(path: &PathBuf) -> Result<Value> {
    let bad =
        |error: &dyn std::fmt::Display| Error::invalid(format!("--metadata {}: {error}", path.display()));
    let text = if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    serde_json::from_str(&text.map_err(|error| bad(&error))?).map_err(|error| bad(&error))
}

fn show(client: &Client) -> Value {
    json!({
        "clientId": client.id,
        "clientName": client.name,
        "redirectUris": client.redirect_uris.iter().map(RedirectUri::as_str).collect::<Vec<_>>(),
        "registered": client.is_registered,
    })
}
