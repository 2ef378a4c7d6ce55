//! A new password for somebody who has forgotten theirs: by a link that whoever operates the service makes and hands over,
//! because Trackside sends no mail. An admin of one tenant makes none: the person may belong to others too.
//!
//! The link is good for an hour, and once. It names, sealed, the password whose place it takes: so nothing is kept of it,
//! and a password that was changed meanwhile ends it.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use maud::html;
use poem::{IntoResponse as _, Request, Response, handler, web::Data};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    Email, Method, Person, PersonId, Welcome, cookie, find_person, memberships,
    pages::{HOME, choice_page, enter, mended, new_password, password_fields, query},
    placed, session, store,
};
use crate::{
    app::App,
    clock::Time,
    database::Door,
    error::{Code, Error, Result},
    pages::{Form, Page, shown},
    sender::Sender,
    vault::Place,
};

/// For how long a link is good.
const LIFE: TimeDelta = TimeDelta::hours(1);
const PLACE: Place<'static> = Place { tenant: Uuid::nil(), column: "signin.reset", row: Uuid::nil() };

/// A link by which somebody takes a new password.
pub struct ResetLink {
    /// Where it leads.
    pub url: String,
    /// Until when.
    pub expires_at: Time,
}

/// What a link says.
#[derive(Deserialize, Serialize)]
struct Reset {
    person: Uuid,
    until: Time,
    /// The SHA-256 of what is stored of the password whose place is taken.
    replaces: [u8; 32],
}

fn digest(person: &Person) -> [u8; 32] {
    Sha256::digest(person.password.as_deref().unwrap_or_default()).into()
}

/// Makes a link for the person with an address.
///
/// # Errors
/// `not_found` for nobody, and for somebody who belongs to no tenant.
pub async fn offer_reset(app: &App, email: &str) -> Result<ResetLink> {
    let nobody = || Error::new(Code::NotFound, "nobody with this e-mail address signs in here");
    let person = find_person(app, Email::parse("/email", email)?).await?.ok_or_else(nobody)?;
    if memberships(app, person.id).await?.is_empty() {
        return Err(nobody());
    }
    let expires_at = app.clock.now() + LIFE;
    let reset = Reset { person: person.id.0, until: expires_at, replaces: digest(&person) };
    let sealed = app.vault.seal(PLACE, &serde_json::to_vec(&reset).map_err(Error::internal)?)?;
    let url = format!("{}/reset?code={}", app.public_url(), URL_SAFE_NO_PAD.encode(sealed));
    Ok(ResetLink { url, expires_at })
}

/// Whose password a link is for, while it is good.
async fn peek(app: &App, code: &str) -> Result<Person> {
    let sealed = URL_SAFE_NO_PAD.decode(code).ok().and_then(|sealed| app.vault.open(PLACE, &sealed).ok());
    let reset: Option<Reset> = sealed.and_then(|plain| serde_json::from_slice(&plain).ok());
    let reset = reset.filter(|reset| app.clock.now() < reset.until).ok_or_else(gone)?;
    let id = PersonId(reset.person);
    let found = app.database.read_through(Door::People, move |tx| Box::pin(store::person(tx, id)));
    found.await?.filter(|person| digest(person) == reset.replaces).ok_or_else(gone)
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
        let hash = app.accounts.sign_in.hashing.hash(&app, &new).await?;
        let (id, old) = (person.id, person.password);
        let replaced = app.database.write_through(Door::People, move |tx| {
            Box::pin(async move { store::replace_password(tx, id, old, hash).await })
        });
        if !replaced.await? {
            return Err(gone());
        }
        session::end_all(&app, &sender, &memberships(&app, id).await?).await?;
        match placed(&app, id, Method::Password).await?.ok_or_else(gone)? {
            Welcome::To(member) => enter(&app, request, &member, Method::Password, HOME).await,
            Welcome::Choose(memberships, proof) => {
                Ok(choice_page(&memberships, &proof, HOME).into_response())
            }
        }
    };
    shown(done.await)
}

fn page(code: &str, person: &Person, error: Option<&Error>) -> Page {
    let body = html! {
        p { "For " (person.name) ", " (person.email) ". It ends all your sessions." }
        form method="post" action="/reset" {
            input type="hidden" name="code" value=(code);
            // For password managers, which keep a password with its name.
            input type="email" name="email" value=(person.email) autocomplete="username" readonly hidden;
            (password_fields("New password", error))
            button type="submit" { "Take this password" }
        }
    };
    Page::new("New password", body)
}

fn gone() -> Error {
    let why = "this link is not, or no longer, valid: it works once, for an hour; ask whoever operates this service for \
               another one";
    Error::new(Code::Gone, why)
}
