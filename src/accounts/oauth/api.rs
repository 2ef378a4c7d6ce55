//! Grants over REST.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::grants::{self, Grant};
use crate::{
    accounts::{Caller, GrantId, PrincipalId, Scope, scope},
    app::App,
    error::Result,
    rest::{Listed, Tag},
    wire::{Page, Timestamp, example},
};

/// Routes of grants.
pub struct GrantsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl GrantsApi {
    /// List grants
    ///
    /// What the caller lets clients do on their behalf, newest first, ended ones too; for who has `keys.read`, what
    /// everybody in the tenant does. A client that asks sees its own grant. A grant of which no token was made for a
    /// month is forgotten.
    #[oai(path = "/grants", method = "get", operation_id = "list_grants")]
    async fn list_grants(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::StatusRead>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<GrantOut>> {
        let page = Page::parse(limit.0, cursor.0.as_deref())?;
        let rows = grants::list(&app, &caller.principal, page.clone()).await?;
        Ok(Listed(page.cut(rows, |row| row.id, |grant| GrantOut::of(&app, grant))))
    }

    /// End a grant
    ///
    /// The client's tokens are refused from the next second on, and streams that it opened end. Somebody who is
    /// signed in ends their own grants, a client its own, and who has `keys.write` everybody's. Ending it again changes
    /// nothing.
    #[oai(path = "/grants/:grant_id", method = "delete", operation_id = "end_grant")]
    async fn end_grant(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::StatusRead>,
        /// The grant's id.
        grant_id: Path<GrantId>,
    ) -> Result<Json<GrantOut>> {
        let ended = grants::end(&app, &caller.principal, &caller.sender, grant_id.0).await?;
        Ok(Json(GrantOut::of(&app, ended)))
    }
}

/// What somebody lets a client do on their behalf.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Grant", example)]
struct GrantOut {
    /// Its id.
    id: GrantId,
    /// On whose behalf.
    principal_id: PrincipalId,
    /// The client: the address of its metadata document, or the name it was registered by.
    client_id: String,
    /// What the client called itself.
    client_name: String,
    /// What it may do, as far as the principal may.
    scopes: Vec<Scope>,
    /// The resources that its tokens are for; none means all of this service.
    resources: Vec<String>,
    /// When it was given.
    created_at: Timestamp,
    /// When a token was last made of it.
    last_used_at: Option<Timestamp>,
    /// When it was ended.
    revoked_at: Option<Timestamp>,
}

example!(GrantOut, {
    "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "principalId": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3d",
    "clientId": "https://claude.ai/oauth/claude-code-client-metadata",
    "clientName": "Claude Code",
    "scopes": ["projects.read", "work.read", "work.write"],
    "resources": ["https://trackside.example.org/mcp"],
    "createdAt": "2026-11-21T09:00:00Z"
});

impl GrantOut {
    fn of(app: &App, grant: Grant) -> Self {
        Self {
            id: grant.id,
            principal_id: grant.principal,
            client_id: grant.client_id,
            client_name: grant.client_name,
            scopes: grant.scopes.into_iter().collect(),
            resources: grant.resources.iter().map(|resource| resource.address(&app.public_url())).collect(),
            created_at: grant.created_at.into(),
            last_used_at: grant.last_used_at.map(Timestamp),
            revoked_at: grant.revoked_at.map(Timestamp),
        }
    }
}
