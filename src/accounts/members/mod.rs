//! The principals of a tenant: what they are, how far they reach, and how their access ends.
//!
//! Owners and admins change others, and nobody gives more than they have. A tenant keeps an owner who is active: the last
//! one can neither be demoted nor deactivated. A deactivated principal may do nothing, and what it came with (keys,
//! sessions, what clients may do for it) has ended with it, within a second on every instance: should it be reactivated,
//! it signs in again, or gets new keys.

mod api;
mod store;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde_json::json;

pub use self::api::MembersApi;
pub(super) use self::store::{by_person, end_grants, find, insert, limits_to_json, update};
use super::{
    Authority, Level, Limits, PrincipalId, PrincipalKind, PrincipalRecord, Role, keys, parse_name,
    signin::{self, Person},
};
use crate::{
    agents,
    app::App,
    clock::Time,
    database::{TenantId, Tx},
    error::{Code, Error, Result},
    projects,
    security::{self, SecurityAction, SecurityEvent, TargetKind},
    wire::{Expected, Page, is_visible},
};

/// Characters of an agent's role at most.
const AGENT_ROLE: usize = 64;

/// What to change of a principal; what is left out stays.
#[derive(Clone, Debug, Default)]
pub struct PrincipalPatch {
    /// The name people see.
    pub name: Option<String>,
    /// What it is in the tenant.
    pub role: Option<Role>,
    /// What an agent does among others; none takes it away.
    pub agent_role: Option<Option<String>>,
    /// The projects that it is limited to; none means all.
    pub projects: Option<Limits>,
}

/// Makes a person a principal of the tenant, or of the one that they are there, or were, what they are to be.
pub(super) async fn admit(
    tx: &Tx<'_>,
    id: PrincipalId,
    known: Option<PrincipalRecord>,
    person: &Person,
    role: Role,
    projects: Limits,
    now: Time,
) -> Result<()> {
    if let Some(known) = known {
        let version = known.version + 1;
        return update(tx, &PrincipalRecord { role, projects, version, deactivated_at: None, ..known }).await;
    }
    let new = PrincipalRecord {
        id,
        kind: PrincipalKind::User,
        name: person.name.clone(),
        role,
        agent_role: None,
        projects,
        version: 1,
        created_at: now,
        deactivated_at: None,
    };
    store::insert(tx, new, Some(person.id)).await
}

/// The principals of a tenant, oldest first.
///
/// # Errors
/// The database's.
pub async fn list_principals(
    app: &App,
    tenant: TenantId,
    page: Page<PrincipalId>,
) -> Result<Vec<PrincipalRecord>> {
    app.database.read(tenant, |tx| Box::pin(async move { store::list(tx, &page).await })).await
}

/// One principal.
///
/// # Errors
/// `not_found` for one of another tenant or none.
pub async fn get_principal(app: &App, tenant: TenantId, id: PrincipalId) -> Result<PrincipalRecord> {
    app.database.read(tenant, move |tx| Box::pin(find(tx, id))).await
}

/// Principals of this transaction's tenant by their ids, deactivated ones too; those that are not there are left out.
///
/// # Errors
/// The database's.
pub async fn by_ids(tx: &Tx<'_>, ids: Vec<PrincipalId>) -> Result<HashMap<PrincipalId, PrincipalRecord>> {
    let found = store::by_ids(tx, ids).await?;
    Ok(found.into_iter().map(|principal| (principal.id, principal)).collect())
}

/// The active principals of this transaction's tenant that have one of these names, whatever the case; several may have
/// the same.
///
/// # Errors
/// The database's.
pub async fn by_names(tx: &Tx<'_>, names: &[String]) -> Result<Vec<PrincipalRecord>> {
    store::by_names(tx, names).await
}

