//! API keys over REST.

use std::{collections::BTreeSet, sync::Arc};

use chrono::TimeDelta;
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use super::{AnotherKey, KeyRecord, NewKey};
use crate::{
    accounts::{Caller, KeyId, PrincipalId, Role, Scope, scope},
    app::App,
    error::{Error, Result},
    projects::secrets::DEFAULT_OVERLAP,
    rest::{Created, Input, Listed, Tag},
    wire::{Page, ProjectId, Timestamp, example},
};

/// Routes of API keys.
pub struct KeysApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl KeysApi {
    /// Make an API key
    ///
    /// With `role`, makes a service account and a key for it; with `principalId`, another key for one that is there. The
    /// key is in the answer, this once. Nobody makes one that may do more than themselves, nor one of another person.
    #[oai(path = "/api-keys", method = "post", operation_id = "create_key")]
    async fn create_key(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::KeysWrite>,
        body: Input<KeyIn>,
    ) -> Result<Created<CreatedKeyOut>> {
        let KeyIn { name, role, principal_id, scopes, project_ids: projects, expires_at } = body.0;
        let scopes = scopes.map(|scopes| scopes.into_iter().collect::<BTreeSet<_>>());
        let expires_at = expires_at.map(|Timestamp(time)| time);
        let (tenant, authority) = (caller.principal.tenant, caller.authority());
        let made = match (role, principal_id) {
            (Some(role), None) => {
                let new = NewKey { name, role, scopes, projects, expires_at };
                super::create_key(&app, tenant, authority, new).await
            }
            (None, Some(principal)) => {
                let new = AnotherKey { principal, name, scopes, projects, expires_at };
                super::add_key(&app, tenant, authority, new).await
            }
            (None, None) => Err(Error::invalid_field(
                "/role",
                "say what the key's new service account is to be, or name one that is there as `principalId`",
            )),
            (Some(_), Some(_)) => Err(Error::invalid_field(
                "/role",
                "leave it out: the principal that `principalId` names has a role already",
            )),
        };
        let (record, key) = made?;
        let location = format!("/api/v1/api-keys/{}", record.id);
        Ok(Created::at(
            location,
            CreatedKeyOut { key: key.expose_secret().to_owned(), api_key: record.into() },
        ))
    }

