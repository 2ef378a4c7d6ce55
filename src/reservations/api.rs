//! Reservations over REST.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde::Deserialize;

use super::{
    Reservation, ReservationFilter, ReservationId, ReservationMode,
    reserving::{self, Asked, Checked, PathState, Reserved},
};
use crate::{
    accounts::{Caller, PrincipalId, scope},
    app::App,
    audit::CallRecord,
    error::Result,
    projects::ProjectId,
    rest::{Created, Input, Listed, Tag},
    wire::{Page, Timestamp, example},
    work::{WorkItemId, lease::SignOfLife},
};

/// Routes of reservations.
pub struct ReservationsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Work")]
impl ReservationsApi {
    /// List reservations
    ///
    /// Who is editing which files of a project now, oldest first.
    #[oai(path = "/projects/:project_id/reservations", method = "get", operation_id = "list_reservations")]
    async fn list_reservations(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::WorkRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// Only what this principal holds.
        #[oai(name = "holderId")]
        holder_id: Query<Option<PrincipalId>>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<ReservationOut>> {
        let page = Page::parse(limit.0, cursor.0.as_deref())?;
        let filter = ReservationFilter { holder: holder_id.0 };
        let found =
            super::list_reservations(&app, &caller.principal, project_id.0, filter, page.clone()).await?;
        Ok(Listed(page.cut(found.rows, |row| row.id, ReservationOut::from)))
    }

    /// Show a reservation
    ///
    /// One that is held now.
    #[oai(
        path = "/projects/:project_id/reservations/:reservation_id",
        method = "get",
        operation_id = "get_reservation"
    )]
    async fn get_reservation(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::WorkRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The reservation.
        reservation_id: Path<ReservationId>,
    ) -> Result<Json<ReservationOut>> {
        let found = super::get_reservation(&app, &caller.principal, project_id.0, reservation_id.0).await?;
        Ok(Json(found.into()))
    }

    /// Check paths
    ///
    /// Who else is editing files: for each path what others have reserved of it, and whether the caller may edit it.
    #[oai(path = "/projects/:project_id/reservations/check", method = "post", operation_id = "check_paths")]
    async fn check_paths(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::WorkRead>,
        /// The project.
        project_id: Path<ProjectId>,
        body: Input<CheckIn>,
    ) -> Result<Json<CheckOut>> {
        let checked = reserving::check_paths(&app, &caller.principal, project_id.0, &body.0.paths).await?;
        Ok(Json(CheckOut { paths: checked.into_iter().map(CheckedOut::from).collect() }))
    }

    /// Reserve paths
    ///
    /// All of them or none, for as long as the caller is seen to be alive. What overlaps with the reservation of somebody
    /// else, and is not shared by both, is refused with `already_reserved`, or told to both as a conflict if `report` asks
    /// for that.
    #[oai(path = "/projects/:project_id/reservations", method = "post", operation_id = "reserve_paths")]
    async fn reserve_paths(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::WorkWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        body: Input<ReserveIn>,
    ) -> Result<Created<ReservedOut>> {
        let ReserveIn { paths, mode, work_item_id, branch, purpose, lease_seconds, report } = body.0;
        let report = report.unwrap_or(false);
        let asked = Asked { paths, mode, work_item: work_item_id, branch, purpose, lease_seconds, report };
        let (project, record) = (project_id.0, CallRecord::none());
        let reserved = reserving::reserve_paths(&app, &caller.principal, project, asked, record).await?;
        let location = format!("/api/v1/projects/{project}/reservations/{}", reserved.reservation.id);
        Ok(Created::at(location, reserved.into()))
    }

    /// Renew a reservation
    ///
    /// A sign of life: it is held for another while.
    #[oai(
        path = "/projects/:project_id/reservations/:reservation_id/renew",
        method = "post",
        operation_id = "renew_paths"
    )]
    async fn renew_paths(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::WorkWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The reservation.
        reservation_id: Path<ReservationId>,
        body: Input<RenewIn>,
    ) -> Result<Json<ReservedOut>> {
        let RenewIn { fencing_token, lease_seconds } = body.0;
        let (project, named) = (project_id.0, (reservation_id.0, fencing_token));
        let record = CallRecord::none();
        let renewed =
            reserving::renew_paths(&app, &caller.principal, project, named, lease_seconds, record).await?;
        Ok(Json(renewed.into()))
    }

    /// Release a reservation
    ///
    /// Others may edit its files. Without `fencingToken` this takes it away from whoever holds it, which needs the scope
    /// `projects.write`.
    #[oai(
        path = "/projects/:project_id/reservations/:reservation_id/release",
        method = "post",
        operation_id = "release_paths"
    )]
    async fn release_paths(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::WorkWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The reservation.
        reservation_id: Path<ReservationId>,
        body: Input<GiveBackIn>,
    ) -> Result<Json<ReservationOut>> {
        let GiveBackIn { fencing_token, reason } = body.0;
        let (project, named) = (project_id.0, (reservation_id.0, fencing_token));
        let (reason, record) = (reason.as_deref(), CallRecord::none());
        let freed = reserving::release_paths(&app, &caller.principal, project, named, reason, record).await?;
        Ok(Json(freed.into()))
    }
}

/// Which files somebody is about to edit.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", rename = "CheckPaths", deny_unknown_fields, example)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CheckIn {
    /// 1 to 50 patterns in the syntax of gitignore, from the repository's root: `src/main.rs`, `/README.md`, `docs/**`.
    paths: Vec<String>,
}

example!(CheckIn, { "paths": ["src/signin/mod.rs", "docs/**"] });

