//! The rows of principals.

use entity::{oauth_grant, principal};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    prelude::*,
    sea_query::{ExprTrait as _, Func},
};
use serde_json::json;

use crate::{
    accounts::{Limits, PersonId, PrincipalId, PrincipalKind, PrincipalRecord, Role, store::to_principal},
    clock::Time,
    database::Tx,
    error::{Error, Result},
    wire::Page,
};

/// Inserts a principal, which is this person if it is one.
pub(in crate::accounts) async fn insert(
    tx: &Tx<'_>,
    new: PrincipalRecord,
    person: Option<PersonId>,
) -> Result<()> {
    let row = principal::ActiveModel {
        id: Set(new.id.0),
        tenant_id: Set(tx.tenant().0),
        kind: Set(new.kind.as_str().to_owned()),
        name: Set(new.name),
        role: Set(new.role.as_str().to_owned()),
        person_id: Set(person.map(|person| person.0)),
        agent_role: Set(new.agent_role),
        project_access: Set(limits_to_json(&new.projects)),
        version: Set(new.version),
        created_at: Set(new.created_at),
        deactivated_at: NotSet,
    };
    principal::Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Limits as they are stored.
pub(in crate::accounts) fn limits_to_json(limits: &Limits) -> Option<Json> {
    let levels = limits.as_ref()?.iter().map(|(project, level)| (project.to_string(), json!(level)));
    Some(Json::Object(levels.collect()))
}

/// The principals of a page, and one more if there is one, oldest first.
pub(super) async fn list(tx: &Tx<'_>, page: &Page<PrincipalId>) -> Result<Vec<PrincipalRecord>> {
    let mut query = tx.find::<principal::Entity>().order_by_asc(principal::Column::Id).limit(page.limit + 1);
    if let Some(after) = page.after {
        query = query.filter(principal::Column::Id.gt(after.0));
    }
    query.all(tx.conn()).await?.into_iter().map(to_principal).collect()
}

/// A principal of this transaction's tenant.
pub(in crate::accounts) async fn find(tx: &Tx<'_>, id: PrincipalId) -> Result<PrincipalRecord> {
    let row = tx.find::<principal::Entity>().filter(principal::Column::Id.eq(id.0)).one(tx.conn()).await?;
    to_principal(row.ok_or_else(|| Error::not_found("principal"))?)
}

/// Principals by their ids.
pub(super) async fn by_ids(tx: &Tx<'_>, ids: Vec<PrincipalId>) -> Result<Vec<PrincipalRecord>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids = ids.into_iter().map(|id| id.0);
    let rows = tx.find::<principal::Entity>().filter(principal::Column::Id.is_in(ids)).all(tx.conn()).await?;
    rows.into_iter().map(to_principal).collect()
}

/// Active principals by their names, whatever the case. SQLite knows the case of ASCII letters alone, so a name with
/// others is found there as it is written.
pub(super) async fn by_names(tx: &Tx<'_>, names: &[String]) -> Result<Vec<PrincipalRecord>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let cased = names.iter().flat_map(|name| [name.to_lowercase(), name.to_ascii_lowercase()]);
    let lower = Func::lower(Expr::col((principal::Entity, principal::Column::Name)));
    let rows = tx
        .find::<principal::Entity>()
        .filter(Expr::expr(lower).is_in(cased))
        .filter(principal::Column::DeactivatedAt.is_null())
        .all(tx.conn())
        .await?;
    rows.into_iter().map(to_principal).collect()
}

/// What a person is in this transaction's tenant, if they are anything.
pub(in crate::accounts) async fn by_person(tx: &Tx<'_>, person: PersonId) -> Result<Option<PrincipalRecord>> {
    let row = tx
        .find::<principal::Entity>()
        .filter(principal::Column::PersonId.eq(person.0))
        .one(tx.conn())
        .await?;
    row.map(to_principal).transpose()
}

/// Writes what can change of a principal.
pub(in crate::accounts) async fn update(tx: &Tx<'_>, principal: &PrincipalRecord) -> Result<()> {
    use principal::Column;
    tx.update::<principal::Entity>()
        .col_expr(Column::Name, principal.name.as_str().into())
        .col_expr(Column::Role, principal.role.as_str().into())
        .col_expr(Column::AgentRole, principal.agent_role.clone().into())
        .col_expr(Column::ProjectAccess, limits_to_json(&principal.projects).into())
        .col_expr(Column::Version, principal.version.into())
        .col_expr(Column::DeactivatedAt, principal.deactivated_at.into())
        .filter(Column::Id.eq(principal.id.0))
        .exec(tx.conn())
        .await?;
    Ok(())
}

pub(super) async fn is_there_another_owner(tx: &Tx<'_>, than: &PrincipalRecord) -> Result<bool> {
    let is_person =
        (than.kind == PrincipalKind::User).then(|| principal::Column::Kind.eq(PrincipalKind::User.as_str()));
    let other = tx
        .find::<principal::Entity>()
        .filter(principal::Column::Role.eq(Role::Owner.as_str()))
        .filter(principal::Column::DeactivatedAt.is_null())
        .filter(principal::Column::Id.ne(than.id.0))
        .filter(Condition::all().add_option(is_person))
        .one(tx.conn())
        .await?;
    Ok(other.is_some())
}

/// Ends what clients may do for a principal; gives how many may not any more.
pub(in crate::accounts) async fn end_grants(tx: &Tx<'_>, id: PrincipalId, now: Time) -> Result<u64> {
    let grants = tx
        .update::<oauth_grant::Entity>()
        .col_expr(oauth_grant::Column::RevokedAt, Expr::value(now))
        .filter(oauth_grant::Column::PrincipalId.eq(id.0))
        .filter(oauth_grant::Column::RevokedAt.is_null())
        .exec(tx.conn())
        .await?;
    Ok(grants.rows_affected)
}
