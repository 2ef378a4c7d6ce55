//! The installation: its database, its schema, and the key that its data is sealed with.
//!
//! A new installation gets a master key, unless it was given one, and makes the key that seals its data, which it keeps in
//! one row, sealed with the master key. Every later start opens that one first: with another master key, or none, it is
//! refused before anything is written that nobody could read again. So another master key takes the present one's place
//! by writing that row anew ([`rotate_master_key`]), while everything runs on.

use std::path::{Path, PathBuf};

use entity::{instance, tenant};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, EntityTrait as _, QueryFilter as _,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use crate::{
    clock::{Clock, Ids},
    config::{Config, DatabaseUrl},
    database::{Database, Door, Migrate},
    error::{Code, Error, Result},
    master_key::{self, MasterKey},
    vault::{Place, Vault},
};

/// What an installation of before has in place of a key of its own: its data is sealed with its first master key itself.
const NO_KEY: &[u8] = b"trackside";

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
        Some(recorded) => Vault::new(own_key(&MasterKey::of(config)?, &recorded, config, ids)?, ids.clone())?,
        None => found(config, clock, ids, &database).await?,
    };
    Ok((database, vault))
}

/// Refuses where nothing was made yet, and makes nothing.
///
/// # Errors
/// No installation there; the message says where that is and what to do. Also a database that cannot be asked.
pub async fn expect(config: &Config) -> Result<()> {
    expect_schema(config).await?;
    let database = Database::open(config).await?;
    let recorded = recorded_key(&database).await;
    database.close().await;
    match recorded? {
        Some(_) => Ok(()),
        None => Err(none_at(config, "its tables are there, and no service has begun to use them")),
    }
}

/// Refuses where there are no tables yet, and makes none.
///
/// # Errors
/// As [`expect`].
pub async fn expect_schema(config: &Config) -> Result<()> {
    if let DatabaseUrl::Sqlite(path) = &config.database {
        match path.try_exists() {
            Ok(true) => {}
            Ok(false) => return Err(none_at(config, &format!("there is no file {}", shown(path)))),
            Err(error) => {
                let why =
                    format!("{} is not to be seen ({error}): call this as the service's user", shown(path));
                return Err(Error::invalid(why));
            }
        }
    }
    let steps = Database::migrate(&config.database, Migrate::Status).await?;
    match steps.iter().any(|step| step.applied) {
        true => Ok(()),
        false => Err(none_at(config, "it has no tables of Trackside")),
    }
}

/// The database that the settings name is not one of an installation.
fn none_at(config: &Config, why: &str) -> Error {
    Error::invalid(format!(
        "there is no installation at {}: {why}. If there is one elsewhere, go to its folder or name it: its database with \
         --database-url or DATABASE_URL, or its settings with --config. To make one here, start the service once: \
         trackside serve",
        config.database
    ))
}