/// Which files to reserve.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", rename = "ReservePaths", deny_unknown_fields, example)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReserveIn {
    /// 1 to 50 patterns in the syntax of gitignore, each of at most 250 characters. A name without a slash is meant in
    /// every folder.
    paths: Vec<String>,
    /// With whom they are edited; `exclusive` if not given.
    mode: Option<ReservationMode>,
    /// The item of work that it is for.
    work_item_id: Option<WorkItemId>,
    /// The branch on which the caller works: pushes to it and runs on it are signs of life.
    branch: Option<String>,
    /// What for, on one line of up to 200 characters.
    purpose: Option<String>,
    /// For how long each sign of life holds them, 30 to 14400 (900 if not given).
    lease_seconds: Option<i64>,
    /// Whether to reserve what overlaps, too, and to tell both of it.
    report: Option<bool>,
}

example!(ReserveIn, {
    "paths": ["src/signin/**", "/README.md"], "branch": "feature/passkey", "purpose": "sign in with a passkey"
});

/// A sign of life.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", rename = "RenewPaths", deny_unknown_fields, example)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RenewIn {
    /// The reservation's fencing token.
    fencing_token: i64,
    /// For how long each sign of life holds it from now on, 30 to 14400.
    lease_seconds: Option<i64>,
}

example!(RenewIn, { "fencingToken": 7 });

/// Why it is given back.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", rename = "ReleasePaths", deny_unknown_fields, example)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GiveBackIn {
    /// The reservation's fencing token; left out by who takes it away from its holder.
    fencing_token: Option<i64>,
    /// Why, up to 2000 characters.
    reason: Option<String>,
}

example!(GiveBackIn, { "fencingToken": 7 });

/// Files that somebody is editing.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Reservation", example)]
struct ReservationOut {
    /// Its id.
    id: ReservationId,
    /// With whom they are edited.
    mode: ReservationMode,
    /// Patterns of their paths, as they were written.
    paths: Vec<String>,
    /// The item of work that it is for.
    work_item_id: Option<WorkItemId>,
    /// The branch on which the holder works.
    branch: Option<String>,
    /// What for, in the holder's words.
    purpose: Option<String>,
    /// Who holds it.
    holder_id: PrincipalId,
    /// The name which that had then.
    holder_name: String,
    /// Since when it is held.
    reserved_at: Timestamp,
    /// When it runs out, without another sign of life.
    expires_at: Timestamp,
    /// The last sign of life.
    last_seen_at: Timestamp,
    /// What that was.
    last_seen_by: SignOfLife,
}

example!(ReservationOut, {
    "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "mode": "exclusive",
    "paths": ["src/signin/**", "/README.md"],
    "workItemId": null,
    "branch": "feature/passkey",
    "purpose": "sign in with a passkey",
    "holderId": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3d",
    "holderName": "ada",
    "reservedAt": "2026-11-22T09:00:00Z",
    "expiresAt": "2026-11-22T09:15:00Z",
    "lastSeenAt": "2026-11-22T09:00:00Z",
    "lastSeenBy": "reservation"
});

impl From<Reservation> for ReservationOut {
    fn from(reservation: Reservation) -> Self {
        Self {
            id: reservation.id,
            mode: reservation.mode,
            paths: reservation.paths().into_iter().map(str::to_owned).collect(),
            work_item_id: reservation.work_item,
            branch: reservation.branch,
            purpose: reservation.purpose,
            holder_id: reservation.holder.id,
            holder_name: reservation.holder.name,
            reserved_at: reservation.reserved_at.into(),
            expires_at: reservation.expires_at.into(),
            last_seen_at: reservation.seen_at.into(),
            last_seen_by: reservation.seen_by,
        }
    }
}

/// What was reserved, and what it takes to go on with it and to give it back.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "ReservedPaths")]
struct ReservedOut {
    /// The reservation: every later write names it.
    reservation_id: ReservationId,
    /// The same, by the name that claims on work give it.
    lease_id: ReservationId,
    /// Its fencing token: every later write names it.
    fencing_token: i64,
    /// When it runs out, without another sign of life.
    expires_at: Timestamp,
    /// The reservation.
    reservation: ReservationOut,
    /// What it overlaps with, for who asked to be told rather than refused.
    #[oai(default, skip_serializing_if_is_empty)]
    overlaps: Vec<ReservationOut>,
}

impl From<Reserved> for ReservedOut {
    fn from(Reserved { reservation, overlaps }: Reserved) -> Self {
        Self {
            reservation_id: reservation.id,
            lease_id: reservation.id,
            fencing_token: reservation.fence,
            expires_at: reservation.expires_at.into(),
            reservation: reservation.into(),
            overlaps: overlaps.into_iter().map(|overlap| overlap.with.into()).collect(),
        }
    }
}

/// What others have reserved of some paths.
#[derive(Object)]
#[oai(rename = "PathsChecked")]
struct CheckOut {
    /// Each path, in the order in which they were asked for.
    paths: Vec<CheckedOut>,
}

/// Reservations that are told of one path.
const TOLD: usize = 20;

/// What others have reserved of a path.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "PathChecked")]
struct CheckedOut {
    /// As it was asked for.
    path: String,
    /// Whether the caller may edit it.
    state: PathState,
    /// The first 20 reservations of others that it is in, those for themselves alone first.
    by: Vec<ReservationOut>,
    /// How many more there are.
    left: u64,
}

impl From<Checked> for CheckedOut {
    fn from(Checked { path, state, by }: Checked) -> Self {
        let left = by.len().saturating_sub(TOLD) as u64;
        Self { path, state, by: by.into_iter().take(TOLD).map(ReservationOut::from).collect(), left }
    }
}
