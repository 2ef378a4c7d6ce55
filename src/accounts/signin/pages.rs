//! The pages on which people come in: setting the installation up, signing in, and choosing between tenants.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{IntoResponse as _, Request, Response, handler, http::header, web::Data};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Email, Membership, Method, NewPassword, NewPerson, Welcome, chosen, cookie, oidc, session, setup, welcome,
};
use crate::{
    accounts::Tenant,
    app::App,
    error::{Code, Error, Result},
    pages::{Field, Form, Page, go_to, local_path, refusal, shown},
    problem,
    sender::Sender,
};

/// Where people go who were on their way to nowhere in particular: the dashboard.
pub(super) const START: &str = "/";
/// One's own account.
pub(super) const HOME: &str = "/account";
/// Where they sign in.
pub(super) const SIGN_IN: &str = "/signin";
/// What a browser can be sent to together with its headers: servers refuse longer ones.
const LONGEST_WAY: usize = 6 * 1024;

/// `GET /setup`: the form that the set-up link leads to.
#[handler]
pub(crate) async fn show_set_up(app: Data<&Arc<App>>, request: &Request) -> Response {
    shown(
        async {
            let code = query(request, "code");
            let (tenant, _) = setup::peek(&app, &code).await?;
            cookie::check_way(&app, &Sender::of(&app, request))?;
            Ok(set_up_page(&tenant, &code, None, None).into_response())
        }
        .await,
    )
}

/// `POST /setup`: makes the owner, and signs them in.
#[handler]
pub(crate) async fn set_up(app: Data<&Arc<App>>, request: &Request, form: Form) -> Response {
    let code = form.text("code");
    let done = async {
        let sender = Sender::of(&app, request);
        cookie::check_way(&app, &sender)?;
        let (tenant, _) = setup::peek(&app, code).await?;
        let done = async {
            let member = setup::accept(&app, &sender, code, new_person(&form)?).await?;
            enter(&app, request, &member, Method::Setup, START).await
        };
        mended(done.await, |error| set_up_page(&tenant, code, Some(&form), Some(error)))
    };
    shown(done.await)
}

fn set_up_page(tenant: &Tenant, code: &str, form: Option<&Form>, error: Option<&Error>) -> Page {
    let body = html! {
        p { "You will be the owner of " strong { (tenant.name) } ". This link works once." }
        form method="post" action="/setup" {
            input type="hidden" name="code" value=(code);
            (person_fields(form, error, None))
            button type="submit" { "Set up" }
        }
    };
    Page::new("Set up Trackside", body)
}

/// What a form says of somebody who joins.
pub(super) fn new_person(form: &Form) -> Result<NewPerson> {
    let email = Email::parse("/email", form.text("email"))?;
    let name = crate::accounts::parse_name("/name", form.text("name"))?;
    let password = new_password(form)?;
    Ok(NewPerson { email, name, password })
}

/// A new password, which was typed twice.
pub(super) fn new_password(form: &Form) -> Result<NewPassword> {
    let (password, again): (SecretString, SecretString) = (form.secret("password"), form.secret("repeat"));
    let new = NewPassword::parse("/password", password.clone())?;
    if password.expose_secret() != again.expose_secret() {
        return Err(Error::invalid_field("/repeat", "this is not the same password"));
    }
    Ok(new)
}

/// The fields in which somebody who joins says who they are; an address that is known already stays as it is.
pub(super) fn person_fields(form: Option<&Form>, error: Option<&Error>, known: Option<&str>) -> Markup {
    let typed = |name| form.map_or("", |form| form.text(name));
    let (email, name) = (known.unwrap_or_else(|| typed("email")), typed("name"));
    html! {
        (Field { name: "email", label: "E-mail address", kind: "email", autocomplete: "username", value: email,
            hint: Some("You sign in with it."), wrong: wrong(error, "/email"), is_fixed: known.is_some() }.render())
        (Field { name: "name", label: "Name", kind: "text", autocomplete: "name", value: name,
            hint: Some("What others see."), wrong: wrong(error, "/name"), ..Field::default() }.render())
        (password_fields("Password", error))
    }
}

/// The fields in which somebody types a new password.
pub(super) fn password_fields(label: &str, error: Option<&Error>) -> Markup {
    html! {
        (Field { name: "password", label, kind: "password", autocomplete: "new-password",
            hint: Some("At least 12 characters; a few words are good."), wrong: wrong(error, "/password"),
            ..Field::default() }.render())
        (Field { name: "repeat", label: "Repeat the password", kind: "password", autocomplete: "new-password",
            wrong: wrong(error, "/repeat"), ..Field::default() }.render())
    }
}

/// What an error says of one field.
pub(super) fn wrong<'e>(error: Option<&'e Error>, pointer: &str) -> Option<&'e str> {
    let field = error?.fields.iter().find(|field| field.pointer == pointer)?;
    Some(&field.detail)
}

/// An answer, or the form once more with what is wrong with it.
pub(super) fn mended(done: Result<Response>, page: impl FnOnce(&Error) -> Page) -> Result<Response> {
    match done {
        Err(error) if !error.fields.is_empty() => {
            problem::log(&error);
            Ok(refusal(page(&error), &error))
        }
        done => done,
    }
}

