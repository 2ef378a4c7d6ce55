//! Conflicts: what clashes in a project, found as soon as it does.
//!
//! That is [`drift`] between documents, which each scan of the repository looks for ([`detect`]): a story that builds on
//! `docs/prd.md@v1` while the PRD is at v3, or on a document that is gone. And it is what several edit at a time
//! ([`edits`]): files that two have reserved, or that somebody pushed and somebody else had reserved. A conflict is open
//! until its cause is gone, which the next scan sees or the end of a reservation, or until somebody settles it and says
//! why; what somebody has settled is not told again for the same cause. A resolved conflict stays in the list of all, with
//! who resolved it and why.
//!
//! What is found and what is resolved goes to the project's log, in the transaction of the scan that saw it.

mod api;
mod detect;
mod drift;
pub mod edits;
mod store;
mod tools;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::json;

pub use self::{
    api::{ConflictsApi, OpenConflictsOut},
    detect::detect,
    edits::Edit,
    tools::{ListConflicts, ResolveConflict},
};
use crate::{
    accounts::{Principal, PrincipalId},
    app::App,
    artifacts::{
        ArtifactId,
        scan::{self, ScanState},
    },
    audit::CallRecord,
    clock::Time,
    database::Tx,
    error::{Code, Error, Result},
    events::{EventName, NewEvent},
    gates,
    projects::{self, ProjectId},
    prose::parse_text,
    wire::{Found, Page, Timestamp, id_type, wire_enum},
};

/// Characters of a reason.
const REASON: usize = 1000;

id_type! {
    /// Names a conflict; later ones have greater names.
    ConflictId
}

wire_enum! {
    /// What kind of clash a conflict is.
    ConflictKind {
        /// A document builds on another version of a document than there is.
        VersionMismatch = "version_mismatch",
        /// A document builds on one that is not there.
        DependencyBroken = "dependency_broken",
        /// Several work on one document at the same time.
        ConcurrentEdit = "concurrent_edit",
        /// Several have reserved the same paths.
        ReservationOverlap = "reservation_overlap",
        /// Somebody changed what somebody else has reserved.
        ReservationViolated = "reservation_violated",
    }
}

wire_enum! {
    /// How bad a conflict is.
    Severity {
        /// Good to know.
        Info = "info",
        /// Look at it before you build on it.
        Warning = "warning",
        /// What builds on it is wrong.
        Critical = "critical",
    }
}

wire_enum! {
    /// Which conflicts are listed.
    ConflictState {
        /// Those that are open.
        Open = "open",
        /// Those that are resolved.
        Resolved = "resolved",
        /// Both.
        All = "all",
    }
}

/// A clash that was found.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// Its id.
    pub id: ConflictId,
    /// What kind of clash it is.
    pub kind: ConflictKind,
    /// How bad it is.
    pub severity: Severity,
    /// The document that depends on another, in conflicts between documents.
    pub artifact: Option<ArtifactId>,
    /// What clashes.
    pub details: Details,
    /// When it was found.
    pub detected_at: Time,
    /// How it was resolved; none while it is open.
    pub resolution: Option<Resolution>,
}

/// What clashes: a document, and what it builds on; or what one edits, and what another does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// Where the document is, or was when it was resolved.
    pub artifact_path: String,
    /// Where what it builds on is, or should be.
    pub dependency_path: String,
    /// The version that it builds on, as it writes it.
    pub wanted_version: Option<String>,
    /// The version that there is, as that writes it.
    pub found_version: Option<String>,
    /// Who edits what, in conflicts between those who do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<Edit>,
}

impl Details {
    /// What is told of a project goes by the path of the document, then of what it builds on.
    fn place(&self) -> (&str, &str) {
        (&self.artifact_path, &self.dependency_path)
    }
}

/// How a conflict was resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// When.
    pub at: Time,
    /// Who; none if its cause went away.
    pub by: Option<Resolver>,
    /// Why.
    pub why: String,
}

/// Who resolved a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolver {
    /// The principal.
    pub id: PrincipalId,
    /// The name it had then.
    pub name: String,
}

impl Conflict {
    /// What is wrong, and what to do.
    pub fn message(&self) -> String {
        match &self.details.edit {
            Some(edit) => edits::message(self.kind, &self.details, edit),
            None => drift::message(self.kind, &self.details),
        }
    }
}

fn event(name: EventName, conflict: &Conflict) -> NewEvent {
    let mut payload = json!({
        "id": conflict.id.0,
        "kind": conflict.kind,
        "severity": conflict.severity,
        "artifactId": conflict.artifact.map(|artifact| artifact.0),
        "artifactPath": conflict.details.artifact_path,
        "dependencyPath": conflict.details.dependency_path,
        "wantedVersion": conflict.details.wanted_version,
        "foundVersion": conflict.details.found_version,
        "message": conflict.message(),
    });
    if let Some(edit) = &conflict.details.edit {
        payload["edit"] = json!(edit);
    }
    if let Some(Resolution { by, why, .. }) = &conflict.resolution {
        payload["resolvedBy"] = json!(by.as_ref().map(|by| by.id.0));
        payload["resolverName"] = json!(by.as_ref().map(|by| &by.name));
        payload["resolution"] = json!(why);
    }
    NewEvent { name, payload }
}

/// Which conflicts are meant.
#[derive(Clone, Copy, Debug)]
pub struct ConflictFilter {
    /// Open or resolved ones, or both.
    pub state: ConflictState,
    /// Those of this kind.
    pub kind: Option<ConflictKind>,
    /// Those that are as bad as this.
    pub severity: Option<Severity>,
    /// Those of this document, which depends on another.
    pub artifact: Option<ArtifactId>,
}

