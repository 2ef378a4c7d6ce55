//! The command line: every command, its arguments, and how it answers.
//!
//! What a command is asked for goes to standard output, alone, so that scripts can take it; everything else goes
//! to standard error. `--json` answers with one JSON document. Exit codes: 0 done, 1 it did not work, 2 the
//! call was wrong.

mod demo;
mod doctor;
mod loopback;
mod manage;
mod serve;

use std::{collections::BTreeMap, io::IsTerminal as _, path::PathBuf, process::ExitCode, sync::Arc};

use anstream::{eprintln, println};
use chrono::{DateTime, Utc};
use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::{
    accounts::{Role, Scope},
    app::App,
    clock::{Clock, Ids},
    config::{Config, Sources},
    database::{Database, Migrate},
    error::{Result, chain},
    http, logs,
};

/// Project tracking for teams in which people and AI agents work side by side.
#[derive(Parser)]
#[command(version, about, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    settings: SettingFlags,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Settings as flags; they win over the environment and trackside.toml.
#[derive(Args)]
struct SettingFlags {
    /// Settings file [default: trackside.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The database, such as sqlite://data/trackside.db [env: DATABASE_URL]
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// Address to listen on [env: HOST]
    #[arg(long, global = true, value_name = "ADDRESS")]
    host: Option<String>,
    /// Port to listen on [env: PORT]
    #[arg(long, global = true)]
    port: Option<String>,
    /// Where clients reach the service [env: TRACKSIDE_PUBLIC_URL]
    #[arg(long, global = true, value_name = "URL")]
    public_url: Option<String>,
    /// Answer with JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service (what happens without a command)
    Serve,
    /// Run a service with sample data that sends itself GitHub deliveries, and tell what happens
    Demo(demo::DemoArgs),
    /// Look at the schema, or move it
    #[command(subcommand)]
    Migrate(MigrateCommand),
    /// Print the OpenAPI specification
    Openapi,
    /// Make and list tenants
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Make and list projects
    #[command(subcommand)]
    Project(ProjectCommand),
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Check settings, database and permissions, and say what to do
    Doctor,
    /// Print a completion script for a shell
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
}

#[derive(Subcommand)]
enum MigrateCommand {
    /// Apply what is pending
    Up,
    /// Undo the newest steps, and with them what they hold
    Down {
        /// How many
        #[arg(long, default_value_t = 1)]
        steps: u32,
    },
    /// Show which steps the database has
    Status,
}

#[derive(Subcommand)]
enum TenantCommand {
    /// Make a tenant; prints its id
    Create {
        /// The name people see
        #[arg(long)]
        name: String,
    },
    /// List tenants
    List,
}

#[derive(Subcommand)]
enum ProjectCommand {
    /// Make a project; prints its id, webhook address and webhook secret
    Create {
        /// The name people see
        #[arg(long)]
        name: String,
        /// Where its repository lives, such as https://github.com/your-org/your-repo
        #[arg(long, value_name = "URL")]
        repo_url: String,
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// List projects
    List {
        #[command(flatten)]
        tenant: TenantArg,
    },
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Make an API key; prints the key, this once
    Create {
        /// What it is for
        #[arg(long)]
        name: String,
        /// owner, admin, member or viewer
        #[arg(long)]
        role: Role,
        /// What it may do, such as events.read,projects.read [default: all that its role may]
        #[arg(long, value_delimiter = ',')]
        scopes: Option<Vec<Scope>>,
        /// The projects to limit it to, by id [default: all]
        #[arg(long, value_delimiter = ',', value_name = "IDS")]
        projects: Option<Vec<crate::projects::ProjectId>>,
        /// From when on it is refused, such as 2030-01-31T00:00:00Z [default: never]
        #[arg(long, value_name = "TIME")]
        expires_at: Option<DateTime<Utc>>,
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// List API keys
    List {
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// Revoke an API key
    Revoke {
        /// Its id, or its first 16 characters
        key: String,
        #[command(flatten)]
        tenant: TenantArg,
    },
}

#[derive(Args, Clone)]
struct TenantArg {
    /// The tenant, by name or id [default: the only one]
    #[arg(long)]
    tenant: Option<String>,
}

/// Runs what the process was called with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match runtime.block_on(run(cli)) {
        Ok(code) => code,
        Err(error) => fail(error.as_ref()),
    }
}

fn fail(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    eprintln!("{RED}error:{RESET} {}", chain(error));
    ExitCode::FAILURE
}

type Outcome = std::result::Result<ExitCode, Box<dyn std::error::Error>>;

async fn run(cli: Cli) -> Outcome {
    let json = cli.settings.json;
    match cli.command {
        // These need no settings.
        Some(Command::Openapi) => println!("{:#}", http::specification()),
        Some(Command::Completions { shell }) => {
            clap_complete::generate(shell, &mut Cli::command(), "trackside", &mut std::io::stdout());
        }
        Some(Command::Doctor) => return Ok(doctor::run(&sources(&cli.settings)?, json).await),
        None | Some(Command::Serve) => serve::run(configure(&cli.settings)?).await?,
        Some(Command::Demo(args)) => demo::run(Config::load(&sources(&cli.settings)?)?, args).await?,
        Some(Command::Migrate(command)) => migrate(&configure(&cli.settings)?, &command, json).await?,
        Some(Command::Tenant(command)) => {
            let app = open(&cli.settings).await?;
            let outcome = manage::tenant(&app, command, json).await;
            app.database.close().await;
            outcome?;
        }
        Some(Command::Project(command)) => {
            manage::project(&open(&cli.settings).await?, command, json).await?
        }
        Some(Command::Key(command)) => {
            let app = open(&cli.settings).await?;
            let outcome = manage::key(&app, command, json).await;
            app.database.close().await;
            outcome?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn sources(flags: &SettingFlags) -> std::result::Result<Sources, crate::config::BadSettings> {
    let given = [
        ("DATABASE_URL", &flags.database_url),
        ("HOST", &flags.host),
        ("PORT", &flags.port),
        ("TRACKSIDE_PUBLIC_URL", &flags.public_url),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
    Sources::from_process(given.collect::<BTreeMap<_, _>>(), flags.config.as_deref())
}

fn configure(flags: &SettingFlags) -> std::result::Result<Config, crate::config::BadSettings> {
    let config = Config::load(&sources(flags)?)?;
    logs::start(&config);
    Ok(config)
}

/// Opens the installation for a command that does not listen.
async fn open(flags: &SettingFlags) -> std::result::Result<Arc<App>, Box<dyn std::error::Error>> {
    let config = configure(flags)?;
    let (clock, address) = (Clock::system(), config.listen);
    Ok(App::open(config, clock.clone(), Ids::system(clock), address).await?)
}

async fn migrate(config: &Config, command: &MigrateCommand, json: bool) -> Result<()> {
    let direction = match command {
        MigrateCommand::Up => Migrate::Up,
        MigrateCommand::Down { steps } => Migrate::Down(*steps),
        MigrateCommand::Status => Migrate::Status,
    };
    let steps = Database::migrate(&config.database, direction).await?;
    if json {
        let steps = steps.iter().map(|step| serde_json::json!({"name": step.name, "applied": step.applied}));
        println!("{:#}", serde_json::Value::Array(steps.collect()));
        return Ok(());
    }
    for step in steps {
        println!("{} {}", if step.applied { "applied" } else { "pending" }, step.name);
    }
    Ok(())
}

/// Whether somebody is watching, who wants words rather than one value.
fn is_watched() -> bool {
    std::io::stdout().is_terminal()
}

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const CYAN: &str = "\x1b[36m";
const RESET: &str = "\x1b[0m";
