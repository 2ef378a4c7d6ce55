//! The rows of reservations, of where their patterns lie, of what branches change, and of who changed which documents just
//! now.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use entity::{
    branch_file, document_touch,
    reservation::{ActiveModel, Column, Entity, Model},
    reservation_head, reservation_path,
};
use sea_orm::{
    ActiveValue::Set, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, prelude::*,
};

use super::{
    Reservation, ReservationFilter, ReservationId, ReservationMode, patterns::Pattern, touched::Touched,
};
use crate::{
    accounts::{Credential, PrincipalId},
    clock::Time,
    database::{DoorTx, Due, Place, PlaceColumns, Tx},
    error::{Error, Result},
    projects::ProjectId,
    wire::{Found, Page},
    work::{WorkItemId, heard::Heard, lease::Holder},
};

/// A project's reservations.
fn of(tx: &Tx<'_>, project: ProjectId) -> Select<Entity> {
    tx.find::<Entity>().filter(Column::ProjectId.eq(project.0))
}

async fn reservations(tx: &Tx<'_>, query: Select<Entity>) -> Result<Vec<Reservation>> {
    query.all(tx.conn()).await?.into_iter().map(to_reservation).collect()
}

/// A reservation, also one that has run out and was not swept yet.
pub(super) async fn find(tx: &Tx<'_>, project: ProjectId, id: ReservationId) -> Result<Option<Reservation>> {
    let row = of(tx, project).filter(Column::Id.eq(id.0)).one(tx.conn()).await?;
    row.map(to_reservation).transpose()
}

pub(super) async fn by_ids(
    tx: &Tx<'_>,
    project: ProjectId,
    ids: impl IntoIterator<Item = ReservationId>,
) -> Result<Vec<Reservation>> {
    let ids: Vec<_> = ids.into_iter().map(|id| id.0).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    reservations(tx, of(tx, project).filter(tx.one_of(Column::Id, ids)).order_by_asc(Column::Id)).await
}

/// A page of what is reserved at a time, oldest first.
pub(super) async fn list(
    tx: &Tx<'_>,
    project: ProjectId,
    ReservationFilter { holder }: ReservationFilter,
    now: Time,
    page: &Page<ReservationId>,
) -> Result<Found<Reservation>> {
    let mut query = of(tx, project).filter(Column::ExpiresAt.gt(now)).order_by_asc(Column::Id);
    if let Some(after) = page.after {
        query = query.filter(Column::Id.gt(after.0));
    }
    if let Some(holder) = holder {
        query = query.filter(Column::HolderId.eq(holder.0));
    }
    tx.page(query, Column::Id, page).await?.try_map(to_reservation)
}

/// How many there are at a time.
pub(super) async fn count(tx: &Tx<'_>, project: ProjectId, now: Time) -> Result<u64> {
    Ok(of(tx, project).filter(Column::ExpiresAt.gt(now)).count(tx.conn()).await?)
}