    /// List API keys
    ///
    /// The tenant's keys, newest first, revoked and expired ones too. Their text is not among what is kept.
    #[oai(path = "/api-keys", method = "get", operation_id = "list_keys")]
    async fn list_keys(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::KeysRead>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<KeyOut>> {
        let page = Page::parse(limit.0, cursor.0.as_deref())?;
        let rows = super::list_keys(&app, caller.principal.tenant, page.clone()).await?;
        Ok(Listed(page.cut(rows, |row| row.id, KeyOut::from)))
    }

    /// Show an API key
    ///
    /// What is kept of it: everything but its text.
    #[oai(path = "/api-keys/:key_id", method = "get", operation_id = "get_key")]
    async fn get_key(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::KeysRead>,
        /// The key's id.
        key_id: Path<KeyId>,
    ) -> Result<Json<KeyOut>> {
        Ok(Json(super::get_key(&app, caller.principal.tenant, key_id.0).await?.into()))
    }

    /// Rotate an API key
    ///
    /// Answers a new key, this once, of the same principal, with the same scopes, projects and expiry. The old one stays
    /// valid for `overlapSeconds`, so that whoever uses it can be changed without a refused request.
    #[oai(path = "/api-keys/:key_id/rotate", method = "post", operation_id = "rotate_key")]
    async fn rotate_key(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::KeysWrite>,
        /// The key's id.
        key_id: Path<KeyId>,
        body: Input<KeyRotationIn>,
    ) -> Result<Created<RotatedKeyOut>> {
        let overlap = body
            .0
            .overlap_seconds
            .map_or(DEFAULT_OVERLAP, |seconds| TimeDelta::try_seconds(seconds).unwrap_or(TimeDelta::MAX));
        let tenant = caller.principal.tenant;
        let (record, key, ends) =
            super::rotate_key(&app, tenant, caller.authority(), key_id.0, overlap).await?;
        let location = format!("/api/v1/api-keys/{}", record.id);
        let created = CreatedKeyOut { key: key.expose_secret().to_owned(), api_key: record.into() };
        Ok(Created::at(location, RotatedKeyOut { old_key_expires_at: ends.into(), created }))
    }

    /// Revoke an API key
    ///
    /// The key is refused from the next second on, and streams that it opened end. Revoking it again changes nothing.
    #[oai(path = "/api-keys/:key_id", method = "delete", operation_id = "revoke_key")]
    async fn revoke_key(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::KeysWrite>,
        /// The key's id.
        key_id: Path<KeyId>,
    ) -> Result<Json<KeyOut>> {
        let tenant = caller.principal.tenant;
        Ok(Json(super::revoke_key(&app, tenant, caller.authority(), key_id.0).await?.into()))
    }
}

/// A key to be made.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[oai(rename_all = "camelCase", deny_unknown_fields, rename = "NewApiKey", example)]
struct KeyIn {
    /// What it is for, 1 to 200 characters.
    name: String,
    /// What its new service account is to be; either this or `principalId`.
    role: Option<Role>,
    /// Whose it is to be: a service account that is there, or whoever asks.
    principal_id: Option<PrincipalId>,
    /// What it may do; left out, all that its role may.
    scopes: Option<Vec<Scope>>,
    /// The projects to limit it to; left out, all of the tenant.
    project_ids: Option<Vec<ProjectId>>,
    /// From when on it is refused; left out, never.
    expires_at: Option<Timestamp>,
}

example!(KeyIn, {"name": "ci", "role": "member", "scopes": ["events.read", "deliveries.read"], "expiresAt": "2030-01-31T00:00:00Z"});

/// An API key, without its text.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "ApiKey", example)]
struct KeyOut {
    /// Its id.
    id: KeyId,
    /// Who acts with it.
    principal_id: PrincipalId,
    /// What it is for.
    name: String,
    /// Its first 16 characters.
    prefix: String,
    /// What its principal is.
    role: Role,
    /// What it may do.
    scopes: Vec<Scope>,
    /// The projects it is limited to; absent means all.
    project_ids: Option<Vec<ProjectId>>,
    /// When it was made.
    created_at: Timestamp,
    /// From when on it is refused.
    expires_at: Option<Timestamp>,
    /// When it was last used, give or take a minute.
    last_used_at: Option<Timestamp>,
    /// When it was revoked.
    revoked_at: Option<Timestamp>,
    /// The key that takes its place, once it was rotated.
    successor_id: Option<KeyId>,
}

example!(KeyOut, {
    "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "principalId": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3d",
    "name": "ci",
    "prefix": "tsk_0a1B2c3D4e5F",
    "role": "member",
    "scopes": ["events.read", "deliveries.read"],
    "createdAt": "2026-11-21T09:00:00Z"
});

impl From<KeyRecord> for KeyOut {
    fn from(record: KeyRecord) -> Self {
        Self {
            id: record.id,
            principal_id: record.principal,
            name: record.name,
            prefix: record.prefix,
            role: record.role,
            scopes: record.scopes.into_iter().collect(),
            project_ids: record.projects,
            created_at: record.created_at.into(),
            expires_at: record.expires_at.map(Timestamp),
            last_used_at: record.last_used_at.map(Timestamp),
            revoked_at: record.revoked_at.map(Timestamp),
            successor_id: record.successor,
        }
    }
}

/// A key that was just made.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "CreatedApiKey")]
struct CreatedKeyOut {
    /// The key itself, shown this once.
    key: String,
    /// What is kept of it.
    #[oai(flatten)]
    api_key: KeyOut,
}

/// How to rotate.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[oai(rename_all = "camelCase", deny_unknown_fields, rename = "ApiKeyRotation", example)]
struct KeyRotationIn {
    /// For how many seconds the old key stays valid, 0 to 2592000 (86400 if not given).
    overlap_seconds: Option<i64>,
}

example!(KeyRotationIn, {"overlapSeconds": 3600});

/// A key that has taken another's place.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "RotatedApiKey")]
struct RotatedKeyOut {
    /// Until when the old key is accepted.
    old_key_expires_at: Timestamp,
    /// The new one.
    #[oai(flatten)]
    created: CreatedKeyOut,
}
