//! The installation: its database, its schema, and proof that the master key is the one its data was sealed with.
//!
//! A new installation gets a master key, unless it was given one, and one row that holds a known text sealed
//! with it. Every later start opens that text first: another key, or none, is refused before anything is
//! written that nobody could read again.

use entity::{instance, tenant};
use sea_orm::{ActiveValue::Set, EntityTrait as _, sea_query::OnConflict};
use secrecy::SecretString;
use uuid::Uuid;

use crate::{
    clock::{Clock, Ids},
    config::Config,
    database::{Database, Door, Migrate},
    error::{Error, Result},
    vault::{self, KEY_FILE, Place, Vault},
};

const KNOWN_TEXT: &[u8] = b"trackside";

/// Opens the installation, making or migrating it where that is needed and allowed.
///
/// # Errors
/// A schema that is behind while `TRACKSIDE_AUTO_MIGRATE=false`, a master key that is missing or another one, a
/// database that cannot be opened; each says what to do.
pub async fn open(config: &Config, clock: &Clock, ids: &Ids) -> Result<(Database, Vault)> {
    let direction = if config.auto_migrate { Migrate::Up } else { Migrate::Status };
    let steps = Database::migrate(&config.database, direction).await?;
    if let Some(pending) = steps.iter().find(|step| !step.applied) {
        return Err(Error::invalid(format!(
            "the schema is behind (next: {}); run: trackside migrate up",
            pending.name
        )));
    }
    let database = Database::open(config).await?;
    let vault = match recorded_key(&database).await? {
        Some(recorded) => {
            let vault = Vault::new(&existing_key(config)?, ids.clone())?;
            check(&vault, &recorded)?;
            vault
        }
        None => found(config, clock, ids, &database).await?,
    };
    Ok((database, vault))
}

/// Whether the key that a start would use is the one the data was sealed with; false if none is recorded yet.
///
/// # Errors
/// A key that is missing or another one.
pub async fn examine(config: &Config, ids: &Ids) -> Result<bool> {
    let database = Database::open(config).await?;
    let recorded = recorded_key(&database).await;
    database.close().await;
    let Some(recorded) = recorded? else { return Ok(false) };
    check(&Vault::new(&existing_key(config)?, ids.clone())?, &recorded)?;
    Ok(true)
}

/// Makes a new installation's key and records it.
async fn found(config: &Config, clock: &Clock, ids: &Ids, database: &Database) -> Result<Vault> {
    let folder = &config.data_dir;
    let key = match &config.master_key {
        None if !folder.join(KEY_FILE).exists() => vault::create_key_file(folder, ids)?,
        _ => existing_key(config)?,
    };
    let vault = Vault::new(&key, ids.clone())?;
    let row = instance::ActiveModel {
        id: Set(1),
        key_id: Set(vault.key_id().to_owned()),
        key_check: Set(vault.seal(place(), KNOWN_TEXT)?),
        created_at: Set(clock.now()),
    };
    database
        .write_through(Door::Installation, |tx| {
            Box::pin(async move {
                let once = OnConflict::column(instance::Column::Id).do_nothing().to_owned();
                instance::Entity::insert(row).on_conflict(once).exec_without_returning(tx.conn()).await?;
                Ok(())
            })
        })
        .await?;
    // Another process may have been faster: what is recorded decides.
    let recorded =
        recorded_key(database).await?.ok_or_else(|| Error::internal("the installation's row is missing"))?;
    check(&vault, &recorded)?;
    // Also told by a command that was meant for an installation elsewhere.
    let place = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    tracing::info!("made a new installation in {}", place.display());
    Ok(vault)
}

fn existing_key(config: &Config) -> Result<SecretString> {
    match &config.master_key {
        Some(key) => Ok(key.clone()),
        None => vault::read_key_file(&config.data_dir),
    }
}

fn check(vault: &Vault, recorded: &instance::Model) -> Result<()> {
    let opened = vault.open(place(), &recorded.key_check);
    if vault.key_id() == recorded.key_id && opened.is_ok_and(|text| text == KNOWN_TEXT) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "this is not the master key that the database was made with (that one has the id {}, this one {}): give the \
         right key in TRACKSIDE_MASTER_KEY or {KEY_FILE}, or point DATABASE_URL at the database that belongs to this key",
        recorded.key_id,
        vault.key_id(),
    )))
}

async fn recorded_key(database: &Database) -> Result<Option<instance::Model>> {
    database
        .read_through(Door::Installation, |tx| {
            Box::pin(async move {
                let recorded = instance::Entity::find_by_id(1).one(tx.conn()).await?;
                if recorded.is_none() && tenant::Entity::find().one(tx.conn()).await?.is_some() {
                    let why = "a copy into this database was not finished; drop it, and copy again into an empty one";
                    return Err(Error::invalid(why));
                }
                Ok(recorded)
            })
        })
        .await
}

fn place() -> Place<'static> {
    Place { tenant: Uuid::nil(), column: "instance.key_check", row: Uuid::nil() }
}
