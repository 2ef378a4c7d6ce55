//! The tool-call log: who called which tool, with what outcome (P6).
//!
//! Whoever serves a tool call records it, whatever became of it, before it is answered. A call that changed
//! something is recorded in the transaction of the change ([`CallRecord`]); every other one, also one that
//! was refused, limited, abandoned or ended in a panic, by [`AuditLog::record`], where those that come at once share a
//! transaction. A call that cannot be recorded fails.
//!
//! Records form chains ([`chain`]), each written by one process for one tenant, and one more per tenant for what
//! shares a transaction with a change. A chain's head says where it ends, the tenant's register which chains there
//! are. Both are sealed with a key that is not in the database, so that [`verify`] finds whatever was changed,
//! removed, inserted or put elsewhere by somebody who can write to the database and does not have the master key. It
//! cannot find that a whole chain, or all of the database, was set back to an earlier state of its own: for that
//! an operator keeps the digest that it prints somewhere else.
//!
//! Records go after 90 days, oldest first ([`Retention`]), and leave a sealed checkpoint. A chain that has gone whole
//! becomes part of a digest in the register; so there are never more heads than processes were started in 90
//! days, for each tenant that they served.

mod api;
mod chain;
mod out;
mod record;
mod retention;
mod store;
mod summary;
mod verify;
mod writer;

use std::{net::IpAddr, sync::Arc, time::Duration};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

pub use self::{
    api::AuditApi,
    record::CallRecord,
    retention::prune,
    summary::{Bar, BucketLevel, ToolCallSummary, ToolNumbers, Window, summarize_tool_calls},
    verify::{Finding, Verified, verify},
};
use self::{
    chain::Seals,
    writer::{Pending, Writer},
};
use crate::{
    accounts::{KeyId, Principal, PrincipalId, PrincipalKind, Scope},
    app::App,
    clock::{Ids, Time, whole_microseconds},
    database::{Database, Gathering, GroupCommit, TenantId, Tx},
    error::{Error, Result},
    projects::{self, ProjectId},
    vault::Vault,
    wire::{bounded, id_type, wire_enum},
};

id_type! {
    /// Names a record of a tool call.
    ToolCallId
}

wire_enum! {
    /// What became of a tool call.
    Outcome {
        /// It was done.
        Success = "success",
        /// It was tried, and failed or was abandoned.
        Failure = "failure",
        /// The credential does not allow it.
        Unauthorized = "unauthorized",
        /// It was more than the limit allows.
        RateLimited = "rate_limited",
    }
}

wire_enum! {
    /// How the log is shown.
    Format {
        /// A page of JSON.
        Json = "json",
        /// All of it as comma-separated values.
        Csv = "csv",
    }
}

/// Calls that may wait to be recorded; more fail.
const QUEUE: usize = 4_096;
/// Calls recorded in one transaction.
const BATCH: usize = 256;
/// Characters kept of a name that somebody else gave.
const NAME: usize = 200;
/// Characters kept of what a client says of itself.
const WORDS: usize = 300;

/// Who called a tool.
#[derive(Clone, Debug)]
pub struct Actor {
    /// What kind of actor it is.
    pub kind: PrincipalKind,
    /// The principal.
    pub id: PrincipalId,
    /// Its name, as it is now.
    pub name: String,
}

/// A tool call that is to be recorded.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The tenant of the caller.
    pub tenant: TenantId,
    /// The project that it was about, if it named one that the caller reaches.
    pub project: Option<ProjectId>,
    /// Who called.
    pub actor: Actor,
    /// The API key that it came with, if it was one.
    pub key: Option<KeyId>,
    /// The tool's name as it was given; there may be no such tool.
    pub tool: String,
    /// The scope that the tool needs; none if there is no such tool.
    pub scope: Option<Scope>,
    /// The [`fingerprint`] of its arguments.
    pub arguments: [u8; 32],
    /// What became of it.
    pub result: Outcome,
    /// What went wrong, in short, such as the code that was answered.
    pub error: Option<String>,
    /// How long it took.
    pub duration: Duration,
    /// When it was called.
    pub at: Time,
    /// Where it was called from.
    pub ip: Option<IpAddr>,
    /// What called, by its own words.
    pub user_agent: Option<String>,
}

/// A tool call as it is recorded: text as it stands there, so that what somebody has changed can be shown too.
#[derive(Clone, Debug)]
pub struct ToolCall {
    /// The record's id.
    pub id: ToolCallId,
    /// The project that it was about.
    pub project: Option<ProjectId>,
    /// The [`PrincipalKind`] of who called.
    pub actor_kind: String,
    /// Who called.
    pub actor_id: PrincipalId,
    /// The name it had then.
    pub actor_name: String,
    /// The API key that it came with.
    pub key: Option<KeyId>,
    /// The tool's name as it was given.
    pub tool: String,
    /// The [`Scope`] that the tool needs.
    pub scope: Option<String>,
    /// SHA-256 of the arguments in canonical form.
    pub arguments_hash: Vec<u8>,
    /// The [`Outcome`].
    pub result: String,
    /// What went wrong, in short.
    pub error: Option<String>,
    /// How long it took, in microseconds.
    pub duration_us: i64,
    /// When it was called.
    pub called_at: Time,
    /// Where it was called from.
    pub ip: Option<String>,
    /// What called, by its own words.
    pub user_agent: Option<String>,
}

