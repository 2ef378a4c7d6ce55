//! Invitations over REST.

use std::{collections::BTreeMap, sync::Arc};

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde::Deserialize;

use super::{Invitation, InvitationId, NewInvitation};
use crate::{
    accounts::{Caller, Level, PrincipalId, Role, scope},
    app::App,
    error::Result,
    rest::{Created, Input, Listed, Tag},
    wire::{Page, ProjectId, Timestamp, example},
};

/// Routes of invitations.
pub struct InvitationsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl InvitationsApi {
    /// Invite somebody
    ///
    /// Answers a link, this once, by which one person may join the tenant. Nobody gives more than they have.
    #[oai(path = "/invitations", method = "post", operation_id = "create_invitation")]
    async fn create_invitation(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::KeysWrite>,
        body: Input<InvitationIn>,
    ) -> Result<Created<CreatedInvitationOut>> {
        let InvitationIn { role, email, project_access: projects, expires_at } = body.0;
        let expires_at = expires_at.map(|Timestamp(time)| time);
        let new = NewInvitation { role, email, projects, expires_at };
        let tenant = caller.principal.tenant;
        let (invitation, secret) = super::create_invitation(&app, tenant, caller.authority(), new).await?;
        let location = format!("/api/v1/invitations/{}", invitation.id);
        let link = super::link(&app, &secret);
        Ok(Created::at(location, CreatedInvitationOut { link, invitation: invitation.into() }))
    }

    /// List invitations
    ///
    /// The tenant's invitations, newest first, those that are over too, until 30 days after they would have expired.
    #[oai(path = "/invitations", method = "get", operation_id = "list_invitations")]
    async fn list_invitations(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::KeysRead>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<InvitationOut>> {
        let page = Page::parse(limit.0, cursor.0.as_deref())?;
        let rows = super::list_invitations(&app, caller.principal.tenant, page.clone()).await?;
        Ok(Listed(page.cut(rows, |row| row.id, InvitationOut::from)))
    }

    /// Withdraw an invitation
    ///
    /// Its link is refused from now on. One that was withdrawn before stays as it is; one by which somebody has joined is
    /// refused with 409.
    #[oai(path = "/invitations/:invitation_id", method = "delete", operation_id = "revoke_invitation")]
    async fn revoke_invitation(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::KeysWrite>,
        /// The invitation.
        invitation_id: Path<InvitationId>,
    ) -> Result<Json<InvitationOut>> {
        let (tenant, authority) = (caller.principal.tenant, caller.authority());
        Ok(Json(super::revoke_invitation(&app, tenant, authority, invitation_id.0).await?.into()))
    }
}

/// An invitation to be made.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[oai(rename_all = "camelCase", deny_unknown_fields, rename = "NewInvitation", example)]
struct InvitationIn {
    /// What the new principal is to be.
    role: Role,
    /// Whom it is for; left out, whoever has the link.
    email: Option<String>,
    /// The projects to limit the new principal to, each with its level there; left out, all of the tenant.
    project_access: Option<BTreeMap<ProjectId, Level>>,
    /// From when on it is refused, at most in 30 days; left out, in 7.
    expires_at: Option<Timestamp>,
}

example!(InvitationIn, {"role": "member", "email": "ada@example.org"});

/// An invitation, without its secret.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Invitation", example)]
struct InvitationOut {
    /// Its id.
    id: InvitationId,
    /// What the new principal is to be.
    role: Role,
    /// Whom it is for; absent means whoever has the link.
    email: Option<String>,
    /// The projects that the new principal is to be limited to; absent means all.
    project_access: Option<BTreeMap<ProjectId, Level>>,
    /// The principal that made it; absent for one made at the command line.
    invited_by: Option<PrincipalId>,
    /// When it was made.
    created_at: Timestamp,
    /// From when on it is refused.
    expires_at: Timestamp,
    /// When it was used.
    accepted_at: Option<Timestamp>,
    /// Who joined by it.
    principal_id: Option<PrincipalId>,
    /// When it was withdrawn.
    revoked_at: Option<Timestamp>,
}

example!(InvitationOut, {
    "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "role": "member",
    "email": "ada@example.org",
    "invitedBy": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3d",
    "createdAt": "2026-11-21T09:00:00Z",
    "expiresAt": "2026-11-28T09:00:00Z"
});

impl From<Invitation> for InvitationOut {
    fn from(invitation: Invitation) -> Self {
        Self {
            id: invitation.id,
            role: invitation.role,
            email: invitation.email,
            project_access: invitation.projects,
            invited_by: invitation.invited_by,
            created_at: invitation.created_at.into(),
            expires_at: invitation.expires_at.into(),
            accepted_at: invitation.accepted_at.map(Timestamp),
            principal_id: invitation.principal,
            revoked_at: invitation.revoked_at.map(Timestamp),
        }
    }
}

/// An invitation that was just made.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "CreatedInvitation")]
struct CreatedInvitationOut {
    /// Where one person may join by it, shown this once.
    link: String,
    /// What is kept of it.
    #[oai(flatten)]
    invitation: InvitationOut,
}
