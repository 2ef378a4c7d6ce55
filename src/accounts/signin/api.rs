//! Where one is signed in, over REST.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::{Method, Session};
use crate::{
    accounts::{Caller, Credential, Principal, SessionId, scope},
    app::App,
    error::Result,
    rest::{Listed, Tag},
    wire::{Page, Timestamp, example},
};

/// Routes of sessions. Everybody sees their own, and ends them from one of them; nobody sees anybody else's. Any role has
/// the scope.
pub struct SessionsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl SessionsApi {
    /// List your sessions
    ///
    /// The browsers in which you are signed in to this tenant, newest first. Service accounts have none.
    #[oai(path = "/sessions", method = "get", operation_id = "list_sessions")]
    async fn list_sessions(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::StatusRead>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<SessionOut>> {
        let page = Page::parse(limit.0, cursor.0.as_deref())?;
        let rows = super::list_sessions(&app, &caller.principal, page.clone()).await?;
        let shown = |row| SessionOut::new(row, &caller.principal);
        Ok(Listed(page.cut(rows, |row| row.id, shown)))
    }

    /// End one of your sessions
    ///
    /// Its browser is signed out from the next second on, and streams that it opened end. A key ends none unless
    /// it has `keys.write` too. Ending it again changes nothing.
    #[oai(path = "/sessions/:session_id", method = "delete", operation_id = "revoke_session")]
    async fn revoke_session(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::StatusRead>,
        /// The session's id.
        session_id: Path<SessionId>,
    ) -> Result<Json<SessionOut>> {
        let session = super::revoke_session(&app, &caller.principal, &caller.sender, session_id.0).await?;
        Ok(Json(SessionOut::new(session, &caller.principal)))
    }
}

/// A browser in which somebody is signed in.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Session", example)]
struct SessionOut {
    /// Its id.
    id: SessionId,
    /// Whether it is the one that asks.
    is_current: bool,
    /// How it began.
    method: Method,
    /// From which address.
    ip: Option<String>,
    /// What the browser calls itself.
    user_agent: Option<String>,
    /// When it began.
    created_at: Timestamp,
    /// When it was last used, give or take a minute.
    last_seen_at: Timestamp,
    /// When it ends at the latest; seven days without use end it too.
    expires_at: Timestamp,
    /// When it was ended.
    revoked_at: Option<Timestamp>,
}

example!(SessionOut, {
    "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "isCurrent": true,
    "method": "password",
    "ip": "192.0.2.7",
    "userAgent": "Mozilla/5.0",
    "createdAt": "2026-11-21T09:00:00Z",
    "lastSeenAt": "2026-11-21T09:30:00Z",
    "expiresAt": "2026-12-21T09:00:00Z"
});

impl SessionOut {
    fn new(session: Session, caller: &Principal) -> Self {
        let Session { id, method, ip, user_agent, created_at, last_seen_at, expires_at, revoked_at } =
            session;
        Self {
            id,
            is_current: caller.credential == Credential::Session(id),
            method,
            ip,
            user_agent,
            created_at: created_at.into(),
            last_seen_at: last_seen_at.into(),
            expires_at: expires_at.into(),
            revoked_at: revoked_at.map(Timestamp),
        }
    }
}
