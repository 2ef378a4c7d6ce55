//! Who is called: the service, the service whose bucket is empty, and servers that only echo.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use scratch::free_port;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Result,
    after::{connect, number},
    calls::{Call, Revision},
    cargo,
    child::{self, Contender, Kind, Place, Running, Target},
    peers, stand_in,
};

/// The tools that are called: one that reads, one that writes, and the echoes'.
pub(crate) const READ: &str = "get_project_status";
pub(super) const WRITE: &str = "reserve_paths";
const ECHO: &str = "echo";
/// Why a call is refused, where that is the good answer.
const REFUSAL: &str = "rate_limited";

/// A bucket of one token, which comes back after a minute; it is measured for less.
const OUT_OF_TOKENS: &str = "exec env TRACKSIDE_TOOLS_PER_MINUTE=1 \"$service\" \"$@\"";

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    Read,
    Write,
    Limited,
    Echo,
}

/// A call of the service that reads, by the newest revision.
pub(crate) fn reading(target: &Target) -> Call {
    Call::new(target.port, &target.key, READ, json!({"projectId": target.project()}), Revision::Newest)
}

/// Who is measured.
pub(super) enum Peer {
    Trackside(PathBuf),
    Limited(PathBuf),
    Rmcp,
    FastMcp(PathBuf),
    TypeScript(PathBuf),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trackside(_) => "Trackside",
            Self::Limited(_) => "Trackside, out of tokens",
            Self::Rmcp => "rmcp, an echo",
            Self::FastMcp(_) => "FastMCP, an echo",
            Self::TypeScript(_) => "TypeScript SDK, an echo",
        })
    }
}

impl Peer {
    /// The service, and those of the others that are installed; and which are not, each with how to get it.
    pub(super) fn all(service: &Path) -> (Vec<Self>, Vec<String>) {
        let (others, missing) = peers::sorted_out([
            ("FastMCP", peers::python().map(Self::FastMcp)),
            ("the TypeScript SDK", peers::node().map(Self::TypeScript)),
        ]);
        let mut all = vec![Self::Trackside(service.into()), Self::Limited(service.into()), Self::Rmcp];
        all.extend(others);
        (all, missing)
    }

    pub(super) fn is_ours(&self) -> bool {
        matches!(self, Self::Trackside(_) | Self::Limited(_))
    }

    /// What it is asked, and by which revision.
    pub(super) fn errands(&self) -> &'static [(Errand, Revision)] {
        use Errand::{Echo, Limited, Read, Write};
        use Revision::{Newest, Older};
        match self {
            Self::Trackside(_) => &[(Read, Newest), (Read, Older), (Write, Newest)],
            Self::Limited(_) => &[(Limited, Newest)],
            Self::Rmcp | Self::FastMcp(_) | Self::TypeScript(_) => &[(Echo, Newest), (Echo, Older)],
        }
    }

    /// Starts it; returns when it is ready to be called.
    pub(super) async fn start(&self, place: &Place) -> Result<Answering> {
        let folder = TempDir::new()?;
        match self {
            Self::Trackside(binary) => Answering::serve(binary, place, folder).await,
            Self::Limited(binary) => {
                let binary = stand_in::make(folder.path(), binary, OUT_OF_TOKENS)?;
                let mut answering = Answering::serve(&binary, place, folder).await?;
                answering.call(Errand::Read, Revision::Newest).once().await?;
                answering.made += 1;
                Ok(answering)
            }
            Self::Rmcp => {
                let mut command = Command::new(cargo::this_program()?);
                Answering::echo(command.arg("echo"), folder).await
            }
            Self::FastMcp(python) => {
                Answering::echo(Command::new(python).arg(peers::file("echo.py")), folder).await
            }
            Self::TypeScript(node) => {
                Answering::echo(Command::new(node).arg(peers::file("echo.mjs")), folder).await
            }
        }
    }
}

/// Somebody who answers calls; ends with its handle.
pub(super) struct Answering {
    port: u16,
    key: String,
    reads: Value,
    writes: Value,
    /// Calls that were answered well before it was measured.
    pub(super) made: u64,
    service: Option<Target>,
    _running: Option<Running>,
    _folder: TempDir,
}

impl Answering {
    /// The service, with something that can be written over and over: a reservation that is renewed.
    async fn serve(binary: &Path, place: &Place, folder: TempDir) -> Result<Self> {
        let target = child::start(&Contender::new(Kind::Trackside, binary), place).await?;
        let (port, key, reads) = (target.port, target.key.clone(), json!({"projectId": target.project()}));
        let writes = reserve(&target).await?;
        let service = Some(target);
        Ok(Self { port, key, reads, writes, made: 0, service, _running: None, _folder: folder })
    }

    /// A server that only echoes, whose command wants the port.
    async fn echo(command: &mut Command, folder: TempDir) -> Result<Self> {
        let (port, reads) = (free_port()?, json!({"text": "hello"}));
        let _running = Some(child::spawn(command.arg(port.to_string()), folder.path())?);
        child::wait_until_ready(port).await?;
        let (key, writes, _folder) = (String::new(), Value::Null, folder);
        Ok(Self { port, key, reads, writes, made: 0, service: None, _running, _folder })
    }

    pub(super) fn call(&self, errand: Errand, revision: Revision) -> Call {
        let (tool, arguments) = match errand {
            Errand::Read | Errand::Limited => (READ, &self.reads),
            Errand::Write => (WRITE, &self.writes),
            Errand::Echo => (ECHO, &self.reads),
        };
        let call = Call::new(self.port, &self.key, tool, arguments.clone(), revision);
        if errand == Errand::Limited { call.refused(REFUSAL) } else { call }
    }

    /// Sees that each call of the service has its record, and each that was refused says so.
    pub(super) async fn check(&self, calls: u64, refused: u64) -> Result<()> {
        let Some(target) = &self.service else { return Ok(()) };
        let database = connect(&target.database().ok_or("there is no database")?).await?;
        let all = number(&database, "SELECT count(*) FROM mcp_audit_log").await?;
        let said = format!("SELECT count(*) FROM mcp_audit_log WHERE result = '{REFUSAL}'");
        let said = number(&database, &said).await?;
        database.close().await?;
        match (u64::try_from(all)?, u64::try_from(said)?) == (calls, refused) {
            true => Ok(()),
            false => Err(format!(
                "{calls} calls, of which {refused} were refused, left {all} records, of which {said} say so"
            )
            .into()),
        }
    }
}

/// Reserves paths; gives the arguments of a call that goes on with that.
async fn reserve(target: &Target) -> Result<Value> {
    let project = target.project();
    let made: Value = reqwest::Client::new()
        .post(format!("http://127.0.0.1:{}/api/v1/projects/{project}/reservations", target.port))
        .bearer_auth(&target.key)
        .json(&json!({"paths": ["src/**"]}))
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let (reservation, fence) = (&made["reservationId"], &made["fencingToken"]);
    Ok(json!({"projectId": project, "reservationId": reservation, "fencingToken": fence}))
}
