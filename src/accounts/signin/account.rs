//! The page of one's own account: who one is here, a new password, where one is signed in, and which programs act for
//! one.

use std::sync::Arc;

use maud::html;
use poem::{IntoResponse as _, Request, Response, handler, web::Data};

use super::{
    Method, Session, change_password, cookie, oidc,
    pages::{
        HOME, SIGN_IN, enter, mended, new_password, on_the_way_to, password_fields, query, with_cookie,
        with_next, wrong,
    },
    person_behind, session,
};
use crate::{
    accounts::{
        Credential, GrantId, Principal, SessionId, get_tenant,
        oauth::{
            grants::{self, Grant},
            in_words,
        },
    },
    app::App,
    clock::Time,
    error::{Error, Result},
    pages::{Field, Form, Page, go_to, shown},
    sender::Sender,
    wire::{MAX_LIMIT, Page as Part},
};

fn sign_in_first() -> Response {
    go_to(&with_next(SIGN_IN, HOME))
}

/// `GET /account`: the page, or the way to it by signing in.
#[handler]
pub(crate) async fn show_account(app: Data<&Arc<App>>, request: &Request) -> Response {
    shown(
        async {
            let Some(principal) = session::shown(&app, request).await? else { return Ok(sign_in_first()) };
            let done = match query(request, "done").as_str() {
                "password" => Some("You have a new password, and are signed out everywhere else."),
                "session" => Some("That session is over."),
                "grant" => Some("That program may do nothing for you any more."),
                _ => None,
            };
            Ok(account_page(&app, &principal, done, None).await?.into_response())
        }
        .await,
    )
}

/// `POST /account/password`: a new password for whoever knows the present one.
#[handler]
pub(crate) async fn change_password_of(app: Data<&Arc<App>>, request: &Request, form: Form) -> Response {
    shown(
        async {
            let Some(principal) = session::shown(&app, request).await? else { return Ok(sign_in_first()) };
            let done = async {
                let (sender, new) = (Sender::of(&app, request), new_password(&form)?);
                let current = form.secret("current");
                let member = change_password(&app, &principal, &sender, &current, new).await?;
                enter(&app, request, &member, Method::Password, "/account?done=password").await
            };
            match done.await {
                Err(error) if !error.fields.is_empty() => {
                    let page = account_page(&app, &principal, None, Some(&error)).await?;
                    mended(Err(error), |_| page)
                }
                done => done,
            }
        }
        .await,
    )
}

/// `POST /account/sessions/end`: signs one out elsewhere.
#[handler]
pub(crate) async fn end_session(app: Data<&Arc<App>>, request: &Request, form: Form) -> Response {
    shown(
        async {
            let Some(principal) = session::shown(&app, request).await? else { return Ok(sign_in_first()) };
            let id = form.text("session").parse().map(SessionId).map_err(|_| Error::not_found("session"))?;
            session::revoke_session(&app, &principal, &Sender::of(&app, request), id).await?;
            Ok(go_to("/account?done=session"))
        }
        .await,
    )
}

/// `POST /account/grants/end`: ends what a client may do.
#[handler]
pub(crate) async fn end_grant(app: Data<&Arc<App>>, request: &Request, form: Form) -> Response {
    shown(
        async {
            let Some(principal) = session::shown(&app, request).await? else { return Ok(sign_in_first()) };
            let id = form.text("grant").parse().map(GrantId).map_err(|_| Error::not_found("grant"))?;
            grants::end(&app, &principal, &Sender::of(&app, request), id).await?;
            Ok(go_to("/account?done=grant"))
        }
        .await,
    )
}

/// `POST /signout`: ends the session of this browser. Somebody who wants to be somebody else signs in again, and goes
/// on where they were.
#[handler]
pub(crate) async fn sign_out(app: Data<&Arc<App>>, request: &Request, form: Form) -> Response {
    shown(
        async {
            let to = match form.text("next") {
                "" => SIGN_IN.to_owned(),
                next => on_the_way_to(next)?,
            };
            session::end_shown(&app, request).await?;
            Ok(with_cookie(go_to(&to), &cookie::clear(&app)))
        }
        .await,
    )
}

