//! The command line: every command, its arguments, and how it answers.
//!
//! What a command is asked for goes to standard output, alone, so that scripts can take it; everything else goes
//! to standard error. `--json` answers with one JSON document. Exit codes: 0 done, 1 it did not work, 2 the
//! call was wrong.

mod audit;
mod choose;
mod client;
mod clients;
mod copy;
mod delivery;
mod demo;
mod doctor;
mod health;
mod manage;
mod master_key;
mod mcp;
mod members;
mod parse;
mod say;
mod scan;
mod serve;
mod tail;
mod token;
mod trigger;

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use anstream::{eprint, eprintln, println};
use chrono::{DateTime, Utc};
use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::{
    accounts::{PrincipalId, Role, Scope},
    app::App,
    clock::{Clock, Ids},
    config::{Config, Sources},
    database::{Database, Migrate},
    error::{Error, OUT_OF_REACH, Result, chain},
    http, installation, logs,
    projects::ProjectId,
};
use say::{RED, RESET};

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
    #[arg(long, global = true, help_heading = "Settings", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The database, such as sqlite://data/trackside.db [env: DATABASE_URL]
    #[arg(long, global = true, help_heading = "Settings", value_name = "URL")]
    database_url: Option<String>,
    /// Address to listen on [env: HOST]
    #[arg(long, global = true, help_heading = "Settings", value_name = "ADDRESS")]
    host: Option<String>,
    /// Port to listen on [env: PORT]
    #[arg(long, global = true, help_heading = "Settings")]
    port: Option<String>,
    /// Where clients reach the service [env: TRACKSIDE_PUBLIC_URL]
    #[arg(long, global = true, help_heading = "Settings", value_name = "URL")]
    public_url: Option<String>,
    /// What `serve` was told.
    #[arg(skip)]
    role: Option<String>,
    /// Answer with JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service (what happens without a command)
    Serve {
        /// Which parts of it: all, web (requests and streams) or worker (jobs) [env: TRACKSIDE_ROLE]
        #[arg(long)]
        role: Option<String>,
    },
    /// Run a service with sample data that sends itself what Git hosts send, and tell what happens
    Demo(demo::DemoArgs),
    /// Send one realistic signed delivery to a running service
    Trigger(trigger::TriggerArgs),
    /// Follow the events of a project on a running service
    Tail(tail::TailArgs),
    /// Have a running service read a project's repository now, and watch it do so
    Scan(scan::ScanArgs),
    /// Look at the schema, or move it
    #[command(subcommand)]
    Migrate(MigrateCommand),
    /// Copy an installation into another, empty database, such as from SQLite to PostgreSQL
    Copy(copy::CopyArgs),
    /// Print the OpenAPI specification
    Openapi,
    /// Make and list tenants
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Make and list projects
    #[command(subcommand)]
    Project(ProjectCommand),
    /// Make, list, rotate and revoke API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// List principals, change what they are, and end or restore their access
    #[command(subcommand)]
    Principal(members::PrincipalCommand),
    /// Invite people, and list and withdraw invitations
    #[command(subcommand)]
    Invitation(members::InvitationCommand),
    /// Register, list and remove clients that sign people in
    #[command(subcommand)]
    Client(clients::ClientCommand),
    /// Rotate the keys that access tokens are signed with
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Put a new master key in the present one's place
    #[command(subcommand)]
    MasterKey(master_key::MasterKeyCommand),
    /// List deliveries, see why some were refused, and process them again
    #[command(subcommand)]
    Delivery(delivery::DeliveryCommand),
    /// Serve the tools to one agent over standard input and output
    Mcp(mcp::McpArgs),
    /// Verify the log of tool calls
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Check settings, database and permissions, and say what to do
    Doctor,
    /// Ask the service on this machine whether it is ready; exit code 1 if it is not
    Health,
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
    /// Undo the newest steps, and drop what they hold
    Down {
        /// How many
        #[arg(long, default_value_t = 1)]
        steps: u32,
        /// Do not ask
        #[arg(long)]
        yes: bool,
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
        /// What its new service account is to be: owner, admin, member or viewer
        #[arg(long, required_unless_present = "principal", conflicts_with = "principal")]
        role: Option<Role>,
        /// Whose it is to be, by id, instead of a new service account's
        #[arg(long, value_name = "ID", value_parser = parse::principal)]
        principal: Option<PrincipalId>,
        /// What it may do, such as events.read,projects.read [default: all that its role may]
        #[arg(long, value_delimiter = ',')]
        scopes: Option<Vec<Scope>>,
        /// The projects to limit it to, by id [default: all]
        #[arg(long, value_delimiter = ',', value_name = "IDS", value_parser = parse::project)]
        projects: Option<Vec<ProjectId>>,
        /// From when on it is refused, such as 2030-01-31 or 2030-01-31T18:00:00Z [default: never]
        #[arg(long, value_name = "TIME", value_parser = parse::time)]
        expires_at: Option<DateTime<Utc>>,
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// List API keys
    List {
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// Give an API key a successor; prints the new key, this once
    Rotate {
        /// Its id, or its first 16 characters
        key: String,
        /// For how long the old key stays valid, 0 to 2592000
        #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
        overlap_seconds: i64,
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

impl KeyCommand {
    /// Whether an installation may begin with it: it names nothing that has to be there.
    fn begins_one(&self) -> bool {
        matches!(self, Self::Create { principal: None, tenant: TenantArg { tenant: None }, .. })
    }
}

impl ProjectCommand {
    /// Whether an installation may begin with it: it names nothing that has to be there.
    fn begins_one(&self) -> bool {
        matches!(self, Self::Create { tenant: TenantArg { tenant: None }, .. })
    }
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
    let fields = error.downcast_ref::<Error>().map_or(&[][..], |error| &error.fields);
    match fields {
        [] => eprintln!("{RED}error:{RESET} {}", chain(error)),
        // What a field is to a client is a flag to whoever types.
        fields => fields.iter().for_each(|field| {
            eprintln!("{RED}error:{RESET} {}: {}", parse::flag(&field.pointer), field.detail);
        }),
    }
    ExitCode::FAILURE
}

type Outcome = std::result::Result<ExitCode, Box<dyn std::error::Error>>;

async fn run(cli: Cli) -> Outcome {
    let json = cli.settings.json;
    match cli.command {
        // These need no settings.
        Some(Command::Openapi) => println!("{:#}", http::specification()),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "trackside", &mut script);
            match io::stdout().write_all(&script) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
                _ => {}
            }
        }
        Some(Command::Doctor) => return Ok(doctor::run(&sources(&cli.settings)?, json).await),
        None => serve::run(configure(&cli.settings)?).await?,
        Some(Command::Serve { role }) => {
            serve::run(configure(&SettingFlags { role, ..cli.settings })?).await?;
        }
        Some(Command::Demo(args)) => {
            demo::run(Config::load(&sources(&cli.settings)?)?, args, json).await?;
        }
        Some(Command::Trigger(args)) => trigger::run(configure(&cli.settings)?, args, json).await?,
        Some(Command::Tail(args)) => tail::run(configure(&cli.settings)?, args, json).await?,
        Some(Command::Scan(args)) => scan::run(configure(&cli.settings)?, args, json).await?,
        Some(Command::Migrate(command)) => migrate(&configure(&cli.settings)?, &command, json).await?,
        Some(Command::Health) => health::run(&configure(&cli.settings)?, json).await?,
        Some(Command::Copy(args)) => copy::run(configure(&cli.settings)?, args, json).await?,
        Some(Command::Tenant(command)) => {
            within(&cli.settings, matches!(command, TenantCommand::Create { .. }), async |app| {
                manage::tenant(app, command, json).await
            })
            .await?;
        }
        Some(Command::Project(command)) => {
            within(&cli.settings, command.begins_one(), async |app| {
                manage::project(app, command, json).await
            })
            .await?;
        }
        Some(Command::Key(command)) => {
            within(&cli.settings, command.begins_one(), async |app| manage::key(app, command, json).await)
                .await?;
        }
        Some(Command::Principal(command)) => {
            within(&cli.settings, false, async |app| members::principal(app, command, json).await).await?;
        }
        Some(Command::Invitation(command)) => {
            within(&cli.settings, false, async |app| members::invitation(app, command, json).await).await?;
        }
        Some(Command::Client(command)) => {
            within(&cli.settings, false, async |app| clients::run(app, command, json).await).await?;
        }
        Some(Command::MasterKey(command)) => {
            let config = configure(&cli.settings)?;
            installation::expect(&config).await?;
            master_key::run(&config, &command, json).await?;
        }
        Some(Command::Token(command)) => {
            within(&cli.settings, false, async |app| token::run(app, command, json).await).await?;
        }
        Some(Command::Delivery(command)) => {
            within(&cli.settings, false, async |app| delivery::run(app, command, json).await).await?;
        }
        Some(Command::Mcp(args)) => {
            within(&cli.settings, false, async |app| mcp::run(app, args).await).await?;
        }
        Some(Command::Audit(command)) => {
            return within(&cli.settings, false, async |app| audit::run(app, command, json).await).await;
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
        ("TRACKSIDE_ROLE", &flags.role),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
    Sources::from_process(given.collect::<BTreeMap<_, _>>(), flags.config.as_deref())
}

fn configure(flags: &SettingFlags) -> std::result::Result<Config, crate::config::BadSettings> {
    let sources = sources(flags)?;
    let config = Config::load(&sources)?;
    logs::start(&config);
    for unknown in sources.unknown() {
        tracing::warn!("{unknown}");
    }
    Ok(config)
}

/// Does what a command does within the installation, which it opens without listening, and closes. Few commands are how
/// an installation begins; any other, called in the wrong folder or with the wrong address, is refused and makes nothing.
async fn within<T>(
    flags: &SettingFlags,
    may_begin_one: bool,
    act: impl AsyncFnOnce(&Arc<App>) -> Result<T>,
) -> std::result::Result<T, Box<dyn std::error::Error>> {
    let config = configure(flags)?;
    if !may_begin_one {
        installation::expect(&config).await?;
    }
    let (clock, address) = (Clock::system(), config.listen);
    let app = App::open(config, clock.clone(), Ids::system(clock), address).await?;
    let outcome = act(&app).await;
    app.database.close().await;
    // Whoever owns the database comes with no credential.
    Ok(outcome.map_err(|mut error| {
        error.detail = error.detail.replace(OUT_OF_REACH, "").into();
        error
    })?)
}

async fn migrate(config: &Config, command: &MigrateCommand, json: bool) -> Result<()> {
    let direction = match command {
        MigrateCommand::Up => Migrate::Up,
        MigrateCommand::Down { steps, yes } => {
            installation::expect_schema(config).await?;
            if !yes {
                confirm(&format!(
                    "This undoes {steps} steps of {} and drops what they hold.",
                    config.database
                ))?;
            }
            Migrate::Down(*steps)
        }
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

/// Asks at a terminal before something is lost.
fn confirm(what: &str) -> Result<()> {
    if !io::stdin().is_terminal() {
        return Err(Error::invalid(format!("{what} Nobody is here to be asked: say --yes to do it")));
    }
    eprint!("{what} Go on? [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(Error::internal)?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Error::invalid("nothing was changed"))
}