/// Where somebody signs in who is on the way to `path`.
///
/// # Errors
/// `invalid_request` for what nobody can be sent to.
pub(in crate::accounts) fn on_the_way_to(path: &str) -> Result<String> {
    let way = local_path(path).map(|path| with_next(SIGN_IN, path)).filter(|way| way.len() <= LONGEST_WAY);
    way.ok_or_else(|| Error::invalid("this address is too long, or not a plain one"))
}

/// Where whoever opens a page of the dashboard has to go first; nowhere if they are signed in.
///
/// # Errors
/// The database's.
pub(crate) async fn way_in(app: &App, request: &Request) -> Result<Option<Response>> {
    if session::shown(app, request).await?.is_some() {
        return Ok(None);
    }
    let wanted = request.original_uri().path_and_query().map_or(START, |wanted| wanted.as_str());
    Ok(Some(go_to(&on_the_way_to(wanted).unwrap_or_else(|_| SIGN_IN.to_owned()))))
}

/// A path of the sign-in that remembers where somebody wants to go, if they can be sent there.
pub(super) fn with_next(path: &str, next: &str) -> String {
    let Some(next) = local_path(next) else { return path.to_owned() };
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("{path}?{query}")
}

/// `GET /signin`: the form, or on to where they wanted for those who are signed in.
#[handler]
pub(crate) async fn show_sign_in(app: Data<&Arc<App>>, request: &Request) -> Response {
    shown(
        async {
            let next = query(request, "next");
            if session::shown(&app, request).await?.is_some() {
                return Ok(go_to(local_path(&next).unwrap_or(START)));
            }
            cookie::check_way(&app, &Sender::of(&app, request))?;
            let is_owned = setup::is_owned(&app).await?;
            Ok(sign_in_page(&app, &next, "", None, is_owned).into_response())
        }
        .await,
    )
}

/// `POST /signin`: takes an address and a password.
#[handler]
pub(crate) async fn sign_in(app: Data<&Arc<App>>, request: &Request, form: Form) -> Response {
    let (next, email) = (form.text("next"), form.text("email"));
    let done = async {
        let sender = Sender::of(&app, request);
        cookie::check_way(&app, &sender)?;
        match welcome(&app, &sender, email, &form.secret("password")).await {
            Ok(Welcome::To(member)) => enter(&app, request, &member, Method::Password, next).await,
            Ok(Welcome::Choose(memberships, proof)) => {
                Ok(choice_page(&memberships, &proof, next).into_response())
            }
            Err(error) if matches!(error.code, Code::Unprocessable | Code::RateLimited) => {
                problem::log(&error);
                Ok(refusal(sign_in_page(&app, next, email, Some(&error), true), &error))
            }
            Err(error) => Err(error),
        }
    };
    shown(done.await)
}

fn sign_in_page(app: &App, next: &str, email: &str, error: Option<&Error>, is_owned: bool) -> Page {
    let what = error.map(|error| match error.code {
        Code::RateLimited => "Those were too many attempts. Wait a moment, then try again.",
        _ => "The e-mail address or the password is not right.",
    });
    let body = html! {
        @if let Some(what) = what { p class="wrong" role="alert" id="refusal" { (what) } }
        @if !is_owned {
            p class="notice" { "Nobody owns this installation yet. Open the link that it printed when it was started; \
                starting it again prints a new one." }
        }
        form method="post" action="/signin" {
            @if local_path(next).is_some() { input type="hidden" name="next" value=(next); }
            (Field { name: "email", label: "E-mail address", kind: "email", autocomplete: "username", value: email,
                ..Field::default() }.render())
            (Field { name: "password", label: "Password", kind: "password", autocomplete: "current-password",
                ..Field::default() }.render())
            button type="submit" { "Sign in" }
        }
        @if let Some(oidc) = &app.config.oidc {
            p { a class="button" href=(with_next(oidc::BEGIN, next)) { "Sign in with " (oidc.name) } }
        }
        p class="hint" { "Forgotten your password? Whoever runs this service can give you a link to set a new one." }
    };
    Page::new("Sign in", body)
}

pub(super) fn choice_page(memberships: &[Membership], proof: &str, next: &str) -> Page {
    let body = html! {
        form class="choices" method="post" action="/signin/tenant" {
            input type="hidden" name="proof" value=(proof);
            @if local_path(next).is_some() { input type="hidden" name="next" value=(next); }
            @for member in memberships {
                button class="quiet" type="submit" name="tenant" value=(member.tenant.id) { (member.tenant.name) }
            }
        }
    };
    Page::new("Where do you want to work?", body)
}

/// `POST /signin/tenant`: takes the choice of somebody who belongs to several tenants.
#[handler]
pub(crate) async fn choose(app: Data<&Arc<App>>, request: &Request, form: Form) -> Response {
    shown(
        async {
            let (member, method) = chosen(&app, form.text("proof"), form.text("tenant")).await?;
            enter(&app, request, &member, method, form.text("next")).await
        }
        .await,
    )
}

/// Begins a session, and leads on.
pub(super) async fn enter(
    app: &App,
    request: &Request,
    member: &Membership,
    method: Method,
    next: &str,
) -> Result<Response> {
    let cookie = session::begin(app, request, member, method).await?;
    Ok(with_cookie(go_to(local_path(next).unwrap_or(START)), &cookie))
}

pub(super) fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(cookie) = cookie.parse() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// A field of the query; nothing if there is none.
pub(super) fn query(request: &Request, name: &str) -> String {
    let query = request.uri().query().unwrap_or_default();
    let mut fields = form_urlencoded::parse(query.as_bytes());
    fields.find(|(known, _)| known == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}
