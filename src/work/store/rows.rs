//! A work item as its row.

use chrono::TimeDelta;
use entity::work_item::{ActiveModel, Model};
use sea_orm::ActiveValue::Set;

use super::super::{
    Priority, WorkItem, WorkItemId,
    lease::{Claim, Holder, Lease, LeaseId, SignOfLife},
};
use crate::{
    accounts::PrincipalId,
    artifacts::ArtifactId,
    database::Tx,
    error::{Error, Result},
    projects::ProjectId,
};

pub(super) fn to_row(tx: &Tx<'_>, project: ProjectId, item: &WorkItem) -> Result<ActiveModel> {
    let lease = item.claim.lease.as_ref();
    let urgency = Priority::ALL.iter().position(|priority| *priority == item.priority).unwrap_or_default();
    Ok(ActiveModel {
        id: Set(item.id.0),
        tenant_id: Set(tx.tenant().0),
        project_id: Set(project.0),
        title: Set(item.title.clone()),
        description: Set(item.description.clone()),
        lane: Set(item.lane.as_str().to_owned()),
        rank: Set(item.rank),
        urgency: Set(i32::try_from(urgency).map_err(Error::internal)?),
        role: Set(item.role.clone()),
        artifact_id: Set(item.artifact.map(|artifact| artifact.0)),
        file_status: Set(item.file_status.clone()),
        blockers: Set(i32::try_from(item.blockers).map_err(Error::internal)?),
        version: Set(item.version),
        creator_id: Set(item.creator.map(|creator| creator.0)),
        creator_name: Set(item.creator_name.clone()),
        created_at: Set(item.created_at),
        updated_at: Set(item.updated_at),
        finished_at: Set(item.finished_at),
        commit: Set(item.commit.clone()),
        summary: Set(item.summary.clone()),
        fence: Set(item.claim.fence),
        lease_id: Set(lease.map(|lease| lease.id.0)),
        holder_id: Set(lease.map(|lease| lease.holder.id.0)),
        holder_name: Set(lease.map(|lease| lease.holder.name.clone())),
        credential: Set(lease.and_then(|lease| lease.holder.credential).map(|it| it.to_string())),
        claimed_at: Set(lease.map(|lease| lease.claimed_at)),
        expires_at: Set(lease.map(|lease| lease.expires_at)),
        lease_seconds: Set(i32::try_from(item.claim.lasts.num_seconds()).map_err(Error::internal)?),
        seen_at: Set(lease.map(|lease| lease.seen_at)),
        seen_by: Set(lease.map(|lease| lease.seen_by.as_str().to_owned())),
        task: Set(lease.and_then(|lease| lease.task.clone())),
        branch: Set(lease.and_then(|lease| lease.branch.clone())),
        worker_id: Set(item.worker.map(|worker| worker.0)),
        pins: Set(item.pins.as_ref().map(serde_json::to_value).transpose().map_err(Error::internal)?),
    })
}

pub(super) fn to_item(row: Model) -> Result<WorkItem> {
    let lease = to_lease(&row)?;
    let urgency = usize::try_from(row.urgency).map_err(Error::internal)?;
    Ok(WorkItem {
        id: WorkItemId(row.id),
        title: row.title,
        description: row.description,
        lane: row.lane.parse().map_err(Error::internal)?,
        rank: row.rank,
        priority: Priority::ALL.get(urgency).copied().unwrap_or(Priority::Low),
        role: row.role,
        artifact: row.artifact_id.map(ArtifactId),
        file_status: row.file_status,
        blockers: u32::try_from(row.blockers).map_err(Error::internal)?,
        version: row.version,
        creator: row.creator_id.map(PrincipalId),
        creator_name: row.creator_name,
        created_at: row.created_at,
        updated_at: row.updated_at,
        finished_at: row.finished_at,
        commit: row.commit,
        summary: row.summary,
        claim: Claim { fence: row.fence, lasts: TimeDelta::seconds(row.lease_seconds.into()), lease },
        worker: row.worker_id.map(PrincipalId),
        pins: row.pins.map(serde_json::from_value).transpose().map_err(Error::internal)?,
    })
}

fn to_lease(row: &Model) -> Result<Option<Lease>> {
    let Some(id) = row.lease_id else { return Ok(None) };
    let missing = || Error::internal("a lease lacks a part");
    let credential = row.credential.as_deref().map(str::parse).transpose().map_err(Error::internal)?;
    Ok(Some(Lease {
        id: LeaseId(id),
        holder: Holder {
            id: row.holder_id.map(PrincipalId).ok_or_else(missing)?,
            name: row.holder_name.clone().ok_or_else(missing)?,
            credential,
        },
        claimed_at: row.claimed_at.ok_or_else(missing)?,
        expires_at: row.expires_at.ok_or_else(missing)?,
        seen_at: row.seen_at.ok_or_else(missing)?,
        seen_by: row
            .seen_by
            .as_deref()
            .ok_or_else(missing)?
            .parse::<SignOfLife>()
            .map_err(Error::internal)?,
        task: row.task.clone(),
        branch: row.branch.clone(),
    }))
}
