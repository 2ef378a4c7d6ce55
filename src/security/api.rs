//! The security log over REST.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Query};
use serde_json::Value;
use uuid::Uuid;

use super::{SecurityAction, SecurityEventId, SecurityFilter, SecurityRecord};
use crate::{
    accounts::{Caller, Credential, PrincipalId, scope},
    app::App,
    error::{Error, Result},
    rest::{Listed, Tag},
    wire::{Page, Timestamp, example},
};

/// Routes of the security log.
pub struct SecurityApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Audit")]
impl SecurityApi {
    /// List security events
    ///
    /// What happened to who may do what: sign-ins, keys, roles, secrets; newest first.
    #[oai(path = "/security-events", method = "get", operation_id = "list_security_events")]
    async fn list_security_events(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::AuditRead>,
        /// Only what this principal did.
        actor: Query<Option<PrincipalId>>,
        /// Only what was done with this credential, such as `key:` and the id of an API key.
        credential: Query<Option<String>>,
        /// Only this action.
        action: Query<Option<SecurityAction>>,
        /// Only what happened from then on.
        from: Query<Option<Timestamp>>,
        /// Only what happened before then.
        until: Query<Option<Timestamp>>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<SecurityEventOut>> {
        let page = Page::parse(limit.0, cursor.0.as_deref())?;
        let time = |time: Option<Timestamp>| time.map(|Timestamp(time)| time);
        let (from, until) = (time(from.0), time(until.0));
        let credential = credential.0.map(|text| parse_credential(&text)).transpose()?;
        let filter = SecurityFilter { actor: actor.0, credential, action: action.0, from, until };
        let rows = super::list_security_events(&app, &caller.principal, filter, page.clone()).await?;
        Ok(Listed(page.cut(rows, |row| row.id, SecurityEventOut::from)))
    }
}

fn parse_credential(text: &str) -> Result<Credential> {
    let why = "credential must be `key:`, `session:`, `grant:` or `member:` with an id behind it";
    text.parse().map_err(|_| Error::invalid(why))
}

/// Something that happened to who may do what.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "SecurityEvent", example)]
struct SecurityEventOut {
    /// Its id.
    id: SecurityEventId,
    /// When it happened.
    at: Timestamp,
    /// What was done.
    action: String,
    /// `success` or `refused`.
    outcome: String,
    /// What kind of actor did it: `user`, `service_account`, or `system` for the command line and what happens by
    /// itself.
    actor_kind: String,
    /// The principal that did it, if it is known.
    actor_id: Option<PrincipalId>,
    /// What it was called then.
    actor_name: String,
    /// What it came with: `key:` and the id of an API key, `session:` and that of a browser's session, `grant:` and that
    /// of what somebody lets a client do, or `member:` and its own for a token of another issuer.
    credential: Option<String>,
    /// What kind of thing it was done to.
    target_kind: Option<String>,
    /// Which one.
    target_id: Option<Uuid>,
    /// What that was called then.
    target_name: Option<String>,
    /// Where it was done from.
    ip: Option<String>,
    /// What the client called itself.
    user_agent: Option<String>,
    /// What else is worth knowing, by action.
    details: Option<Value>,
}

example!(SecurityEventOut, {
    "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "at": "2026-11-21T09:00:00Z",
    "action": "role_changed",
    "outcome": "success",
    "actorKind": "user",
    "actorId": "01936f8e-3c20-7b11-9a2d-1e2f3a4b5c6d",
    "actorName": "Ada",
    "credential": "session:01936f8e-4d10-7a22-8b1c-2d3e4f5a6b7c",
    "targetKind": "principal",
    "targetId": "01936f8e-3c21-7e90-a4b3-5c6d7e8f9a0b",
    "targetName": "developer-1",
    "ip": "192.0.2.7",
    "userAgent": "curl/8.9",
    "details": {"from": "viewer", "to": "member"}
});

impl From<SecurityRecord> for SecurityEventOut {
    fn from(record: SecurityRecord) -> Self {
        Self {
            id: record.id,
            at: record.at.into(),
            action: record.action,
            outcome: record.outcome,
            actor_kind: record.actor_kind,
            actor_id: record.actor,
            actor_name: record.actor_name,
            credential: record.credential,
            target_kind: record.target_kind,
            target_id: record.target,
            target_name: record.target_name,
            ip: record.ip,
            user_agent: record.user_agent,
            details: record.details,
        }
    }
}
