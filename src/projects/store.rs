//! The rows of projects and their sealed secrets.

use entity::{event_head, project, project_secret, provider_token};
use sea_orm::{
    ActiveValue::Set, EntityTrait as _, QueryFilter as _, QueryOrder as _, prelude::*, sea_query::OnConflict,
};

use super::{Project, ProjectConfig, ProjectId, secrets::SealedSecret};
use crate::{
    clock::Time,
    database::{DoorTx, TenantId, Tx},
    error::{Error, Result},
    wire::{Found, Page},
};

pub(super) async fn insert(tx: &Tx<'_>, new: Project) -> Result<()> {
    let row = project::ActiveModel {
        id: Set(new.id.0),
        tenant_id: Set(tx.tenant().0),
        name: Set(new.name),
        repo_url: Set(new.repo_url),
        config: Set(serde_json::to_value(new.config).map_err(Error::internal)?),
        version: Set(new.version),
        created_at: Set(new.created_at),
        updated_at: Set(new.updated_at),
        deleted_at: Set(None),
    };
    project::Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

pub(super) async fn find(tx: &Tx<'_>, id: ProjectId) -> Result<Option<Project>> {
    let row = tx
        .find::<project::Entity>()
        .filter(project::Column::Id.eq(id.0))
        .filter(project::Column::DeletedAt.is_null())
        .one(tx.conn())
        .await?;
    row.map(to_project).transpose()
}

pub(super) async fn list(
    tx: &Tx<'_>,
    page: &Page<ProjectId>,
    only: Option<Vec<ProjectId>>,
) -> Result<Found<Project>> {
    let query = from(tx, page, only);
    tx.page(query, project::Column::Id, page).await?.try_map(to_project)
}

fn from(tx: &Tx<'_>, page: &Page<ProjectId>, only: Option<Vec<ProjectId>>) -> Select<project::Entity> {
    let mut query = tx
        .find::<project::Entity>()
        .filter(project::Column::DeletedAt.is_null())
        .order_by_asc(project::Column::Id);
    if let Some(after) = page.after {
        query = query.filter(project::Column::Id.gt(after.0));
    }
    if let Some(only) = only {
        query = query.filter(project::Column::Id.is_in(only.into_iter().map(|project| project.0)));
    }
    query
}

pub(super) async fn update(tx: &Tx<'_>, project: &Project) -> Result<()> {
    let config = serde_json::to_value(&project.config).map_err(Error::internal)?;
    tx.update::<project::Entity>()
        .col_expr(project::Column::Name, Expr::value(project.name.as_str()))
        .col_expr(project::Column::RepoUrl, Expr::value(project.repo_url.as_str()))
        .col_expr(project::Column::Config, Expr::value(config))
        .col_expr(project::Column::Version, Expr::value(project.version))
        .col_expr(project::Column::UpdatedAt, Expr::value(project.updated_at))
        .filter(project::Column::Id.eq(project.id.0))
        .exec(tx.conn())
        .await?;
    Ok(())
}

pub(super) async fn mark_deleted(tx: &Tx<'_>, id: ProjectId, now: Time) -> Result<()> {
    tx.update::<project::Entity>()
        .col_expr(project::Column::DeletedAt, Expr::value(now))
        .filter(project::Column::Id.eq(id.0))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Removes what is left of a deleted project once nothing refers to it any more.
pub(super) async fn remove(tx: &Tx<'_>, id: ProjectId) -> Result<()> {
    tx.delete::<project_secret::Entity>()
        .filter(project_secret::Column::ProjectId.eq(id.0))
        .exec(tx.conn())
        .await?;
    remove_token(tx, id).await?;
    tx.delete::<event_head::Entity>().filter(event_head::Column::ProjectId.eq(id.0)).exec(tx.conn()).await?;
    tx.delete::<project::Entity>().filter(project::Column::Id.eq(id.0)).exec(tx.conn()).await?;
    Ok(())
}

pub(super) async fn insert_secret(tx: &Tx<'_>, new: SealedSecret) -> Result<()> {
    let row = project_secret::ActiveModel {
        id: Set(new.id),
        tenant_id: Set(tx.tenant().0),
        project_id: Set(new.project.0),
        sealed: Set(new.sealed),
        created_at: Set(new.created_at),
        expires_at: Set(new.expires_at),
    };
    project_secret::Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Lets the present secret end at `until` and removes those that were ending already.
pub(super) async fn retire_secrets(tx: &Tx<'_>, project: ProjectId, now: Time, until: Time) -> Result<()> {
    tx.delete::<project_secret::Entity>()
        .filter(project_secret::Column::ProjectId.eq(project.0))
        .filter(project_secret::Column::ExpiresAt.is_not_null())
        .exec(tx.conn())
        .await?;
    tx.update::<project_secret::Entity>()
        .col_expr(project_secret::Column::ExpiresAt, Expr::value(until.max(now)))
        .filter(project_secret::Column::ProjectId.eq(project.0))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// A project's sealed token, and the user's name beside it.
pub(super) async fn token(tx: &Tx<'_>, project: ProjectId) -> Result<Option<(String, Vec<u8>)>> {
    let row = tx
        .find::<provider_token::Entity>()
        .filter(provider_token::Column::ProjectId.eq(project.0))
        .one(tx.conn())
        .await?;
    Ok(row.map(|row| (row.username, row.sealed)))
}

pub(super) async fn set_token(
    tx: &Tx<'_>,
    project: ProjectId,
    username: String,
    sealed: Vec<u8>,
    now: Time,
) -> Result<()> {
    use provider_token::Column;
    let row = provider_token::ActiveModel {
        project_id: Set(project.0),
        tenant_id: Set(tx.tenant().0),
        username: Set(username),
        sealed: Set(sealed),
        created_at: Set(now),
    };
    let another = OnConflict::column(Column::ProjectId)
        .update_columns([Column::Username, Column::Sealed, Column::CreatedAt])
        .to_owned();
    provider_token::Entity::insert(row).on_conflict(another).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Whether there was one.
pub(super) async fn remove_token(tx: &Tx<'_>, project: ProjectId) -> Result<bool> {
    let removed = tx
        .delete::<provider_token::Entity>()
        .filter(provider_token::Column::ProjectId.eq(project.0))
        .exec(tx.conn())
        .await?;
    Ok(removed.rows_affected > 0)
}

/// Whose a project is, its configuration, and its sealed secrets, newest first.
pub(super) async fn endpoint(
    tx: &DoorTx<'_>,
    id: ProjectId,
) -> Result<Option<(TenantId, ProjectConfig, Vec<SealedSecret>)>> {
    let project =
        project::Entity::find_by_id(id.0).filter(project::Column::DeletedAt.is_null()).one(tx.conn()).await?;
    let Some(project) = project else { return Ok(None) };
    let secrets = project_secret::Entity::find()
        .filter(project_secret::Column::ProjectId.eq(id.0))
        .order_by_desc(project_secret::Column::Id)
        .all(tx.conn())
        .await?;
    let secrets = secrets.into_iter().map(|row| SealedSecret {
        id: row.id,
        project: ProjectId(row.project_id),
        sealed: row.sealed,
        created_at: row.created_at,
        expires_at: row.expires_at,
    });
    let (tenant, config) = (TenantId(project.tenant_id), to_project(project)?.config);
    Ok(Some((tenant, config, secrets.collect())))
}

fn to_project(row: project::Model) -> Result<Project> {
    Ok(Project {
        id: ProjectId(row.id),
        name: row.name,
        repo_url: row.repo_url,
        config: serde_json::from_value::<ProjectConfig>(row.config).map_err(Error::internal)?,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
