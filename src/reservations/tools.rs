//! Reservations as agents see them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ReservationId, ReservationMode,
    reserving::{self, Asked, Checked, Reserved},
    show,
};
use crate::{
    accounts::{Principal, PrincipalId, Scope},
    app::App,
    audit::CallRecord,
    error::{Error, Result},
    mcp::{Answer, Tool, WritingTool},
    projects::ProjectId,
    wire::Timestamp,
    work::WorkItemId,
};

/// Who wrote what is told of reservations.
const AUTHORS: &str = "whoever may write in this project";
/// Reservations that are told of one path.
const TOLD: usize = 5;

/// `check_paths`
pub struct CheckPaths;

/// Arguments of [`CheckPaths`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckPathsArguments {
    project_id: ProjectId,
    /// gitignore patterns from the root, at most 50
    paths: Vec<String>,
}

impl Tool for CheckPaths {
    const NAME: &'static str = "check_paths";
    const TITLE: &'static str = "Check paths";
    const ABOUT: &'static str = "Who else is editing files: free, shared or held, by path.";
    const SCOPE: Scope = Scope::WorkRead;
    type Arguments = CheckPathsArguments;

    async fn call(app: Arc<App>, principal: Arc<Principal>, asked: Self::Arguments) -> Result<Answer> {
        let now = app.clock.now();
        let checked = reserving::check_paths(&app, &principal, asked.project_id, &asked.paths).await?;
        let rows = checked.iter().map(|checked| row(checked, principal.id));
        Ok(Answer::rows(now, "paths", rows, None).quoting(&["paths"], AUTHORS))
    }
}

/// A path that was looked at, and who has reserved it.
fn row(checked: &Checked, who: PrincipalId) -> Value {
    let by = checked.by.iter().take(TOLD).map(|reservation| show::holder(reservation, who));
    let mut row = json!({"path": checked.path, "state": checked.state});
    if !checked.by.is_empty() {
        row["by"] = by.collect();
    }
    if checked.by.len() > TOLD {
        row["left"] = json!(checked.by.len() - TOLD);
    }
    row
}

/// `reserve_paths`
pub struct ReservePaths;

/// Arguments of [`ReservePaths`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReservePathsArguments {
    project_id: ProjectId,
    paths: Option<Vec<String>>,
    /// exclusive if not given
    mode: Option<ReservationMode>,
    work_item_id: Option<WorkItemId>,
    branch: Option<String>,
    purpose: Option<String>,
    lease_seconds: Option<i64>,
    /// take them though they overlap
    report: Option<bool>,
    /// renews that one
    #[serde(alias = "leaseId")]
    reservation_id: Option<ReservationId>,
    fencing_token: Option<i64>,
}

impl WritingTool for ReservePaths {
    const NAME: &'static str = "reserve_paths";
    const TITLE: &'static str = "Reserve paths";
    const ABOUT: &'static str =
        "Before you edit: keep others off files, all or none. Keep reservationId and fencingToken.";
    const SCOPE: Scope = Scope::WorkWrite;
    const DESTROYS: bool = false;
    const IS_IDEMPOTENT: bool = false;
    type Arguments = ReservePathsArguments;

    async fn call(
        app: Arc<App>,
        principal: Arc<Principal>,
        record: CallRecord,
        asked: Self::Arguments,
    ) -> Result<Answer> {
        let project = asked.project_id;
        let reserved = match (asked.reservation_id, asked.fencing_token) {
            (Some(id), Some(fence)) => {
                let lasts = asked.lease_seconds;
                reserving::renew_paths(&app, &principal, project, (id, fence), lasts, record).await?
            }
            (None, None) => {
                let asked = Asked {
                    paths: asked.paths.unwrap_or_default(),
                    mode: asked.mode,
                    work_item: asked.work_item_id,
                    branch: asked.branch,
                    purpose: asked.purpose,
                    lease_seconds: asked.lease_seconds,
                    report: asked.report.unwrap_or(false),
                };
                reserving::reserve_paths(&app, &principal, project, asked, record).await?
            }
            (id, _) => {
                let missing = if id.is_some() { "/fencingToken" } else { "/reservationId" };
                let why = "to renew takes `reservationId` and `fencingToken`; leave out both to reserve anew";
                return Err(Error::invalid_field(missing, why));
            }
        };
        let answer = Answer::new(app.clock.now(), told(&reserved, principal.id));
        Ok(if reserved.overlaps.is_empty() { answer } else { answer.quoting(&["overlaps"], AUTHORS) })
    }
}

/// What was reserved, and what it takes to go on with it and to give it back.
fn told(Reserved { reservation, overlaps }: &Reserved, who: PrincipalId) -> Vec<(&'static str, Value)> {
    let mut told = vec![
        ("reservationId", json!(reservation.id.0)),
        ("leaseId", json!(reservation.id.0)),
        ("fencingToken", reservation.fence.into()),
        ("expiresAt", Timestamp(reservation.expires_at).to_string().into()),
        ("mode", json!(reservation.mode)),
        ("paths", json!(reservation.paths())),
    ];
    if !overlaps.is_empty() {
        told.push(("overlaps", show::overlaps(overlaps, who)));
    }
    told
}

/// `release_paths`
pub struct ReleasePaths;

/// Arguments of [`ReleasePaths`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleasePathsArguments {
    project_id: ProjectId,
    #[serde(alias = "leaseId")]
    reservation_id: ReservationId,
    fencing_token: i64,
}

impl WritingTool for ReleasePaths {
    const NAME: &'static str = "release_paths";
    const TITLE: &'static str = "Release paths";
    const ABOUT: &'static str = "Give reserved files back.";
    const SCOPE: Scope = Scope::WorkWrite;
    const DESTROYS: bool = false;
    const IS_IDEMPOTENT: bool = false;
    type Arguments = ReleasePathsArguments;

    async fn call(
        app: Arc<App>,
        principal: Arc<Principal>,
        record: CallRecord,
        asked: Self::Arguments,
    ) -> Result<Answer> {
        let ReleasePathsArguments { project_id, reservation_id, fencing_token } = asked;
        let named = (reservation_id, Some(fencing_token));
        let freed = reserving::release_paths(&app, &principal, project_id, named, None, record).await?;
        let fields = [("reservationId", json!(freed.id.0)), ("paths", json!(freed.paths()))];
        Ok(Answer::new(app.clock.now(), fields))
    }
}
