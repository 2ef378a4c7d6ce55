//! Principals over REST.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
};
use serde::Deserialize;

use super::PrincipalPatch;
use crate::{
    accounts::{
        Caller, Level, PrincipalId, PrincipalKind, PrincipalRecord, Role, scope,
        signin::{self, Email},
    },
    app::App,
    database::TenantId,
    error::Result,
    rest::{self, Input, Listed, Tag, Versioned, given},
    wire::{Page, ProjectId, Timestamp, example},
};

/// Routes of principals.
pub struct MembersApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl MembersApi {
    /// List principals
    ///
    /// Who can act in the tenant: people and service accounts, oldest first.
    #[oai(path = "/principals", method = "get", operation_id = "list_principals")]
    async fn list_principals(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::KeysRead>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<PrincipalOut>> {
        let page = Page::parse(limit.0, cursor.0.as_deref())?;
        let rows = super::list_principals(&app, caller.principal.tenant, page.clone()).await?;
        let ids = rows.iter().map(|row| row.id).collect();
        let emails = signin::addresses(&app, caller.principal.tenant, ids).await?;
        Ok(Listed(page.cut(rows, |row| row.id, |row| PrincipalOut::of(row, &emails))))
    }

    /// Show a principal
    ///
    /// What it is, and how far it reaches.
    #[oai(path = "/principals/:principal_id", method = "get", operation_id = "get_principal")]
    async fn get_principal(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::KeysRead>,
        /// The principal.
        principal_id: Path<PrincipalId>,
    ) -> Result<Versioned<PrincipalOut>> {
        let (tenant, id) = (caller.principal.tenant, principal_id.0);
        versioned(&app, tenant, id, super::get_principal(&app, tenant, id)).await
    }

    /// Change a principal
    ///
    /// What is left out stays as it is; `null` takes `agentRole` or `projectAccess` away. Nobody gives more than they
    /// have, nor changes who has more. The last owner who is active stays one, and the last of them who is a person.
    #[oai(path = "/principals/:principal_id", method = "patch", operation_id = "update_principal")]
    async fn update_principal(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::KeysWrite>,
        /// The principal.
        principal_id: Path<PrincipalId>,
        /// The `ETag` of the version that is meant; another one is refused with 412.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Input<PrincipalChanges>,
    ) -> Result<Versioned<PrincipalOut>> {
        let PrincipalChanges { name, role, agent_role, project_access: projects } = body.0;
        let patch = PrincipalPatch { name, role, agent_role, projects };
        let (tenant, authority) = (caller.principal.tenant, caller.authority());
        let expected = rest::if_match(if_match.0);
        let id = principal_id.0;
        versioned(&app, tenant, id, super::update_principal(&app, tenant, authority, id, patch, expected))
            .await
    }

    /// Deactivate a principal
    ///
    /// It may do nothing from the next second on. Its keys, its sessions and what clients may do for it end, and stay
    /// ended. Doing it again changes nothing.
    #[oai(
        path = "/principals/:principal_id/deactivate",
        method = "post",
        operation_id = "deactivate_principal"
    )]
    async fn deactivate_principal(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::KeysWrite>,
        /// The principal.
        principal_id: Path<PrincipalId>,
    ) -> Result<Versioned<PrincipalOut>> {
        let (tenant, id, authority) = (caller.principal.tenant, principal_id.0, caller.authority());
        versioned(&app, tenant, id, super::deactivate_principal(&app, tenant, authority, id)).await
    }

    /// Reactivate a principal
    ///
    /// It may act again, once it has signed in or has another key. Doing it again changes nothing.
    #[oai(
        path = "/principals/:principal_id/reactivate",
        method = "post",
        operation_id = "reactivate_principal"
    )]
    async fn reactivate_principal(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::KeysWrite>,
        /// The principal.
        principal_id: Path<PrincipalId>,
    ) -> Result<Versioned<PrincipalOut>> {
        let (tenant, id, authority) = (caller.principal.tenant, principal_id.0, caller.authority());
        versioned(&app, tenant, id, super::reactivate_principal(&app, tenant, authority, id)).await
    }
}

/// What to change of a principal.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[oai(rename_all = "camelCase", deny_unknown_fields, rename = "PrincipalPatch", example)]
struct PrincipalChanges {
    /// The name people see, 1 to 200 characters.
    name: Option<String>,
    /// What it is in the tenant.
    role: Option<Role>,
    /// What an agent does among others, 1 to 64 characters: `analyst`, `pm`, `architect`, `scrum_master`, `developer`,
    /// `qa`, or any other word; null for nothing.
    #[serde(default, deserialize_with = "given")]
    agent_role: Option<Option<String>>,
    /// The projects to limit it to, each with its level there, as a whole; null for all of the tenant.
    #[serde(default, deserialize_with = "given")]
    project_access: Option<Option<BTreeMap<ProjectId, Level>>>,
}

example!(PrincipalChanges, {"role": "member", "agentRole": "developer", "projectAccess": {"01936f8e-4a10-7d55-8c1e-2f3a4b5c6d7e": "editor"}});

/// Who can act in a tenant.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Principal", example)]
struct PrincipalOut {
    /// Its id.
    id: PrincipalId,
    /// A person or a service account.
    kind: PrincipalKind,
    /// The name people see.
    name: String,
    /// The address under which a person signs in, as they gave it; absent for a service account.
    email: Option<String>,
    /// What it is in the tenant.
    role: Role,
    /// What an agent does among others, such as `developer`.
    agent_role: Option<String>,
    /// The projects it is limited to, each with its level there; absent means all.
    project_access: Option<BTreeMap<ProjectId, Level>>,
    /// Grows by one with every change.
    version: i64,
    /// When it was made.
    created_at: Timestamp,
    /// Since when it may do nothing.
    deactivated_at: Option<Timestamp>,
}

example!(PrincipalOut, {
    "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3d",
    "kind": "service_account",
    "name": "developer-1",
    "role": "member",
    "agentRole": "developer",
    "version": 1,
    "createdAt": "2026-11-21T09:00:00Z"
});

/// What becomes of a principal, with its address, which is read before: what has been done does not fail for it.
async fn versioned(
    app: &App,
    tenant: TenantId,
    id: PrincipalId,
    done: impl Future<Output = Result<PrincipalRecord>>,
) -> Result<Versioned<PrincipalOut>> {
    let emails = signin::addresses(app, tenant, vec![id]).await?;
    let record = done.await?;
    Ok(Versioned { version: record.version, body: PrincipalOut::of(record, &emails) })
}

impl PrincipalOut {
    fn of(record: PrincipalRecord, emails: &HashMap<PrincipalId, Email>) -> Self {
        Self {
            email: emails.get(&record.id).map(Email::to_string),
            id: record.id,
            kind: record.kind,
            name: record.name,
            role: record.role,
            agent_role: record.agent_role,
            project_access: record.projects,
            version: record.version,
            created_at: record.created_at.into(),
            deactivated_at: record.deactivated_at.map(Timestamp),
        }
    }
}