/// A page of a project's conflicts, newest first, and one more if there are more.
///
/// # Errors
/// `not_found` for a project out of reach.
pub async fn list_conflicts(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    filter: ConflictFilter,
    page: Page<ConflictId>,
) -> Result<Found<Conflict>> {
    projects::reach(app, principal, project).await?;
    app.database
        .read(principal.tenant, move |tx| {
            Box::pin(async move { store::list(tx, project, filter, &page).await })
        })
        .await
}

/// A conflict, open or resolved.
///
/// # Errors
/// `not_found` for a project or conflict out of reach.
pub async fn get_conflict(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    id: ConflictId,
) -> Result<Conflict> {
    projects::reach(app, principal, project).await?;
    app.database.read(principal.tenant, move |tx| Box::pin(find(tx, project, id))).await
}

async fn find(tx: &Tx<'_>, project: ProjectId, id: ConflictId) -> Result<Conflict> {
    store::find(tx, project, id).await?.ok_or_else(|| Error::not_found("conflict"))
}

/// The open conflicts of some documents.
///
/// # Errors
/// The database's.
pub async fn open_of(tx: &Tx<'_>, project: ProjectId, documents: &[ArtifactId]) -> Result<Vec<Conflict>> {
    store::open_of(tx, project, documents).await
}

/// An open conflict between documents, in short: what gates look at.
#[derive(Clone, Copy, Debug)]
pub struct Drifting {
    /// What kind of clash it is.
    pub kind: ConflictKind,
    /// How bad it is.
    pub severity: Severity,
    /// The document that depends on another.
    pub artifact: Option<ArtifactId>,
}

/// The open conflicts between documents of a project, in short.
///
/// # Errors
/// The database's.
pub async fn drifting(tx: &Tx<'_>, project: ProjectId) -> Result<Vec<Drifting>> {
    store::drifting(tx, project, detect::KINDS).await
}

/// How many conflicts of a project are open, by how bad they are; those that none are of are left out.
///
/// # Errors
/// The database's.
pub async fn count_open(tx: &Tx<'_>, project: ProjectId) -> Result<BTreeMap<Severity, u64>> {
    store::count_open(tx, project).await
}

/// Settles a conflict, though its cause may hold: the same cause is not told again. `record` is that of the tool call
/// that asks for it, if it was one.
///
/// # Errors
/// `not_found` for a project or conflict out of reach, `invalid_request` for a reason that says nothing, `conflict`
/// for one that is resolved already.
pub async fn resolve_conflict(
    app: &Arc<App>,
    principal: &Principal,
    project: ProjectId,
    id: ConflictId,
    reason: &str,
    record: CallRecord,
) -> Result<Conflict> {
    projects::reach(app, principal, project).await?;
    let why = parse_text("/reason", reason, REASON)?;
    let by = Resolver { id: principal.id, name: principal.name.clone() };
    let context = Arc::clone(app);
    app.database
        .write(principal.tenant, move |tx| {
            Box::pin(async move {
                projects::hold(tx, project).await?;
                let conflict = find(tx, project, id).await?;
                if let Some(resolution) = conflict.resolution {
                    return Err(resolved_already(&resolution));
                }
                let resolution = Resolution { at: context.clock.now(), by: Some(by), why };
                store::resolve(tx, project, &[id], &resolution).await?;
                let conflict = Conflict { resolution: Some(resolution), ..conflict };
                let event = event(EventName::ConflictResolved, &conflict);
                gates::tell(&context, tx, project, vec![event]).await?;
                record.write(tx).await?;
                Ok(conflict)
            })
        })
        .await
}

fn resolved_already(Resolution { at, by, why }: &Resolution) -> Error {
    let at = Timestamp(*at);
    let how = match by {
        Some(by) => format!("{} ({}) resolved this at {at}: {why}", by.name, by.id),
        None => format!("this resolved itself at {at}: {why}"),
    };
    Error::new(Code::Conflict, format!("{how}; there is nothing left to do"))
}

/// What looking for drift did.
#[derive(Clone, Debug)]
pub struct Detection {
    /// Conflicts that were found.
    pub detected: u64,
    /// Conflicts whose cause is gone.
    pub resolved: u64,
    /// How many are open now, by how bad they are.
    pub open: BTreeMap<Severity, u64>,
}

/// Looks for drift now, as happens at the end of each scan. While one is under way, documents are half read, and it is
/// left to that.
///
/// # Errors
/// `not_found` for a project out of reach.
pub async fn detect_conflicts(
    app: &Arc<App>,
    principal: &Principal,
    project: ProjectId,
) -> Result<Detection> {
    projects::reach(app, principal, project).await?;
    let context = Arc::clone(app);
    app.database
        .write(principal.tenant, move |tx| {
            Box::pin(async move {
                projects::hold(tx, project).await?;
                let is_read = scan::find(&context, tx, project).await?.state == ScanState::Running;
                let events = if is_read { Vec::new() } else { detect(&context, tx, project).await? };
                let count = |name| events.iter().filter(|event| event.name == name).count() as u64;
                let (detected, resolved) =
                    (count(EventName::ConflictDetected), count(EventName::ConflictResolved));
                let open = count_open(tx, project).await?;
                gates::tell(&context, tx, project, events).await?;
                Ok(Detection { detected, resolved, open })
            })
        })
        .await
}

/// Removes up to `limit` conflicts of a deleted project; gives their number.
///
/// # Errors
/// The database's.
pub async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    store::purge(tx, project, limit).await
}
