//! Sessions: browsers in which somebody is signed in, each as one principal of one tenant.
//!
//! A session begins when somebody signs in, under a secret that is new, whatever the browser had before; it ends when
//! they sign out, end it from elsewhere or change their password, when it was not used for seven days, and in any case
//! after thirty. It is a credential like a key: what it may do is looked up with it, and streams that rest on it end
//! with it.

use std::sync::Arc;

use chrono::TimeDelta;
use poem::{Request, http::Method as Verb};

use super::{Deed, Membership, cookie, store};
use crate::{
    accounts::{Credential, Principal, PrincipalId, SessionId, credential, members},
    app::App,
    clock::Time,
    database::{Door, Tx},
    error::{Code, Error, Result},
    security::SecurityAction,
    sender::{self, Sender},
    wire::{Page, wire_enum},
};

/// How long a session lasts that nobody uses.
pub(in crate::accounts) const IDLE: TimeDelta = TimeDelta::days(7);
/// How long any lasts.
pub(super) const LIFE: TimeDelta = TimeDelta::days(30);
/// Sessions, or people, removed in one transaction.
pub(super) const BATCH: u64 = 500;

wire_enum! {
    /// How somebody signed in.
    Method {
        /// By the link that sets an installation up.
        Setup = "setup",
        /// With their password.
        Password = "password",
        /// By a link that somebody sent them.
        Invitation = "invitation",
        /// At the provider that the operator names.
        Oidc = "oidc",
    }
}

/// A session as it is listed: everything but its secret.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// How it began.
    pub method: Method,
    /// From where.
    pub ip: Option<String>,
    /// In which program.
    pub user_agent: Option<String>,
    /// When it began.
    pub created_at: Time,
    /// When it was last used, give or take a minute.
    pub last_seen_at: Time,
    /// When it ends at the latest.
    pub expires_at: Time,
    /// When it was ended.
    pub revoked_at: Option<Time>,
}

/// Begins a session in the browser that sends a request, and ends the one that it had. Gives the `Set-Cookie` for it.
///
/// # Errors
/// `unprocessable` over a way that is not safe for it, and the database's.
pub(super) async fn begin(
    app: &App,
    request: &Request,
    member: &Membership,
    method: Method,
) -> Result<String> {
    let sender = Sender::of(app, request);
    cookie::check_way(app, &sender)?;
    end_shown(app, request).await?;
    let (secret, now) = (cookie::Secret::generate(&app.ids), app.clock.now());
    let session = Session {
        id: SessionId(app.ids.uuid()),
        method,
        ip: sender.ip.map(|ip| ip.to_string()),
        user_agent: sender.user_agent.clone(),
        created_at: now,
        last_seen_at: now,
        expires_at: now + LIFE,
        revoked_at: None,
    };
    let (hash, principal) = (secret.hash(), member.principal);
    let deed = Deed::new(app, principal, &sender, SecurityAction::SignedIn);
    app.database
        .write(member.tenant.id, move |tx| {
            Box::pin(async move {
                let named = Some((session.id, method));
                store::insert_session(tx, session, principal, hash).await?;
                deed.note_on(tx, named).await
            })
        })
        .await?;
    Ok(cookie::set(app, &secret))
}

/// Who the session in a request's cookie stands for; none without a session that is still good.
///
/// # Errors
/// The database's.
pub(in crate::accounts) async fn shown(app: &App, request: &Request) -> Result<Option<Arc<Principal>>> {
    let Some(secret) = cookie::read(app, request.headers()) else { return Ok(None) };
    match credential::authenticate_session(app, secret.hash()).await {
        Ok(principal) => Ok(Some(principal)),
        Err(error) if error.code == Code::Unauthenticated => Ok(None),
        Err(error) => Err(error),
    }
}

/// Who sends a request to the API with a session's cookie. A browser sends a cookie along whoever asks it to: a page of
/// another origin is refused, and a change has to come from a page of this service.
///
/// # Errors
/// `foreign_origin` from elsewhere, `unauthenticated` for a session that is unknown or over.
pub(in crate::accounts) async fn authenticate_cookie(
    app: &App,
    request: &Request,
    secret: &cookie::Secret,
) -> Result<Arc<Principal>> {
    let is_read = matches!(*request.method(), Verb::GET | Verb::HEAD | Verb::OPTIONS);
    if sender::is_foreign_page(request) || !(is_read || sender::is_own_page(request)) {
        let why =
            "with the cookie of a session only pages of this service may do this; others send an API key";
        return Err(Error::new(Code::ForeignOrigin, why));
    }
    credential::authenticate_session(app, secret.hash()).await
}