fn shown(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// Whether the key that a start would use is the one that the installation was made with; false if none is recorded
/// yet.
///
/// # Errors
/// A key that is missing or another one.
pub async fn examine(config: &Config, ids: &Ids) -> Result<bool> {
    let database = Database::open(config).await?;
    let recorded = recorded_key(&database).await;
    database.close().await;
    let Some(recorded) = recorded? else { return Ok(false) };
    own_key(&MasterKey::of(config)?, &recorded, config, ids)?;
    Ok(true)
}

/// Makes a new installation's keys and records them.
async fn found(config: &Config, clock: &Clock, ids: &Ids, database: &Database) -> Result<Vault> {
    let key = MasterKey::found(config, ids)?;
    let vault = Vault::new(key.bytes(), ids.clone())?;
    let row = instance::ActiveModel {
        id: Set(1),
        key_id: Set(vault.key_id().to_owned()),
        key_check: Set(vault.seal(place(), &ids.bytes::<32>())?),
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
    let recorded = recorded_key(database).await?.ok_or_else(nothing)?;
    let vault = Vault::new(own_key(&key, &recorded, config, ids)?, ids.clone())?;
    // Also told by a command that was meant for an installation elsewhere.
    let place = config.data_dir.canonicalize().unwrap_or_else(|_| config.data_dir.clone());
    tracing::info!("made a new installation in {}", place.display());
    Ok(vault)
}

/// Seals the installation's own key with another master key, one at a time. Instances that run go on; a start takes the
/// new one. Where the old one came from a setting, the new one is `given`, by whoever keeps it, and nothing else counts.
/// Where it lay in a file, a new one is made, put in its place, and the old one kept under its id: gives where. Interrupted,
/// that goes on where it was when it is asked again.
///
/// # Errors
/// A master key that is missing or another one, one that is given where it lies in a file or is not where it does not,
/// files that cannot be written, and `conflict` for two at once.
pub async fn rotate_master_key(
    config: &Config,
    database: &Database,
    ids: &Ids,
    given: Option<MasterKey>,
) -> Result<Option<PathBuf>> {
    let _alone = match &config.master_key {
        Some(_) => None,
        None => Some(master_key::hold(&config.data_dir)?),
    };
    let old = MasterKey::of(config);
    let recorded = recorded_key(database).await?.ok_or_else(nothing)?;
    match (&config.master_key, given) {
        (Some(_), Some(new)) => {
            let own = leaving_key(&old?, &recorded, config, ids)?;
            record(database, &Vault::new(new.bytes(), ids.clone())?, &own, &recorded.key_id).await?;
            return Ok(None);
        }
        (Some(_), None) => {
            let why = "the master key comes from a setting, and so does the new one: make it with `(umask 077; openssl rand \
                       -base64 32 > new.key)`, keep it where the old one is kept, and give it here with --new-key-file \
                       new.key";
            return Err(Error::invalid(why));
        }
        (None, Some(_)) => {
            let why = "the master key lies in a file here, and the new one is made in its place: leave --new-key-file out";
            return Err(Error::invalid(why));
        }
        (None, None) => {}
    }
    let folder = &config.data_dir;
    let old_id = match &old {
        Ok(old) => Some(Vault::new(old.bytes(), ids.clone())?.key_id().to_owned()),
        Err(_) => None,
    };
    if !master_key::next(folder).exists() {
        // Nothing is made where the present key is not the right one.
        own_key(&MasterKey::of(config)?, &recorded, config, ids)?;
    }
    let new = MasterKey::next(folder, ids)?;
    if own_key(&new, &recorded, config, ids).is_err() {
        let own = leaving_key(&old?, &recorded, config, ids)?;
        record(database, &Vault::new(new.bytes(), ids.clone())?, &own, &recorded.key_id).await?;
    }
    master_key::take_place(folder, old_id.as_deref()).map(Some)
}

/// Records the installation's own key, sealed with another master key than the one with this id.
async fn record(database: &Database, vault: &Vault, own: &[u8], old_id: &str) -> Result<()> {
    let (id, sealed, old_id) = (vault.key_id().to_owned(), vault.seal(place(), own)?, old_id.to_owned());
    let written = database.write_through(Door::Installation, |tx| {
        Box::pin(async move {
            let update = instance::Entity::update_many()
                .col_expr(instance::Column::KeyId, Expr::value(id))
                .col_expr(instance::Column::KeyCheck, Expr::value(sealed))
                .filter(instance::Column::KeyId.eq(old_id));
            Ok(update.exec(tx.conn()).await?.rows_affected)
        })
    });
    match written.await? {
        1 => Ok(()),
        _ => Err(Error::new(Code::Conflict, "another master key took its place at this moment; look which")),
    }
}

/// The key that the data is sealed with, which the installation keeps sealed with its master key.
fn own_key(key: &MasterKey, recorded: &instance::Model, config: &Config, ids: &Ids) -> Result<[u8; 32]> {
    let vault = Vault::new(key.bytes(), ids.clone())?;
    match vault.open(place(), &recorded.key_check).map(<[u8; 32]>::try_from) {
        Ok(Ok(own)) => return Ok(own),
        Ok(Err(opened)) if opened == NO_KEY => return Ok(key.bytes()),
        _ => {}
    }
    let hint = match master_key::next(&config.data_dir).exists() {
        true => {
            "another one was about to take its place: run `trackside master-key rotate` to see that through"
        }
        false => {
            "give the right key in TRACKSIDE_MASTER_KEY or the key file, or point DATABASE_URL at the database that \
                  belongs to this key"
        }
    };
    Err(Error::invalid(format!(
        "this is not the master key of the database (that one has the id {}, this one {}): {hint}",
        recorded.key_id,
        vault.key_id(),
    )))
}

/// The same, of a master key that another one takes the place of. What it was itself, it stays.
fn leaving_key(key: &MasterKey, recorded: &instance::Model, config: &Config, ids: &Ids) -> Result<[u8; 32]> {
    let own = own_key(key, recorded, config, ids)?;
    if own == key.bytes() {
        tracing::warn!(
            "this installation is of before data had a key of its own: it stays sealed with its first master key, which \
             is to be guarded on"
        );
    }
    Ok(own)
}

fn nothing() -> Error {
    Error::invalid("there is no installation yet; the first start makes it")
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
