//! Signing in at a provider that the operator names (OpenID Connect).
//!
//! The sign-in page leads to [`begin_oidc`], that to the provider, and the provider back to [`end_oidc`]. What belongs to
//! the way there and back is in a cookie, sealed, for ten minutes: nobody can begin what another ends, and nothing is
//! kept here. Who the provider says somebody is becomes a person in `identity.rs`.
//!
//! What goes wrong is said on a page that leads back to the sign-in page. A provider that cannot be asked lets nobody in
//! and keeps nobody out who has a password.

mod identity;
mod provider;

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use maud::html;
use poem::{IntoResponse as _, Request, Response, handler, http::HeaderMap, web::Data};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::provider::{check_provider, redirect_address};
use super::{
    Method, PersonId, Welcome, attempts, cookie,
    pages::{SIGN_IN, START, choice_page, enter, query, with_cookie, with_next},
    person_behind, record, session, store,
};
use crate::{
    accounts::invitation,
    app::App,
    clock::Time,
    config::OidcSettings,
    database::Door,
    error::{Code, Error, Result},
    pages::{Page, go_to, local_path, refusal, shown},
    problem,
    sender::{self, Sender},
    vault::Place,
};

/// Where people begin to sign in at the provider.
pub(super) const BEGIN: &str = "/signin/oidc";
/// Where the provider sends them back to.
pub(super) const CALLBACK: &str = "/signin/oidc/callback";
/// How long somebody may take at the provider.
const PATIENCE: TimeDelta = TimeDelta::minutes(10);
/// The longest path that is remembered meanwhile: cookies hold 4 KiB.
const MAX_NEXT: usize = 2_000;
const PLACE: Place<'static> = Place { tenant: Uuid::nil(), column: "signin.oidc", row: Uuid::nil() };

/// What belongs to one sign-in, and is kept in its browser.
#[derive(Deserialize, Serialize)]
struct Flow {
    /// What the provider sends back with its answer.
    state: String,
    /// What it puts into the ID token.
    nonce: String,
    /// What shows that who redeems the code asked for it (RFC 7636).
    verifier: String,
    /// Where they want to go.
    next: String,
    /// Until when this is good.
    until: Time,
}

impl Flow {
    fn new(app: &App, next: &str) -> Self {
        let random = || URL_SAFE_NO_PAD.encode(app.ids.bytes::<32>());
        let next = local_path(next).filter(|path| path.len() <= MAX_NEXT).unwrap_or(START).to_owned();
        let until = app.clock.now() + PATIENCE;
        Self { state: random(), nonce: random(), verifier: random(), next, until }
    }

    /// `Set-Cookie` that keeps it.
    fn cookie(&self, app: &App) -> Result<String> {
        let sealed = app.vault.seal(PLACE, &serde_json::to_vec(self).map_err(Error::internal)?)?;
        Ok(cookie::set_flow(app, &URL_SAFE_NO_PAD.encode(sealed), PATIENCE))
    }

    /// The one in a request's cookie, while it is good.
    fn read(app: &App, headers: &HeaderMap) -> Option<Self> {
        let sealed = URL_SAFE_NO_PAD.decode(cookie::read_flow(app, headers)?).ok()?;
        let flow: Self = serde_json::from_slice(&app.vault.open(PLACE, &sealed).ok()?).ok()?;
        Some(flow).filter(|flow| app.clock.now() < flow.until)
    }
}

fn settings(app: &App) -> Result<&OidcSettings> {
    let none = || Error::new(Code::NotFound, "people do not sign in by OpenID Connect here");
    app.config.oidc.as_ref().ok_or_else(none)
}

/// `GET /signin/oidc`: on to the provider.
#[handler]
pub(crate) async fn begin_oidc(app: Data<&Arc<App>>, request: &Request) -> Response {
    shown(
        async {
            let (settings, next) = (settings(&app)?, query(request, "next"));
            if sender::is_led_from_elsewhere(request) {
                return Ok(go_to(&with_next(SIGN_IN, &next)));
            }
            cookie::check_way(&app, &Sender::of(&app, request))?;
            let flow = Flow::new(&app, &next);
            let address = provider::address(&app, settings, &flow).await?;
            Ok(with_cookie(go_to(&address), &flow.cookie(&app)?))
        }
        .await,
    )
}

/// `GET /signin/oidc/callback`: back from the provider.
#[handler]
pub(crate) async fn end_oidc(app: Data<&Arc<App>>, request: &Request) -> Response {
    let flow = Flow::read(&app, request.headers());
    let next = flow.as_ref().map_or(START, |flow| &flow.next).to_owned();
    let sender = Sender::of(&app, request);
    let done = end(&app, request, &sender, flow).await.or_else(|error| match error.code {
        Code::NotFound if app.config.oidc.is_none() => Err(error),
        Code::Internal => Err(error),
        _ => {
            record::note_refusal(&app, &sender, None);
            problem::log(&error);
            Ok(refusal(refused_page(&error, &next), &error))
        }
    });
    with_cookie(shown(done), &cookie::clear_flow(&app))
}

async fn end(app: &App, request: &Request, sender: &Sender, flow: Option<Flow>) -> Result<Response> {
    let settings = settings(app)?;
    cookie::check_way(app, sender)?;
    let flow = flow.ok_or_else(|| {
        let why = "this sign-in was begun too long ago, or in another browser";
        Error::new(Code::Unprocessable, why)
    })?;
    let (state, code, from) = (query(request, "state"), query(request, "code"), query(request, "iss"));
    if state != flow.state {
        let why = "this sign-in is not the last one that was begun in this browser";
        return Err(Error::new(Code::Unprocessable, why));
    }
    // Now it is somebody who began here, and no page elsewhere that sends its visitors.
    attempts::count_anywhere(app, sender).await?;
    let must_say = provider::names_itself(app, settings).await?;
    if from != settings.issuer.as_str() && (must_say || !from.is_empty()) {
        return Err(Error::new(Code::Unprocessable, "this answer is from somebody else than was asked"));
    }
    if code.is_empty() {
        let why = format!("{} did not let you in", settings.name);
        return Err(Error::new(Code::Unprocessable, why));
    }
    let told = provider::redeem(app, settings, &code, &flow).await?;
    let secret = invitation::secret_in(&flow.next);
    let here = match session::shown(app, request).await? {
        Some(principal) => person_behind(app, &principal).await?.map(|person| (person.id, principal)),
        None => None,
    };
    // An invitation is used up on the way; who is in already meets it on its own page.
    let (welcome, joined) = identity::welcome(app, sender, told, secret.as_deref(), here).await?;
    let next = if joined { START } else { &flow.next };
    match welcome {
        Welcome::To(member) => enter(app, request, &member, Method::Oidc, next).await,
        Welcome::Choose(memberships, proof) => Ok(choice_page(&memberships, &proof, next).into_response()),
    }
}

/// Whether somebody is known at the provider.
pub(super) async fn is_connected(app: &App, provider: &OidcSettings, person: PersonId) -> Result<bool> {
    let issuer = provider.issuer.as_str().to_owned();
    app.database
        .read_through(Door::People, |tx| {
            Box::pin(async move { store::has_identity(tx, person, &issuer).await })
        })
        .await
}

fn refused_page(error: &Error, next: &str) -> Page {
    let body = html! {
        p class="wrong" role="alert" id="refusal" { (crate::pages::sentence(&error.detail)) }
        p { a href=(with_next(SIGN_IN, next)) { "Sign in again" } }
    };
    let title = if error.code == Code::Unavailable { "Not at the moment" } else { "You are not signed in" };
    Page::new(title, body)
}