/// Changes a principal on somebody's authority.
///
/// # Errors
/// `not_found` for one of another tenant or none, `invalid_request` for a value that does not make sense,
/// `insufficient_scope` for who would change somebody who has more, or give more than they have, `conflict` for the last
/// owner who is active, `precondition_failed` for one that is at another version.
pub async fn update_principal(
    app: &App,
    tenant: TenantId,
    authority: Authority,
    id: PrincipalId,
    patch: PrincipalPatch,
    expected: Expected,
) -> Result<PrincipalRecord> {
    let name = patch.name.map(|name| parse_name("/name", &name)).transpose()?;
    let agent_role = patch.agent_role.map(|role| role.map(|role| parse_agent_role(&role)).transpose());
    let agent_role = agent_role.transpose()?;
    let events =
        [SecurityAction::PrincipalRenamed, SecurityAction::RoleChanged, SecurityAction::AccessChanged]
            .map(|action| SecurityEvent::new(app, authority.actor(), action));
    let updated = app.database.write(tenant, move |tx| {
        Box::pin(async move {
            let before = hold(tx, id).await?;
            expected.check(before.version)?;
            let after = PrincipalRecord {
                name: name.unwrap_or_else(|| before.name.clone()),
                role: patch.role.unwrap_or(before.role),
                agent_role: agent_role.unwrap_or_else(|| before.agent_role.clone()),
                projects: patch.projects.unwrap_or_else(|| before.projects.clone()),
                version: before.version + 1,
                ..before.clone()
            };
            authority.may_change(&before)?;
            let gained = &after.role.scopes() - &before.role.scopes();
            authority.may_give(after.role, &gained, &after.projects)?;
            check_limits(after.role, &after.projects)?;
            if before.projects != after.projects {
                check_projects(tx, &after.projects).await?;
            }
            if after.role != Role::Owner {
                keep_an_owner(tx, &before).await?;
            }
            store::update(tx, &after).await?;
            let is_changed =
                [before.name != after.name, before.role != after.role, before.projects != after.projects];
            let details = [
                json!({"from": before.name, "to": after.name}),
                json!({"from": before.role, "to": after.role}),
                json!({"from": shown(&before), "to": shown(&after)}),
            ];
            for ((event, details), _) in
                events.into_iter().zip(details).zip(is_changed).filter(|(_, is_changed)| *is_changed)
            {
                security::note(tx, about(event, &after).with(details)).await?;
            }
            Ok(after)
        })
    });
    let updated = updated.await?;
    app.accounts.forget();
    Ok(updated)
}

/// Ends all that a principal may do, and all that it came with and is at, at once. Doing it again changes nothing.
///
/// # Errors
/// `not_found` for one of another tenant or none, `insufficient_scope` for who has less than the principal, `conflict`
/// for the last owner who is active.
pub async fn deactivate_principal(
    app: &Arc<App>,
    tenant: TenantId,
    authority: Authority,
    id: PrincipalId,
) -> Result<PrincipalRecord> {
    let (now, context) = (app.clock.now(), Arc::clone(app));
    let event = SecurityEvent::new(app, authority.actor(), SecurityAction::PrincipalDeactivated);
    let deactivated = app.database.write(tenant, move |tx| {
        Box::pin(async move {
            let before = hold(tx, id).await?;
            authority.may_change(&before)?;
            if before.deactivated_at.is_some() {
                return Ok(before);
            }
            keep_an_owner(tx, &before).await?;
            let after = PrincipalRecord { deactivated_at: Some(now), version: before.version + 1, ..before };
            store::update(tx, &after).await?;
            let keys = keys::revoke_all(tx, id, now).await?;
            let sessions = signin::revoke_sessions(tx, id, now).await?;
            let grants = end_grants(tx, id, now).await?;
            let details = json!({"keys": keys, "sessions": sessions, "grants": grants});
            security::note(tx, about(event, &after).with(details)).await?;
            agents::retire(&context, tx, &after).await?;
            Ok(after)
        })
    });
    let deactivated = deactivated.await?;
    app.accounts.forget();
    Ok(deactivated)
}

