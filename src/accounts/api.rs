//! The extractors by which every route states who may call it, and over REST the tenant and who one is in it.

use std::{
    collections::{BTreeMap, HashMap},
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
    payload::Json,
    registry::{MetaSecurityScheme, Registry},
};

use super::{
    Authority, Level, Principal, PrincipalId, PrincipalKind, Role, Scope, Surface, Tenant,
    scope::{self, Needs},
    signin, tokens,
};
use crate::{
    app::App,
    config::Config,
    database::TenantId,
    error::{Code, Error, Result},
    rest::Tag,
    sender::Sender,
    wire::{ProjectId, Timestamp, example, wire_enum},
};

wire_enum! {
    /// What somebody comes with.
    CredentialKind {
        /// The cookie of a browser in which they are signed in.
        Session = "session",
        /// An API key.
        ApiKey = "api_key",
        /// An access token, whatever it was made of.
        Token = "token",
    }
}

impl CredentialKind {
    /// What a request came with that was let in.
    fn of(headers: &HeaderMap) -> Self {
        match bearer(headers) {
            None => Self::Session,
            Some(shown) if tokens::is_token(shown) => Self::Token,
            Some(_) => Self::ApiKey,
        }
    }
}

/// An authenticated caller whose key has the scope `S`: a route that takes one cannot forget to check.
pub struct Caller<S> {
    /// Who calls.
    pub principal: Arc<Principal>,
    /// Where from.
    pub sender: Sender,
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
        if let Some(scope) = S::SCOPE {
            principal.require_in(limited_project(request, &principal), scope)?;
        }
        Ok(Self { principal, sender: Sender::of(app, request), scope: PhantomData })
    }
}

/// The project in a request's path, if its sender is limited to it and others. The path's parts are looked at whatever they
/// are called, because poem-openapi gives them names of its own.
fn limited_project(request: &Request, principal: &Principal) -> Option<ProjectId> {
    let limits = principal.projects.as_ref()?;
    let parts: HashMap<String, String> = request.path_params().unwrap_or_default();
    parts.values().filter_map(|part| part.parse().ok()).find(|project| limits.contains_key(project))
}

impl<S> Caller<S> {
    /// On whose authority it gives, changes and takes away access.
    pub fn authority(&self) -> Authority {
        Authority::of(&self.principal, &self.sender)
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

/// What is amiss with the credential of a request that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amiss {
    /// There is none.
    Missing,
    /// It is a token that says of itself that its time is over.
    Expired,
    /// Whatever else.
    Invalid,
}

/// What is amiss with the credential of a request that [`authenticate_request`] refused, for clients that tell reasons
/// apart. It is what whoever shows the credential can read in it, and so tells nobody what is known of it here.
pub fn what_is_amiss(app: &App, headers: &HeaderMap) -> Amiss {
    match bearer(headers) {
        None => Amiss::Missing,
        Some(shown) if tokens::is_over(app, shown) => Amiss::Expired,
        Some(_) => Amiss::Invalid,
    }
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

/// Routes of the tenant itself.
pub struct AccountsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl AccountsApi {
    /// Show the tenant
    ///
    /// The organisation that the key belongs to, and for how long the service keeps things.
    #[oai(path = "/tenant", method = "get", operation_id = "get_tenant")]
    async fn get_tenant(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::StatusRead>,
    ) -> Result<Json<TenantOut>> {
        let tenant = super::get_tenant(&app, &caller.principal).await?;
        Ok(Json(TenantOut::new(tenant, &app.config)))
    }

    /// Show who you are
    ///
    /// Who is asking, in which organisation, with what, and what they may do with it. It needs no scope: whoever is let in
    /// at all may ask.
    #[oai(path = "/me", method = "get", operation_id = "get_me")]
    async fn get_me(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::Unscoped>,
        request: &Request,
    ) -> Result<Json<MeOut>> {
        let tenant = super::get_tenant(&app, &caller.principal).await?;
        let credential = CredentialKind::of(request.headers());
        Ok(Json(MeOut::new(&caller.principal, tenant, credential)))
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
    /// For how long the service keeps things.
    retention: RetentionOut,
}

impl TenantOut {
    fn new(tenant: Tenant, config: &Config) -> Self {
        let retention = RetentionOut {
            payload_days: config.payload_retention.num_days(),
            tool_call_days: config.audit_retention.num_days(),
            security_event_days: config.security_retention.num_days(),
        };
        Self { id: tenant.id, name: tenant.name, created_at: tenant.created_at.into(), retention }
    }
}

/// For how long a service keeps things, which its operator sets. Events, documents and work items are kept for good.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Retention")]
struct RetentionOut {
    /// Days that bodies of deliveries are kept; what they caused stays.
    payload_days: i64,
    /// Days that records of tool calls are kept.
    tool_call_days: i64,
    /// Days that security events are kept.
    security_event_days: i64,
}

/// Who is asking, and what they may do.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Me", example)]
struct MeOut {
    /// Who it is.
    principal: MyselfOut,
    /// The organisation in which they act.
    tenant: MyTenantOut,
    /// What they may do with what they came with.
    scopes: Vec<Scope>,
    /// What they came with.
    credential: CredentialKind,
    /// The projects that they are limited to; null for all of the tenant.
    projects: Option<Vec<ProjectId>>,
    /// The same projects, each with how far they reach in it: a `viewer` changes nothing there, whatever the scopes say.
    project_access: Option<BTreeMap<ProjectId, Level>>,
}

/// Somebody, as they see themselves.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Myself")]
struct MyselfOut {
    /// Their id.
    id: PrincipalId,
    /// The name people see.
    name: String,
    /// A person or a service account.
    kind: PrincipalKind,
    /// What they are in the tenant.
    role: Role,
    /// What an agent does among others, such as `developer`.
    agent_role: Option<String>,
}

/// The organisation in which somebody acts.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "MyTenant")]
struct MyTenantOut {
    /// Its id.
    id: TenantId,
    /// The name people see.
    name: String,
}

example!(MeOut, {
    "principal": {
        "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3d",
        "name": "developer-1",
        "kind": "service_account",
        "role": "member",
        "agentRole": "developer"
    },
    "tenant": {"id": "01936f8e-3c20-7b11-9a2d-1e2f3a4b5c6d", "name": "Acme"},
    "scopes": ["projects.read", "status.read", "work.read", "work.write"],
    "credential": "api_key",
    "projects": ["01936f8e-4a10-7d55-8c1e-2f3a4b5c6d7e"],
    "projectAccess": {"01936f8e-4a10-7d55-8c1e-2f3a4b5c6d7e": "editor"}
});

impl MeOut {
    fn new(principal: &Principal, tenant: Tenant, credential: CredentialKind) -> Self {
        Self {
            principal: MyselfOut {
                id: principal.id,
                name: principal.name.clone(),
                kind: principal.kind,
                role: principal.role,
                agent_role: principal.agent_role.clone(),
            },
            tenant: MyTenantOut { id: tenant.id, name: tenant.name },
            scopes: principal.scopes.iter().copied().collect(),
            credential,
            projects: principal.project_ids(),
            project_access: principal.projects.clone(),
        }
    }
}
