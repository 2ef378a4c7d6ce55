//! `trackside copy`: an installation moves to another database.

use std::io::IsTerminal as _;

use anstream::{eprint, eprintln, println};
use clap::Args;
use serde_json::{Value, json};

use super::say::{BOLD, GREEN, RESET, YELLOW};
use crate::{
    artifacts::search,
    clock::{Clock, Ids},
    config::{Config, DatabaseUrl},
    database::{
        Database,
        copy::{self, Copied},
    },
    error::{Error, Result},
    installation,
    master_key::KEY_FILE,
};

#[derive(Args)]
pub(super) struct CopyArgs {
    /// The database to copy, such as sqlite://data/trackside.db; no service may use it meanwhile
    #[arg(long, value_name = "URL")]
    from: String,
}

pub(super) async fn run(config: Config, args: CopyArgs, json: bool) -> Result<()> {
    // Here rather than by clap, which would repeat the password of an address that it does not understand.
    let from: DatabaseUrl =
        args.from.parse().map_err(|why: String| Error::invalid(format!("--from: {why}")))?;
    copy::prepare(&from, &config.database).await?;
    let source = Config { database: from, ..config.clone() };
    let (from, to) = (Database::open(&source).await?, Database::open(&config).await?);
    let is_watched = !json && std::io::stderr().is_terminal();
    let mut tell = |copied: &Copied| {
        if is_watched {
            eprint!("\r{:<20}{:>12} rows", copied.table, copied.rows);
        }
    };
    let copied = copy::copy(&from, &to, &mut tell, search::index_all).await;
    if is_watched {
        eprint!("\r{:34}\r", "");
    }
    from.close().await;
    to.close().await;
    let copied = copied?;
    // The data is sealed with the key of the installation that it comes from.
    let clock = Clock::system();
    let has_key = installation::examine(&config, &Ids::system(clock)).await.is_ok_and(|fits| fits);
    if json {
        let tables = copied.iter().map(|it| json!({"table": it.table, "rows": it.rows}));
        println!("{:#}", json!({"tables": tables.collect::<Value>(), "hasMasterKey": has_key}));
        return Ok(());
    }
    copied.iter().for_each(|it| println!("{:<20}{:>12}", it.table, it.rows));
    eprintln!("{GREEN}✓{RESET} Every row of {} is in {BOLD}{}{RESET}.", source.database, config.database);
    if has_key {
        eprintln!("{GREEN}✓{RESET} The master key is at hand. Every instance needs the same one.");
    } else {
        eprintln!(
            "{YELLOW}•{RESET} The master key stays the same: put the {KEY_FILE} of the old installation into {}, or \
             give what is in it as TRACKSIDE_MASTER_KEY.",
            config.data_dir.display()
        );
    }
    Ok(())
}
