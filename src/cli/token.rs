//! `trackside token`: the keys that access tokens are signed with.

use std::sync::Arc;

use anstream::{eprintln, println};
use clap::Subcommand;
use serde_json::json;

use super::say::{DIM, RESET, YELLOW};
use crate::{
    accounts::tokens::{self, Rotated, Rotation},
    app::App,
    error::{Error, Result},
};

#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Let the next key sign tokens from now on; those that are in use stay good until they expire
    Rotate {
        /// The present key is known to somebody: also end every token that it signed, within a second
        #[arg(long)]
        leaked: bool,
    },
}

pub(super) async fn run(app: &Arc<App>, command: TokenCommand, json: bool) -> Result<()> {
    let TokenCommand::Rotate { leaked } = command;
    let how = if leaked { Rotation::Leaked } else { Rotation::Now };
    let rotated = tokens::rotate(app, how).await?;
    let Rotated { kid, is_early } =
        rotated.ok_or_else(|| Error::internal("no key signs after a rotation"))?;
    if json {
        println!("{:#}", json!({"kid": kid}));
        return Ok(());
    }
    println!("{kid}");
    eprintln!("{DIM}This key signs from the next second on. The next one is published beside it.{RESET}");
    if is_early {
        eprintln!(
            "{YELLOW}It was published only a while ago: whoever else verifies tokens, and keeps /.well-known/jwks.json, may \
             refuse new ones for up to an hour.{RESET}"
        );
    }
    Ok(())
}
