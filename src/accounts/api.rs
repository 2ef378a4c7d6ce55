//! Tenants, principals and API keys over REST, and the extractor by which every route states its scope.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    marker::PhantomData,
    sync::Arc,
};

use poem::{
    Request, RequestBody,
    http::{HeaderMap, header},
    web::Data,
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    registry::{MetaSecurityScheme, Registry},
};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use super::{
    KeyId, KeyRecord, Level, NewKey, Principal, PrincipalId, PrincipalKind, PrincipalRecord, Role, Scope,
    Surface, Tenant,
    scope::{self, Needs},
    signin, tokens,
};
use crate::{
    app::App,
    database::TenantId,
    error::{Code, Error, Result},
    rest::{Created, Input, Listed, Tag},
    security::Actor,
    sender::Sender,
    wire::{Page, ProjectId, Timestamp, example},
};

/// An authenticated caller whose key has the scope `S`: a route that takes one cannot forget to check.
pub struct Caller<S> {
    /// Who calls.
    pub principal: Arc<Principal>,
    /// Where from.
    pub origin: Sender,
    scope: PhantomData<S>,
}

const SCHEME: &str = "apiKey";
const SESSION_SCHEME: &str = "session";

impl<'a, S: Needs> ApiExtractor<'a> for Caller<S> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_security_scheme(
            SCHEME,
            MetaSecurityScheme {
                ty: "http",
                description: Some(
                    "An API key, sent as `Authorization: Bearer tsk_…`, or in its place an access token of \
                     `POST /oauth/token`.",
                ),
                name: None,
                key_in: None,
                scheme: Some("bearer"),
                bearer_format: Some("tsk_"),
                flows: None,
                openid_connect_url: None,
            },
        );
        registry.create_security_scheme(
            SESSION_SCHEME,
            MetaSecurityScheme {
                ty: "apiKey",
                description: Some(
                    "The cookie of somebody who is signed in, which pages of this service send (over http it is named \
                     `trackside`).",
                ),
                name: Some(signin::COOKIE),
                key_in: Some("cookie"),
                scheme: None,
                bearer_format: None,
                flows: None,
                openid_connect_url: None,
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME, SESSION_SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let app = request.data::<Arc<App>>().ok_or_else(|| Error::internal("a route without its App"))?;
        let principal = match request.extensions().get::<Arc<Principal>>() {
            Some(known) => Arc::clone(known),
            None => authenticate_caller(app, request).await?,
        };
        let project = request.raw_path_param("project_id").and_then(|id| id.parse().ok());
        principal.require_in(project, S::SCOPE)?;
        Ok(Self { principal, origin: Sender::of(app, request), scope: PhantomData })
    }
}

/// Who sends a request to the API: by its `Authorization` or, without one, by the session in its cookie.
///
/// # Errors
/// As [`authenticate_request`]; `foreign_origin` for a cookie that a page of another origin sends, or a change that does
/// not come from a page of this service.
pub async fn authenticate_caller(app: &App, request: &Request) -> Result<Arc<Principal>> {
    let headers = request.headers();
    match signin::read_cookie(app, headers) {
        Some(secret) if !headers.contains_key(header::AUTHORIZATION) => {
            signin::authenticate_cookie(app, request, &secret).await
        }
        _ => authenticate_request(app, headers, Surface::Api).await,
    }
}

/// Who sends a request to a surface, by its `Authorization` alone.
///
/// # Errors
/// `unauthenticated` for a request without a key or token, for one that is unknown, expired or revoked, and for a token
/// that is for another surface.
pub async fn authenticate_request(
    app: &App,
    headers: &HeaderMap,
    surface: Surface,
) -> Result<Arc<Principal>> {
    let shown = bearer(headers).ok_or_else(|| {
        Error::new(
            Code::Unauthenticated,
            "send an API key as `Authorization: Bearer tsk_…`, or an access token in its place",
        )
    })?;
    identify(app, shown, surface).await
}

/// Who shows a key or a token.
async fn identify(app: &App, shown: &str, surface: Surface) -> Result<Arc<Principal>> {
    match tokens::is_token(shown) {
        true => tokens::verify(app, shown, surface).await,
        false => super::authenticate(app, shown).await,
    }
}

/// The bearer token of a request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (kind, token) = value.split_once(' ')?;
    kind.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A caller who may read events, with a key or with a ticket made from one. Only what streams takes it.
pub struct StreamCaller {
    /// Who calls.
    pub principal: Arc<Principal>,
}

const TICKET: &str = "ticket";
const TICKET_SCHEME: &str = "streamTicket";

