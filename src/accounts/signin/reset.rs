//! A new password for somebody who has forgotten theirs: by a link that whoever operates the service makes and hands over,
//! because Trackside sends no mail. An admin of one tenant makes none: the person may belong to others too.

use std::sync::Arc;

use maud::html;
use poem::{IntoResponse as _, Request, Response, handler, web::Data};

use super::{
    Email, Method, Person, Welcome, cookie, find_person, memberships,
    pages::{START, choice_page, enter, mended, new_password, password_fields, query},
    placed,
    proof::{RESET, prove, proven},
    renew_password,
};
use crate::{
    accounts::members,
    app::App,
    clock::Time,
    error::{Code, Error, Result},
    pages::{Form, Page, shown},
    security::{self, Actor, SecurityAction, SecurityEvent, TargetKind},
    sender::Sender,
};

/// A link by which somebody takes a new password.
pub struct ResetLink {
    /// Where it leads.
    pub url: String,
    /// Until when.
    pub expires_at: Time,
}

/// Makes a link for the person with an address, and notes that in each of their tenants.
///
/// # Errors
/// `not_found` for nobody, `conflict` for somebody who may act in no tenant: the link would let them in nowhere.
pub async fn offer_reset(app: &App, email: Email) -> Result<ResetLink> {
    let nobody = || Error::new(Code::NotFound, "nobody with this e-mail address signs in here");
    let person = find_person(app, email).await?.ok_or_else(nobody)?;
    let memberships = memberships(app, person.id).await?;
    if memberships.is_empty() {
        let why = "whoever has this e-mail address may act in no organisation: let them act again first, with `trackside \
                   principal reactivate`";
        return Err(Error::new(Code::Conflict, why));
    }
    let (proof, expires_at) = prove(app, &RESET, &person, Method::Password)?;
    for member in memberships {
        let event = SecurityEvent::new(app, Actor::system(), SecurityAction::PasswordResetOffered);
        let noted = app.database.write(member.tenant.id, move |tx| {
            Box::pin(async move {
                let name = members::find(tx, member.principal).await?.name;
                security::note(tx, event.on(TargetKind::Principal, member.principal.0, name)).await
            })
        });
        noted.await?;
    }
    Ok(ResetLink { url: format!("{}/reset?code={proof}", app.public_url()), expires_at })
}

/// Whose password a link is for, while it is good.
async fn peek(app: &App, code: &str) -> Result<Person> {
    proven(app, &RESET, code).await?.map(|(person, _)| person).ok_or_else(gone)
}

/// `GET /reset`: the form in which somebody takes a new password.
#[handler]
pub(crate) async fn show_reset(app: Data<&Arc<App>>, request: &Request) -> Response {
    shown(
        async {
            let code = query(request, "code");
            let person = peek(&app, &code).await?;
            cookie::check_way(&app, &Sender::of(&app, request))?;
            Ok(page(&code, &person, None).into_response())
        }
        .await,
    )
}

/// `POST /reset`: gives somebody the new password, ends their sessions, and signs them in.
#[handler]
pub(crate) async fn reset_password(app: Data<&Arc<App>>, request: &Request, form: Form) -> Response {
    let done = async {
        let (code, sender) = (form.text("code"), Sender::of(&app, request));
        let person = peek(&app, code).await?;
        cookie::check_way(&app, &sender)?;
        let new = match new_password(&form) {
            Err(error) => return mended(Err(error), |error| page(code, &person, Some(error))),
            Ok(new) => new,
        };
        let (person, _) = renew_password(&app, &sender, None, person, &new).await?;
        match placed(&app, &person, Method::Password).await?.ok_or_else(nowhere)? {
            Welcome::To(member) => enter(&app, request, &member, Method::Password, START).await,
            Welcome::Choose(memberships, proof) => {
                Ok(choice_page(&memberships, &proof, START).into_response())
            }
        }
    };
    shown(done.await)
}

fn page(code: &str, person: &Person, error: Option<&Error>) -> Page {
    let body = html! {
        p { "For " (person.name) ", " (person.email) ". This signs you out everywhere, and disconnects programs that act for you." }
        form method="post" action="/reset" {
            input type="hidden" name="code" value=(code);
            // For password managers, which keep a password with its name.
            input type="email" name="email" value=(person.email) autocomplete="username" readonly hidden;
            (password_fields("New password", error))
            button type="submit" { "Set the password" }
        }
    };
    Page::new("New password", body)
}

fn nowhere() -> Error {
    let why = "your password is new, and you belong to no organisation here: ask one of its owners or admins for an \
               invitation";
    Error::new(Code::InsufficientScope, why)
}

fn gone() -> Error {
    let why = "this link is no longer valid: it works once, for an hour; ask whoever operates this service for \
               another one";
    Error::new(Code::Gone, why)
}
