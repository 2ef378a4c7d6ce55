//! `trackside master-key`: another master key in the place of the present one.

use std::path::PathBuf;

use anstream::{eprintln, println};
use clap::Subcommand;
use serde_json::json;

use super::say::{DIM, GREEN, RESET, YELLOW};
use crate::{
    clock::{Clock, Ids},
    config::Config,
    database::{Database, Migrate},
    error::{Error, Result},
    installation,
    master_key::MasterKey,
    security::{self, Actor, SecurityAction, SecurityEvent},
};

#[derive(Subcommand)]
pub(super) enum MasterKeyCommand {
    /// Make a new master key and put it in the present one's place; instances that run go on, and start with it next time
    Rotate {
        /// Where the new key is, if the present one comes from a setting; whoever made it keeps it
        #[arg(long, value_name = "FILE")]
        new_key_file: Option<PathBuf>,
    },
}

pub(super) async fn run(config: &Config, command: &MasterKeyCommand, json: bool) -> Result<()> {
    let MasterKeyCommand::Rotate { new_key_file } = command;
    let steps = Database::migrate(&config.database, Migrate::Status).await?;
    if steps.iter().any(|step| !step.applied) {
        let why =
            "there is no installation of this version in the database; the first start makes or mends it";
        return Err(Error::invalid(why));
    }
    let given = new_key_file.as_deref().map(MasterKey::read).transpose()?;
    let database = Database::open(config).await?;
    let clock = Clock::system();
    let ids = Ids::system(clock.clone());
    let rotated = installation::rotate_master_key(config, &database, &ids, given).await;
    if rotated.is_ok() {
        let event =
            || SecurityEvent::at(&ids, clock.now(), Actor::system(), SecurityAction::MasterKeyRotated);
        security::note_everywhere(&database, event).await;
    }
    database.close().await;
    match rotated? {
        None => {
            if json {
                println!("{:#}", json!({"keyFile": null}));
            }
            eprintln!(
                "{GREEN}✓{RESET} This is the master key now. Put it where TRACKSIDE_MASTER_KEY comes from, for every"
            );
            eprintln!("instance. {YELLOW}The next start needs it.{RESET}");
        }
        Some(path) if json => println!("{:#}", json!({"keyFile": path})),
        Some(path) => {
            println!("{}", path.display());
            eprintln!(
                "{GREEN}✓{RESET} A new master key is there. Instances on other machines need it when they start."
            );
            eprintln!(
                "{DIM}The old one lies beside it, with its id behind the name: backups of before need it."
            );
            eprintln!("Keep it with them, or remove it.{RESET}");
        }
    }
    Ok(())
}