/// Those that are held on the branches, or by the principals, that were heard of.
pub(super) async fn held_on(
    tx: &Tx<'_>,
    project: ProjectId,
    heard: &[Heard<'_>],
) -> Result<Vec<Reservation>> {
    let theirs = Heard::about(heard, tx, (Column::HolderId, Column::Branch));
    reservations(tx, of(tx, project).filter(theirs)).await
}

/// Those that some principals hold for items of work.
pub(super) async fn held_for_work(
    tx: &Tx<'_>,
    project: ProjectId,
    whose: impl Iterator<Item = PrincipalId>,
) -> Result<Vec<Reservation>> {
    let theirs = of(tx, project).filter(tx.one_of(Column::HolderId, whose.map(|principal| principal.0)));
    reservations(tx, theirs.filter(Column::WorkItemId.is_not_null()).order_by_asc(Column::Id)).await
}

/// The reserved patterns whose prefixes let them overlap with some, by two look-ups: at their prefixes and in the folders
/// above, and below their prefixes.
pub(super) async fn near(
    tx: &Tx<'_>,
    project: ProjectId,
    patterns: &[Pattern],
) -> Result<BTreeSet<(ReservationId, String)>> {
    use reservation_path::{Column, Entity};
    let at_and_above: BTreeSet<&str> =
        patterns.iter().flat_map(|pattern| pattern.folders().chain([pattern.prefix()])).collect();
    let below: BTreeSet<&str> =
        patterns.iter().filter(|pattern| !pattern.is_file()).map(Pattern::prefix).collect();
    let mut near = BTreeSet::new();
    for (is_prefix, folders) in [(true, at_and_above), (false, below)] {
        if folders.is_empty() {
            continue;
        }
        let rows: Vec<(Uuid, String)> = tx
            .find::<Entity>()
            .filter(Column::ProjectId.eq(project.0))
            .filter(Column::IsPrefix.eq(is_prefix))
            .filter(tx.one_of(Column::Folder, folders.into_iter().map(str::to_owned)))
            .select_only()
            .columns([Column::ReservationId, Column::Pattern])
            .into_tuple()
            .all(tx.conn())
            .await?;
        near.extend(rows.into_iter().map(|(id, pattern)| (ReservationId(id), pattern)));
    }
    Ok(near)
}

/// The next fencing token of a project, which is given out by that.
pub(super) async fn next_fence(tx: &Tx<'_>, project: ProjectId) -> Result<i64> {
    use reservation_head::{ActiveModel, Column, Entity};
    let head = tx.find::<Entity>().filter(Column::ProjectId.eq(project.0)).one(tx.conn()).await?;
    let fence = head.map_or(0, |head| head.fence) + 1;
    let row = ActiveModel { project_id: Set(project.0), tenant_id: Set(tx.tenant().0), fence: Set(fence) };
    tx.save_all(vec![row], &[Column::ProjectId]).await?;
    Ok(fence)
}

/// Adds a reservation, and where its patterns lie.
pub(super) async fn insert(tx: &Tx<'_>, project: ProjectId, reservation: &Reservation) -> Result<()> {
    let mut paths = Vec::new();
    for pattern in &reservation.patterns {
        let prefix = std::iter::once((pattern.prefix(), true));
        for (folder, is_prefix) in prefix.chain(pattern.folders().map(|folder| (folder, false))) {
            paths.push(reservation_path::ActiveModel {
                reservation_id: Set(reservation.id.0),
                number: Set(i32::try_from(paths.len()).map_err(Error::internal)?),
                tenant_id: Set(tx.tenant().0),
                project_id: Set(project.0),
                pattern: Set(pattern.as_str().to_owned()),
                folder: Set(folder.to_owned()),
                is_prefix: Set(is_prefix),
            });
        }
    }
    tx.insert_all(vec![to_row(tx, project, reservation)?]).await?;
    tx.insert_all(paths).await
}

/// Writes reservations as they are now; their patterns stay.
pub(super) async fn save(tx: &Tx<'_>, project: ProjectId, changed: &[Reservation]) -> Result<()> {
    let rows = changed.iter().map(|reservation| to_row(tx, project, reservation));
    tx.save_all(rows.collect::<Result<_>>()?, &[Column::Id]).await
}

/// Removes reservations.
pub(super) async fn remove(tx: &Tx<'_>, project: ProjectId, ids: &[ReservationId]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let ids = || ids.iter().map(|id| id.0);
    tx.delete::<reservation_path::Entity>()
        .filter(reservation_path::Column::ProjectId.eq(project.0))
        .filter(tx.one_of(reservation_path::Column::ReservationId, ids()))
        .exec(tx.conn())
        .await?;
    tx.delete::<Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(tx.one_of(Column::Id, ids()))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Who changed some documents since a time.
pub(super) async fn touches(
    tx: &Tx<'_>,
    project: ProjectId,
    paths: &BTreeSet<&str>,
    since: Time,
) -> Result<Vec<Touched>> {
    use document_touch::{Column, Entity};
    let rows = tx
        .find::<Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(tx.one_of(Column::Path, paths.iter().map(|path| (*path).to_owned())))
        .filter(Column::TouchedAt.gte(since))
        .order_by_asc(Column::Id)
        .all(tx.conn())
        .await?;
    let touch = |row: document_touch::Model| Touched {
        path: row.path,
        by: PrincipalId(row.principal_id),
        name: row.principal_name,
        at: row.touched_at,
    };
    Ok(rows.into_iter().map(touch).collect())
}

/// Notes who changed documents, each touch by an id, and forgets those from before a time.
pub(super) async fn note_touches(
    tx: &Tx<'_>,
    project: ProjectId,
    touches: Vec<(Uuid, Touched)>,
    before: Time,
) -> Result<()> {
    use document_touch::{ActiveModel, Column, Entity};
    tx.delete::<Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(Column::TouchedAt.lt(before))
        .exec(tx.conn())
        .await?;
    let rows = touches.into_iter().map(|(id, touch)| ActiveModel {
        id: Set(id),
        tenant_id: Set(tx.tenant().0),
        project_id: Set(project.0),
        path: Set(touch.path),
        principal_id: Set(touch.by.0),
        principal_name: Set(touch.name),
        touched_at: Set(touch.at),
    });
    tx.insert_all(rows.collect()).await
}

/// Notes that a push to a branch touched some files, and forgets what was touched before a time.
pub(super) async fn note_files(
    tx: &Tx<'_>,
    project: ProjectId,
    branch: &str,
    paths: impl Iterator<Item = &str>,
    (at, before): (Time, Time),
) -> Result<()> {
    use branch_file::{ActiveModel, Column, Entity};
    tx.delete::<Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(Column::TouchedAt.lt(before))
        .exec(tx.conn())
        .await?;
    let rows = paths.map(|path| ActiveModel {
        tenant_id: Set(tx.tenant().0),
        project_id: Set(project.0),
        branch: Set(branch.to_owned()),
        path: Set(path.to_owned()),
        touched_at: Set(at),
    });
    tx.save_all(rows.collect(), &[Column::ProjectId, Column::Branch, Column::Path]).await
}

/// Up to `limit` files that pushes to a branch have touched.
pub(super) async fn files_of(
    tx: &Tx<'_>,
    project: ProjectId,
    branch: &str,
    limit: u64,
) -> Result<BTreeSet<String>> {
    use branch_file::{Column, Entity};
    let files = tx.find::<Entity>().filter(Column::ProjectId.eq(project.0)).filter(Column::Branch.eq(branch));
    let files = files.order_by_asc(Column::Path).limit(limit).select_only().column(Column::Path);
    let paths: Vec<String> = files.into_tuple().all(tx.conn()).await?;
    Ok(paths.into_iter().collect())
}

/// Forgets what pushes to a branch have touched.
pub(super) async fn forget_files(tx: &Tx<'_>, project: ProjectId, branch: &str) -> Result<()> {
    use branch_file::{Column, Entity};
    let files = tx.delete::<Entity>().filter(Column::ProjectId.eq(project.0));
    files.filter(Column::Branch.eq(branch)).exec(tx.conn()).await?;
    Ok(())
}

pub(super) async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    use reservation_path::Column as OfPath;
    let paths = tx
        .delete_some::<reservation_path::Entity>(
            OfPath::ReservationId,
            OfPath::ProjectId.eq(project.0),
            limit,
        )
        .await?;
    let reserved = tx.delete_some::<Entity>(Column::Id, Column::ProjectId.eq(project.0), limit).await?;
    let condition = reservation_head::Column::ProjectId.eq(project.0);
    let heads = tx
        .delete_some::<reservation_head::Entity>(reservation_head::Column::ProjectId, condition, limit)
        .await?;
    let condition = document_touch::Column::ProjectId.eq(project.0);
    let touches =
        tx.delete_some::<document_touch::Entity>(document_touch::Column::Id, condition, limit).await?;
    let condition = branch_file::Column::ProjectId.eq(project.0);
    let files = tx.delete_some::<branch_file::Entity>(branch_file::Column::Path, condition, limit).await?;
    Ok(paths + reserved + heads + files + touches)
}

fn to_row(tx: &Tx<'_>, project: ProjectId, reservation: &Reservation) -> Result<ActiveModel> {
    let patterns: Vec<_> = reservation.patterns.iter().map(Pattern::as_str).collect();
    Ok(ActiveModel {
        id: Set(reservation.id.0),
        tenant_id: Set(tx.tenant().0),
        project_id: Set(project.0),
        mode: Set(reservation.mode.as_str().to_owned()),
        patterns: Set(serde_json::to_value(patterns).map_err(Error::internal)?),
        work_item_id: Set(reservation.work_item.map(|item| item.0)),
        branch: Set(reservation.branch.clone()),
        purpose: Set(reservation.purpose.clone()),
        fence: Set(reservation.fence),
        holder_id: Set(reservation.holder.id.0),
        holder_name: Set(reservation.holder.name.clone()),
        credential: Set(reservation.holder.credential.map(|it| it.to_string())),
        reserved_at: Set(reservation.reserved_at),
        expires_at: Set(reservation.expires_at),
        lease_seconds: Set(i32::try_from(reservation.lasts.num_seconds()).map_err(Error::internal)?),
        seen_at: Set(reservation.seen_at),
        seen_by: Set(reservation.seen_by.as_str().to_owned()),
    })
}

fn to_reservation(row: Model) -> Result<Reservation> {
    let patterns: Vec<String> = serde_json::from_value(row.patterns).map_err(Error::internal)?;
    let pattern = |text: &String| Pattern::parse("/paths", text).map_err(Error::internal);
    let credential = row.credential.as_deref().map(str::parse).transpose().map_err(Error::internal)?;
    Ok(Reservation {
        id: ReservationId(row.id),
        mode: row.mode.parse::<ReservationMode>().map_err(Error::internal)?,
        patterns: patterns.iter().map(pattern).collect::<Result<_>>()?,
        work_item: row.work_item_id.map(WorkItemId),
        branch: row.branch,
        purpose: row.purpose,
        holder: Holder { id: PrincipalId(row.holder_id), name: row.holder_name, credential },
        fence: row.fence,
        lasts: TimeDelta::seconds(row.lease_seconds.into()),
        reserved_at: row.reserved_at,
        expires_at: row.expires_at,
        seen_at: row.seen_at,
        seen_by: row.seen_by.parse().map_err(Error::internal)?,
    })
}

/// Where reservations are.
const PLACE: PlaceColumns<Column> =
    PlaceColumns { tenant: Column::TenantId, project: Column::ProjectId, id: Column::Id };

/// Reservations that have run out.
pub(super) async fn expired(tx: &DoorTx<'_>, now: Time, behind: Option<Due>) -> Result<Vec<Due>> {
    tx.due(Entity::find(), Column::ExpiresAt, PLACE, now, behind).await
}

/// What holders came with, behind one of them in their order.
pub(super) async fn credentials(tx: &DoorTx<'_>, behind: Option<Credential>) -> Result<Vec<Credential>> {
    let behind = behind.map(|behind| behind.to_string());
    let texts = tx.texts(Entity::find(), Column::Credential, behind).await?;
    texts.iter().map(|text| text.parse().map_err(Error::internal)).collect()
}

/// The reservations of those who came with something.
pub(super) async fn held_with(tx: &DoorTx<'_>, credentials: &[Credential]) -> Result<Vec<Place>> {
    let theirs = Column::Credential.is_in(credentials.iter().map(Credential::to_string));
    tx.places(Entity::find().filter(theirs), PLACE).await
}