/// Lets a principal act again; what it came with stays ended. Doing it again changes nothing.
///
/// # Errors
/// `not_found` for one of another tenant or none, `insufficient_scope` for who has less than the principal would.
pub async fn reactivate_principal(
    app: &App,
    tenant: TenantId,
    authority: Authority,
    id: PrincipalId,
) -> Result<PrincipalRecord> {
    let event = SecurityEvent::new(app, authority.actor(), SecurityAction::PrincipalReactivated);
    let reactivated = app.database.write(tenant, move |tx| {
        Box::pin(async move {
            let before = hold(tx, id).await?;
            authority.may_give(before.role, &before.role.scopes(), &before.projects)?;
            if before.deactivated_at.is_none() {
                return Ok(before);
            }
            let after = PrincipalRecord { deactivated_at: None, version: before.version + 1, ..before };
            store::update(tx, &after).await?;
            security::note(tx, about(event, &after)).await?;
            Ok(after)
        })
    });
    reactivated.await
}

/// A principal of this transaction's tenant, in which nobody else changes one until the transaction ends: two owners
/// cannot demote each other.
async fn hold(tx: &Tx<'_>, id: PrincipalId) -> Result<PrincipalRecord> {
    tx.lock(tx.tenant().0).await?;
    find(tx, id).await
}

/// Refuses to take away the last owner who is active, and of people the last one who can sign in: a service account that
/// is an owner does not answer for the tenant in their place.
async fn keep_an_owner(tx: &Tx<'_>, leaving: &PrincipalRecord) -> Result<()> {
    let is_owner = leaving.role == Role::Owner && leaving.deactivated_at.is_none();
    if !is_owner || store::is_there_another_owner(tx, leaving).await? {
        return Ok(());
    }
    let why = match leaving.kind {
        PrincipalKind::User => {
            "this is the last active owner of the tenant who is a person; make another person an owner first"
        }
        PrincipalKind::ServiceAccount => {
            "this is the tenant's last active owner; make somebody else an owner first"
        }
    };
    Err(Error::new(Code::Conflict, why))
}

/// Refuses to limit an owner, who answers for all of the tenant.
pub(super) fn check_limits(role: Role, limits: &Limits) -> Result<()> {
    if role == Role::Owner && limits.is_some() {
        let why = "an owner reaches every project; set it to null, or choose another role";
        return Err(Error::invalid_field("/projectAccess", why));
    }
    Ok(())
}

/// Refuses limits to projects that are not there.
pub(super) async fn check_projects(tx: &Tx<'_>, limits: &Limits) -> Result<()> {
    for project in limits.iter().flat_map(BTreeMap::keys) {
        projects::find(tx, *project).await.map_err(|_| {
            let why = format!("there is no project {project} in this tenant");
            Error::invalid_field("/projectAccess", why)
        })?;
    }
    Ok(())
}

/// What an agent does among others: any word, of which six are known to mean what the BMAD method means by them.
fn parse_agent_role(text: &str) -> Result<String> {
    let role = text.trim();
    if role.is_empty()
        || role.chars().count() > AGENT_ROLE
        || !role.chars().all(|it| is_visible(it) && !it.is_control())
    {
        return Err(Error::invalid_field(
            "/agentRole",
            "a role has 1 to 64 characters, such as analyst, pm, architect, scrum_master, developer or qa",
        ));
    }
    Ok(role.to_owned())
}

fn about(event: SecurityEvent, principal: &PrincipalRecord) -> SecurityEvent {
    event.on(TargetKind::Principal, principal.id.0, principal.name.clone())
}

/// The projects that a principal is limited to, as the security log tells it.
fn shown(principal: &PrincipalRecord) -> Option<BTreeMap<String, Level>> {
    let limits = principal.projects.as_ref()?;
    Some(limits.iter().map(|(project, level)| (project.to_string(), *level)).collect())
}