/// Ends the session in a request's cookie, if there is one: somebody signs out.
pub(super) async fn end_shown(app: &App, request: &Request) -> Result<()> {
    let Some(secret) = cookie::read(app, request.headers()) else { return Ok(()) };
    let (hash, now) = (secret.hash(), app.clock.now());
    let found =
        app.database.read_through(Door::Credentials, move |tx| Box::pin(store::session_by_hash(tx, hash)));
    let Some((tenant, principal, id)) = found.await? else { return Ok(()) };
    let deed = Deed::new(app, principal, &Sender::of(app, request), SecurityAction::SignedOut)
        .with(Credential::Session(id));
    match app.database.write(tenant, move |tx| Box::pin(end(tx, principal, id, now, deed))).await {
        // One that was over may have been forgotten since it was found.
        Err(error) if error.code != Code::NotFound => Err(error),
        _ => {
            app.accounts.forget();
            Ok(())
        }
    }
}

/// Ends a session, and notes it; one that is over stays as it is.
async fn end(tx: &Tx<'_>, owner: PrincipalId, id: SessionId, now: Time, deed: Deed) -> Result<Session> {
    let is_news = store::revoke_session(tx, owner, id, now).await?;
    let session = store::session(tx, owner, id).await?;
    if is_news {
        deed.note_on(tx, Some((id, session.method))).await?;
    }
    Ok(session)
}

/// The caller's own sessions that are not over, newest first.
///
/// # Errors
/// `insufficient_scope` for a client that only acts for somebody, and the database's.
pub async fn list_sessions(app: &App, principal: &Principal, page: Page<SessionId>) -> Result<Vec<Session>> {
    refuse_clients(principal)?;
    let (id, now) = (principal.id, app.clock.now());
    app.database
        .read(principal.tenant, |tx| Box::pin(async move { store::sessions(tx, id, now, &page).await }))
        .await
}

/// Ends one of the caller's own sessions: its browser is signed out, and streams that rest on it end. Doing it again
/// changes nothing.
///
/// # Errors
/// `not_found` for a session of somebody else or none, `insufficient_scope` for a client that only acts for somebody, and
/// for a key that may not manage keys.
pub async fn revoke_session(
    app: &App,
    principal: &Principal,
    sender: &Sender,
    id: SessionId,
) -> Result<Session> {
    refuse_clients(principal)?;
    let (owner, now) = (principal.id, app.clock.now());
    let deed = Deed::new(app, owner, sender, SecurityAction::SessionRevoked).with(principal.credential);
    let may_end = principal.may_end_own();
    let ended = app.database.write(principal.tenant, move |tx| {
        Box::pin(async move {
            store::session(tx, owner, id).await?;
            may_end?;
            end(tx, owner, id, now, deed).await
        })
    });
    let ended = ended.await?;
    app.accounts.forget();
    Ok(ended)
}

/// What somebody lets a client do is not to see or end where they are signed in.
fn refuse_clients(principal: &Principal) -> Result<()> {
    match principal.credential {
        Credential::Grant(_) | Credential::Member(_) => {
            let why = "where somebody is signed in is not for clients that act for them; they see it on their account's page";
            Err(Error::new(Code::InsufficientScope, why))
        }
        Credential::Key(_) | Credential::Session(_) => Ok(()),
    }
}

/// Ends every session of a person, and every grant; for whoever has changed their password, notes that in each of their
/// tenants.
pub(super) async fn end_all(
    app: &App,
    memberships: &[Membership],
    changed_by: Option<(&Sender, Option<&Principal>)>,
) -> Result<()> {
    let now = app.clock.now();
    for Membership { tenant, principal } in memberships {
        let principal = *principal;
        let deed = changed_by.map(|(sender, here)| {
            Deed::new(app, principal, sender, SecurityAction::PasswordChanged).by(here)
        });
        let ended = app.database.write(tenant.id, move |tx| {
            Box::pin(async move {
                store::revoke_sessions(tx, principal, now).await?;
                members::end_grants(tx, principal, now).await?;
                match deed {
                    Some(deed) => deed.note(tx).await,
                    None => Ok(()),
                }
            })
        });
        ended.await?;
    }
    app.accounts.forget();
    Ok(())
}

/// Removes sessions that have been over for good, whoever they belong to.
///
/// # Errors
/// The database's; what is left goes the next time.
pub async fn forget_sessions(app: &App) -> Result<()> {
    let now = app.clock.now();
    app.clear_out(move |tx| Box::pin(store::forget_sessions(tx, now, BATCH))).await
}
