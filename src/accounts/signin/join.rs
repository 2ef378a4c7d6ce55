//! The page that an invitation leads to: what it invites to, and how to join.
//!
//! Looking at it does not use the invitation up; the form on it does. Somebody new says who they are there and takes a
//! password; whoever has an account already gives its password in the same form. Whoever is signed in joins as who they
//! are, with one button. Where the invitation names an address, that person alone joins, and nobody types another.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{IntoResponse as _, Request, Response, handler, web::Data};

use super::{
    Membership, Method, NewPerson, Person, cookie, oidc,
    pages::{SIGN_IN, START, enter, mended, new_person, person_fields, query, with_next},
    person_behind, person_with, session,
};
use crate::{
    accounts::invitation::{self, Invited},
    app::App,
    error::{Error, Result},
    pages::{Form, Page, go_to, shown},
    sender::Sender,
};

/// `GET /join`: what somebody is invited to, and the form in which they say who they are.
#[handler]
pub(crate) async fn show_join(app: Data<&Arc<App>>, request: &Request) -> Response {
    shown(
        async {
            let secret = query(request, "invitation");
            let invited = invitation::peek(&app, &secret).await?;
            let page = match signed_in(&app, request).await? {
                Some(person) => button_page(&invited, &secret, &person),
                None => {
                    cookie::check_way(&app, &Sender::of(&app, request))?;
                    form_page(&app, &invited, &secret, None, None)
                }
            };
            Ok(page.into_response())
        }
        .await,
    )
}

/// `POST /join`: lets somebody join, and signs them in where they joined.
#[handler]
pub(crate) async fn join_tenant(app: Data<&Arc<App>>, request: &Request, form: Form) -> Response {
    let secret = form.text("invitation");
    let done = async {
        let sender = Sender::of(&app, request);
        cookie::check_way(&app, &sender)?;
        let invited = invitation::peek(&app, secret).await?;
        let person = if form.text("who") == "me" {
            let Some(person) = signed_in(&app, request).await? else {
                return Ok(go_to(&sign_in_first(secret)));
            };
            person
        } else {
            match who_they_say(&app, &sender, &invited, &form).await {
                Err(error) => {
                    let again = |error: &_| form_page(&app, &invited, secret, Some(&form), Some(error));
                    return mended(Err(error), again);
                }
                Ok(person) => person,
            }
        };
        let (_, principal) = invitation::accept(&app, secret, person.id, &sender).await?;
        let member = Membership { tenant: invited.tenant, principal };
        enter(&app, request, &member, Method::Invitation, START).await
    };
    shown(done.await)
}

/// The person whom a form names, who is new or gives their password.
async fn who_they_say(app: &App, sender: &Sender, invited: &Invited, form: &Form) -> Result<Person> {
    let new: NewPerson = new_person(form)?;
    invited.invitation.check_address(&new.email)?;
    person_with(app, sender, new).await
}

/// Whoever is signed in in this browser.
async fn signed_in(app: &App, request: &Request) -> Result<Option<Person>> {
    match session::shown(app, request).await? {
        Some(principal) => person_behind(app, &principal).await,
        None => Ok(None),
    }
}

/// The page of an invitation that is good, whose secret needs no escape.
fn back(secret: &str) -> String {
    format!("/join?invitation={secret}")
}

/// Where somebody signs in who then comes back to the invitation.
fn sign_in_first(secret: &str) -> String {
    with_next(SIGN_IN, &back(secret))
}

fn form_page(app: &App, invited: &Invited, secret: &str, form: Option<&Form>, error: Option<&Error>) -> Page {
    let body = html! {
        (what_it_is(invited))
        p { "Already have an account here? " a href=(sign_in_first(secret)) { "Sign in" } " first." }
        @if let Some(provider) = &app.config.oidc {
            p { a class="button" href=(with_next(oidc::BEGIN, &back(secret))) { "Join with " (provider.name) } }
        }
        form method="post" action="/join" {
            input type="hidden" name="invitation" value=(secret);
            (person_fields(form, error, invited.invitation.email.as_deref()))
            button type="submit" { "Join" }
        }
    };
    page(invited, body)
}

fn button_page(invited: &Invited, secret: &str, person: &Person) -> Page {
    let is_theirs = invited.invitation.check_address(&person.email).is_ok();
    let body = html! {
        (what_it_is(invited))
        p { "You are signed in as " (person.name) ", " (person.email) "." }
        @if is_theirs {
            form method="post" action="/join" {
                input type="hidden" name="invitation" value=(secret);
                button type="submit" name="who" value="me" { "Join as " (person.name) }
            }
            p { "You then work in " (invited.tenant.name) "; to work in another organisation of yours, sign in again." }
            p { "To join as somebody else, sign out and open the link again." }
        } @else {
            p class="wrong" role="alert" { "This invitation is for somebody with another e-mail address. If that is you \
                too, sign out and open the link again; if not, ask whoever invited you for another one." }
        }
        form method="post" action="/signout" { button class="quiet" type="submit" { "Sign out" } }
    };
    page(invited, body)
}

fn page(invited: &Invited, body: Markup) -> Page {
    Page::new(format!("Join {}", invited.tenant.name), body)
}

/// The organisation, who invites, and as what.
fn what_it_is(invited: &Invited) -> Markup {
    let Invited { tenant, by, invitation } = invited;
    html! {
        dl {
            dt { "Organisation" } dd { (tenant.name) }
            dt { "Invited by" } dd { (by.as_deref().unwrap_or("whoever runs this installation")) }
            dt { "Role" } dd { (invitation.role) }
            dt { "Projects" }
            dd { @match &invitation.projects {
                None => "all",
                Some(projects) => { "limited to " (projects.len()) }
            } }
            dt { "For" } dd { (invitation.email.as_deref().unwrap_or("whoever has the link")) }
        }
        p class="hint" { "The link works once, until " (invitation.expires_at.format("%Y-%m-%d %H:%M")) " UTC." }
    }
}