async fn account_page(
    app: &App,
    principal: &Principal,
    done: Option<&str>,
    error: Option<&Error>,
) -> Result<Page> {
    let tenant = get_tenant(app, principal).await?;
    let person = person_behind(app, principal).await?.ok_or_else(|| Error::not_found("person"))?;
    let mut sessions =
        session::list_sessions(app, principal, Part { limit: MAX_LIMIT, after: None, counts: false }).await?;
    sessions.truncate(usize::try_from(MAX_LIMIT).unwrap_or(usize::MAX));
    let grants = grants::given_by(app, principal).await?;
    let provider = match &app.config.oidc {
        Some(provider) if !oidc::is_connected(app, provider, person.id).await? => Some(&provider.name),
        _ => None,
    };
    let body = html! {
        @if let Some(done) = done { p class="notice" role="status" { (done) } }
        dl {
            dt { "Name" } dd { (principal.name) }
            dt { "E-mail address" } dd { (person.email) }
            dt { "Organisation" } dd { (tenant.name) }
            dt { "Role" } dd { (principal.role) }
        }
        form method="post" action="/signout" { button class="quiet" type="submit" { "Sign out" } }
        @if let Some(provider) = provider {
            p { a class="button" href=(with_next(oidc::BEGIN, HOME)) { "Connect " (provider) } }
        }
        h2 { "New password" }
        form method="post" action="/account/password" {
            // For password managers, which keep a password with its name.
            input type="email" name="email" value=(person.email) autocomplete="username" readonly hidden;
            (Field { name: "current", label: "Current password", kind: "password", autocomplete: "current-password",
                wrong: wrong(error, "/current"), ..Field::default() }.render())
            (password_fields("New password", error))
            button type="submit" { "Change the password" }
        }
        h2 { "Where you are signed in" }
        p class="hint" { "Times are in UTC." }
        div class="wide" {
            table {
                thead { tr { th scope="col" { "Since" } th scope="col" { "Last used" } th scope="col" { "From" }
                    th scope="col" { "Browser" } th scope="col" { "End" } } }
                tbody { @for session in &sessions { (row(session, principal)) } }
            }
        }
        h2 { "Programs that act for you" }
        @if grants.is_empty() {
            p { "There are none. A program that you connect asks you first." }
        } @else {
            div class="wide" {
                table {
                    thead { tr { th scope="col" { "Program" } th scope="col" { "May" } th scope="col" { "Since" } th scope="col" { "Last used" }
                        th scope="col" { "End" } } }
                    tbody { @for grant in &grants { (grant_row(grant)) } }
                }
            }
        }
    };
    Ok(Page::new("Your account", body))
}

fn row(session: &Session, principal: &Principal) -> maud::Markup {
    let is_this = principal.credential == Credential::Session(session.id);
    html! {
        tr {
            td { (time(session.created_at)) }
            td { (time(session.last_seen_at)) }
            td { (session.ip.as_deref().unwrap_or("unknown")) }
            td class="long" { (session.user_agent.as_deref().unwrap_or("unknown")) }
            td {
                @if is_this { "this one" } @else {
                    form method="post" action="/account/sessions/end" {
                        input type="hidden" name="session" value=(session.id);
                        button class="quiet" type="submit"
                            aria-label={ "End the session since " (time(session.created_at)) } { "End" }
                    }
                }
            }
        }
    }
}

fn grant_row(grant: &Grant) -> maud::Markup {
    html! {
        tr {
            td class="long" { (grant.client_name) p class="hint" { (grant.client_id) } }
            td { (in_words(&grant.scopes)) }
            td { (time(grant.created_at)) }
            td { (grant.last_used_at.map_or_else(|| "never".to_owned(), time)) }
            td {
                form method="post" action="/account/grants/end" {
                    input type="hidden" name="grant" value=(grant.id);
                    button class="quiet" type="submit"
                        aria-label={ "End what " (grant.client_name) " may do since " (time(grant.created_at)) } { "End" }
                }
            }
        }
    }
}

fn time(time: Time) -> String {
    time.format("%Y-%m-%d %H:%M").to_string()
}