impl<'a> ApiExtractor<'a> for StreamCaller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Caller::<scope::EventsRead>::register(registry);
        registry.create_security_scheme(
            TICKET_SCHEME,
            MetaSecurityScheme {
                ty: "apiKey",
                description: Some(
                    "A ticket of `POST /api/v1/stream-tickets`, for clients that cannot send headers.",
                ),
                name: Some(TICKET),
                key_in: Some("query"),
                scheme: None,
                bearer_format: None,
                flows: None,
                openid_connect_url: None,
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME, TICKET_SCHEME, SESSION_SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let app = request.data::<Arc<App>>().ok_or_else(|| Error::internal("a route without its App"))?;
        Ok(Self { principal: authenticate_stream(app, request).await? })
    }
}

/// Who opens a stream: the holder of a key in the header or, without one, of a ticket in the query or, without either,
/// of a session in the cookie.
///
/// # Errors
/// `unauthenticated` without a valid one of either, `insufficient_scope` for a key that may not read events.
pub async fn authenticate_stream(app: &App, request: &Request) -> Result<Arc<Principal>> {
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let principal = if let Some(shown) = bearer(request.headers()) {
        identify(app, shown, Surface::Api).await?
    } else if let Some((_, ticket)) = form_urlencoded::parse(query).find(|(name, _)| name == TICKET) {
        super::ticket::redeem_ticket(app, &ticket).await?
    } else if let Some(secret) = signin::read_cookie(app, request.headers()) {
        signin::authenticate_cookie(app, request, &secret).await?
    } else {
        let why = "send an API key as `Authorization: Bearer tsk_…`, or a ticket as `?ticket=`";
        return Err(Error::new(Code::Unauthenticated, why));
    };
    principal.require(Scope::EventsRead)?;
    Ok(principal)
}

/// Routes of accounts.
pub struct AccountsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl AccountsApi {
    /// Show the tenant
    ///
    /// The organisation that the key belongs to.
    #[oai(path = "/tenant", method = "get", operation_id = "get_tenant")]
    async fn get_tenant(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::StatusRead>,
    ) -> Result<Json<TenantOut>> {
        Ok(Json(super::get_tenant(&app, &caller.principal).await?.into()))
    }

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
        let rows = super::list_principals(&app, &caller.principal, page.clone()).await?;
        Ok(Listed(page.cut(rows, |row| row.id, PrincipalOut::from)))
    }

    /// Make an API key
    ///
    /// Makes a service account of the given role and a key for it. The key is in the answer, this once. A key
    /// cannot make one that may do more than itself.
    #[oai(path = "/api-keys", method = "post", operation_id = "create_key")]
    async fn create_key(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::KeysWrite>,
        body: Input<KeyIn>,
    ) -> Result<Created<CreatedKeyOut>> {
        let KeyIn { name, role, scopes, project_ids, expires_at } = body.0;
        let scopes = scopes.map(|scopes| scopes.into_iter().collect::<BTreeSet<_>>());
        let expires_at = expires_at.map(|Timestamp(time)| time);
        let new = NewKey { name, role, scopes, projects: project_ids, expires_at };
        let (record, key) = super::create_key(&app, &caller.principal, &caller.origin, new).await?;
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
        let actor = Actor::new(&caller.principal, &caller.origin);
        Ok(Json(super::revoke_key(&app, caller.principal.tenant, actor, key_id.0).await?.into()))
    }
}

/// An organisation.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Tenant")]
struct TenantOut {
    /// Its id.
    id: TenantId,
    /// The name people see.
    name: String,
    /// When it was made.
    created_at: Timestamp,
}

impl From<Tenant> for TenantOut {
    fn from(tenant: Tenant) -> Self {
        Self { id: tenant.id, name: tenant.name, created_at: tenant.created_at.into() }
    }
}

/// Who can act in a tenant.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Principal")]
struct PrincipalOut {
    /// Its id.
    id: PrincipalId,
    /// A person or a service account.
    kind: PrincipalKind,
    /// The name people see.
    name: String,
    /// What it is in the tenant.
    role: Role,
    /// What an agent does among others, such as `developer`.
    agent_role: Option<String>,
    /// The projects it is limited to, each with its level there; absent means all.
    project_access: Option<HashMap<String, Level>>,
    /// When it was made.
    created_at: Timestamp,
    /// Since when it may do nothing.
    deactivated_at: Option<Timestamp>,
}

impl From<PrincipalRecord> for PrincipalOut {
    fn from(record: PrincipalRecord) -> Self {
        let PrincipalRecord {
            id, kind, name, role, agent_role, projects, created_at, deactivated_at, ..
        } = record;
        let access = |projects: BTreeMap<ProjectId, Level>| {
            projects.into_iter().map(|(project, level)| (project.to_string(), level)).collect()
        };
        Self {
            id,
            kind,
            name,
            role,
            agent_role,
            project_access: projects.map(access),
            created_at: created_at.into(),
            deactivated_at: deactivated_at.map(Timestamp),
        }
    }
}

/// A key to be made.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[oai(rename_all = "camelCase", deny_unknown_fields, rename = "NewApiKey", example)]
struct KeyIn {
    /// What it is for, 1 to 200 characters.
    name: String,
    /// What its service account is to be.
    role: Role,
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