impl ToolCall {
    /// What is stored of a call: text from outside is bounded and on one line.
    fn new(id: ToolCallId, entry: Entry) -> Self {
        Self {
            id,
            project: entry.project,
            actor_kind: entry.actor.kind.as_str().to_owned(),
            actor_id: entry.actor.id,
            actor_name: bounded(&entry.actor.name, NAME),
            key: entry.key,
            tool: bounded(&entry.tool, NAME),
            scope: entry.scope.map(|scope| scope.as_str().to_owned()),
            arguments_hash: entry.arguments.to_vec(),
            result: entry.result.as_str().to_owned(),
            error: entry.error.map(|error| bounded(&error, WORDS)),
            duration_us: i64::try_from(entry.duration.as_micros()).unwrap_or(i64::MAX),
            called_at: whole_microseconds(entry.at),
            ip: entry.ip.map(|ip| ip.to_canonical().to_string()),
            user_agent: entry.user_agent.map(|words| bounded(&words, WORDS)),
        }
    }
}

/// A tool call in its place in a chain.
#[derive(Clone, Debug)]
struct Record {
    tenant: TenantId,
    /// Names the chain.
    writer: Uuid,
    /// 1, 2, 3 … in the chain.
    position: i64,
    previous_hash: Vec<u8>,
    hash: Vec<u8>,
    call: ToolCall,
}

/// SHA-256 of a tool's arguments in canonical form (RFC 8785): the same for the same arguments, however they were
/// written.
pub fn fingerprint(arguments: &Value) -> [u8; 32] {
    // Only numbers that JSON has no form for cannot be put into canonical form, and a `Value` has none of those.
    let canonical = serde_json_canonicalizer::to_vec(arguments);
    Sha256::digest(canonical.unwrap_or_else(|_| arguments.to_string().into_bytes())).into()
}

/// Where tool calls are recorded; a clone is another handle to the same.
#[derive(Clone)]
pub struct AuditLog {
    commit: Arc<GroupCommit<Pending, ()>>,
    writer: Arc<Writer>,
}

impl AuditLog {
    /// Starts the group commit.
    ///
    /// # Errors
    /// A master key that no key can be derived from, which none is.
    pub fn start(database: Database, vault: &Vault, ids: Ids) -> Result<Self> {
        let writer = Arc::new(Writer::new(database, vault, ids)?);
        // One after the other: each record is chained to the one before.
        let gathering = Gathering { queue: QUEUE, batch: BATCH, writers: 1, linger: Duration::ZERO };
        let commit = GroupCommit::start(gathering, {
            let writer = Arc::clone(&writer);
            move |batch| {
                let writer = Arc::clone(&writer);
                Box::pin(async move { writer.commit(batch).await })
            }
        });
        Ok(Self { commit: Arc::new(commit), writer })
    }

    /// Records a call; it is on disk when this returns. Those who record at once share a transaction. Once begun it
    /// is carried out, even if the caller goes away.
    ///
    /// # Errors
    /// `unavailable` when it cannot be recorded now, and the database's; the call must not be answered as if it
    /// were recorded.
    pub async fn record(&self, entry: Entry) -> Result<()> {
        self.commit.submit(self.writer.pending(entry)).await
    }

    /// Records a call in the transaction of what it changed: both are on disk or neither is. To be called last, because
    /// others of the tenant that do the same wait from here to the commit.
    ///
    /// # Errors
    /// The database's, and `internal` for a call of another tenant than the transaction's.
    pub async fn record_in(&self, tx: &Tx<'_>, entry: Entry) -> Result<()> {
        self.record_all_in(tx, vec![entry]).await
    }

    /// The same for calls that change something together, in their order.
    ///
    /// # Errors
    /// Those of [`AuditLog::record_in`].
    pub async fn record_all_in(&self, tx: &Tx<'_>, entries: Vec<Entry>) -> Result<()> {
        if entries.iter().any(|entry| entry.tenant != tx.tenant()) {
            return Err(Error::internal("a tool call was to be recorded in another tenant's transaction"));
        }
        self.writer.record_all_in(tx, entries).await
    }

    fn seals(&self) -> &Seals {
        &self.writer.seals
    }
}

/// Which calls are meant.
#[derive(Clone, Debug, Default)]
pub struct ToolCallFilter {
    /// Only calls about these projects.
    pub projects: Option<Vec<ProjectId>>,
    /// Only calls of this principal.
    pub actor: Option<PrincipalId>,
    /// Only calls of this tool.
    pub tool: Option<String>,
    /// Only calls with this outcome.
    pub result: Option<Outcome>,
    /// Only calls from then on.
    pub from: Option<Time>,
    /// Only calls before then.
    pub until: Option<Time>,
}

/// Narrows a filter to what a principal may see: one project, or all that it reaches.
///
/// # Errors
/// `not_found` for a project out of reach.
async fn within(
    app: &App,
    principal: &Principal,
    project: Option<ProjectId>,
    filter: ToolCallFilter,
) -> Result<ToolCallFilter> {
    let projects = match project {
        Some(project) => Some(vec![projects::reach(app, principal, project).await?.id]),
        None => principal.project_ids(),
    };
    Ok(ToolCallFilter { projects, ..filter })
}

/// Up to `limit` recorded calls behind `after`, newest first.
///
/// # Errors
/// The database's.
pub async fn list_tool_calls(
    app: &App,
    tenant: TenantId,
    filter: ToolCallFilter,
    after: Option<ToolCallId>,
    limit: u64,
) -> Result<Vec<ToolCall>> {
    app.database
        .read(tenant, move |tx| Box::pin(async move { store::list(tx, &filter, after, limit).await }))
        .await
}
