//! A place to live for one test: a folder, a database of its own, and what else the service depends on.
//!
//! With nothing said the database is a SQLite file in the folder. `TRACKSIDE_TEST_POSTGRES` may name a database of
//! a PostgreSQL server, with the schema in it and nobody connected: each test gets a copy of it. `TRACKSIDE_TEST_REDIS`
//! may name a Redis server, which the tests share. `./scripts/test` starts both, and runs all tests either way.

pub mod postgres;
pub mod redis;

use std::{
    env, io,
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
};

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, DbErr};
use tempfile::TempDir;

/// A place to live for one test; dropped, it is gone.
pub struct Scratch {
    folder: TempDir,
    postgres: Option<Copy>,
}

/// A database of a PostgreSQL server, made for one test.
struct Copy {
    /// The server, by a database that is always there.
    server: String,
    /// The database's name.
    name: String,
    /// Its address.
    url: String,
}

impl Scratch {
    /// A new place, on the database that the environment asks for. A `trackside.toml` in its folder leads there.
    ///
    /// # Panics
    /// When it cannot be made.
    #[expect(clippy::new_without_default, reason = "it does more than a default should")]
    pub fn new() -> Self {
        let folder =
            tempfile::Builder::new().prefix("trackside-").rand_bytes(12).tempdir().expect("a folder");
        let name =
            folder.path().file_name().and_then(|name| name.to_str()).expect("a name").replace('-', "_");
        let template = env::var("TRACKSIDE_TEST_POSTGRES").ok();
        let place =
            Self { folder, postgres: template.map(|template| Copy::of(&template, name.to_lowercase())) };
        let lines = place.settings().into_iter().map(|(name, value)| {
            format!("{} = \"{value}\"\n", name.strip_prefix("TRACKSIDE_").unwrap_or(&name).to_lowercase())
        });
        std::fs::write(place.path().join("trackside.toml"), lines.collect::<String>()).expect("a file");
        place
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Whether the database is PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        self.postgres.is_some()
    }

    /// The database's address.
    pub fn database_url(&self) -> String {
        match &self.postgres {
            Some(copy) => copy.url.clone(),
            None => format!("sqlite://{}", self.path().join("trackside.db").display()),
        }
    }

    /// The settings that lead the service here.
    pub fn settings(&self) -> Vec<(String, String)> {
        let mut settings = vec![
            ("DATABASE_URL".to_owned(), self.database_url()),
            ("TRACKSIDE_DATA_DIR".to_owned(), self.path().display().to_string()),
            // The repositories that most tests name are nowhere.
            ("TRACKSIDE_SCANS".to_owned(), "false".to_owned()),
        ];
        settings.extend(env::var("TRACKSIDE_TEST_REDIS").ok().map(|url| ("REDIS_URL".to_owned(), url)));
        settings
    }

    /// The database, opened from outside as another process would, past every rule of the service.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn database(&self) -> DatabaseConnection {
        let database = Database::connect(self.database_url()).await.expect("the database opens");
        if !self.is_postgres() {
            database.execute_unprepared("PRAGMA busy_timeout = 5000").await.expect("SQLite answers");
        }
        database
    }
}

impl Copy {
    fn of(template: &str, name: String) -> Self {
        let (server, schema) = template.rsplit_once('/').expect("an address that ends in a name");
        let (url, server) = (format!("{server}/{name}"), format!("{server}/postgres"));
        say(&server, format!("CREATE DATABASE {name} TEMPLATE {schema}")).expect("a copy of the template");
        Self { server, name, url }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // What is left over goes with the server.
        let _ = say(&self.server, format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// Says something to a server, on a thread and a runtime of its own: tests with a runtime and tests without need it.
fn say(server: &str, sql: String) -> Result<(), DbErr> {
    let server = server.to_owned();
    let said = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let database = Database::connect(server).await?;
            database.execute_unprepared(&sql).await?;
            database.close().await
        })
    });
    said.join().expect("no panic")
}

/// A port that nobody listens on, below those that the kernel gives to outgoing connections.
///
/// # Errors
/// When there is none.
pub fn free_port() -> io::Result<u16> {
    let start = 20_000 + (std::process::id() * 37 % 10_000) as u16; // processes beside this one look elsewhere
    (start..32_000)
        .find(|port| {
            TcpStream::connect(("127.0.0.1", *port)).is_err()
                && TcpListener::bind(("127.0.0.1", *port)).is_ok()
        })
        .ok_or_else(|| io::Error::other("no port is free"))
}

/// Sends a signal, such as `STOP`, to one process.
///
/// # Panics
/// When there is no such process.
pub fn signal(process: u32, name: &str) {
    let sent =
        Command::new("kill").args([format!("-{name}"), process.to_string()]).status().expect("kill runs");
    assert!(sent.success());
}
