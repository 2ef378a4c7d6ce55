//! The consent page: where a person sees what a client asks for, and lets it or does not.
//!
//! Whoever is not signed in signs in first and is led back here. What was asked is checked when the page is shown, and
//! again when its form comes back, which carries it as it was sent: nothing is kept in between. The form also tells to
//! whom the page was shown, and what of the client and its scopes: who allows something agrees to that, and where it is
//! not the same any more they see the page anew.

use std::{collections::BTreeSet, sync::Arc};

use maud::{Markup, html};
use poem::{IntoResponse as _, Request, Response, handler, web::Data};

use super::{
    authorize::{self, AuthorizeRequest, Reason, Refused},
    codes, grants,
};
use crate::{
    accounts::{Principal, Scope, Tenant, get_tenant, signin, tokens::words},
    app::App,
    error::{Code, Error, Result},
    pages::{Form, Page, go_to, refusal, sentence, shown},
    sender::Sender,
};

/// Where clients send browsers.
pub(super) const PATH: &str = "/oauth/authorize";

/// `GET /oauth/authorize`: shows what a client asks for.
#[handler]
pub(crate) async fn show_consent(app: Data<&Arc<App>>, request: &Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    shown(
        async {
            Ok(match ready(&app, request, query).await? {
                Ready::Answered(response) => response,
                Ready::Asked(asked, principal) => {
                    let tenant = get_tenant(&app, &principal).await?;
                    page(query, &asked, &principal, &tenant, None).into_response()
                }
            })
        }
        .await,
    )
}

/// `POST /oauth/authorize`: takes the answer, and leads the browser back to the client.
#[handler]
pub(crate) async fn take_consent(app: Data<&Arc<App>>, request: &Request, form: Form) -> Response {
    shown(
        async {
            let query = form.text("asked");
            let (asked, principal) = match ready(&app, request, query).await? {
                Ready::Answered(response) => return Ok(response),
                Ready::Asked(asked, principal) => (asked, principal),
            };
            let is_as_shown = told(&asked, &principal).iter().all(|(name, value)| form.text(name) == value);
            if form.text("answer") == "allow" && !is_as_shown {
                let why = Error::new(
                    Code::Conflict,
                    "what you saw before is not what would happen now; look again",
                );
                let tenant = get_tenant(&app, &principal).await?;
                return Ok(refusal(page(query, &asked, &principal, &tenant, Some(&why)), &why));
            }
            let AuthorizeRequest { client, scopes, resources, challenge, back } = *asked;
            match form.text("answer") {
                "allow" => {
                    let grant = grants::give(
                        &app,
                        &principal,
                        &client,
                        scopes,
                        resources,
                        &Sender::of(&app, request),
                    )
                    .await?;
                    let code = codes::issue(&app, &grant, &back.redirect_uri, &challenge).await?;
                    Ok(go_to(&back.with_code(&code)))
                }
                "deny" => Ok(go_to(&back.refused(Reason::AccessDenied, "the person does not want it"))),
                _ => Err(Error::invalid("answer: it is `allow` or `deny`")),
            }
        }
        .await,
    )
}

/// What becomes of a browser that a client sent.
enum Ready {
    /// There is nothing to ask: it goes on to sign in or back to the client, or sees why it does not.
    Answered(Response),
    /// Somebody is there to answer. Of the scopes, those are left that they have themselves.
    Asked(Box<AuthorizeRequest>, Arc<Principal>),
}

async fn ready(app: &App, request: &Request, query: &str) -> Result<Ready> {
    let Some(principal) = signin::who_is_there(app, request).await? else {
        // Nobody has a client's document fetched who is not known here.
        return Ok(Ready::Answered(go_to(&signin::on_the_way_to(&format!("{PATH}?{query}"))?)));
    };
    app.limits.rest.take(&principal.id).await.1?; // of what may make us fetch a document
    let mut asked = match authorize::understand(app, query).await {
        Ok(asked) => Box::new(asked),
        Err(refused) => return answer(refused),
    };
    asked.scopes = &asked.scopes & &principal.scopes;
    if asked.scopes.is_empty() {
        let why = "the person has none of these scopes";
        return answer(asked.back.refusal(Reason::InvalidScope, why));
    }
    Ok(Ready::Asked(asked, principal))
}

/// Tells whoever is to be told what is wrong with a request.
fn answer(refused: Refused) -> Result<Ready> {
    let (to, place, why) = match refused {
        Refused::Shown(error) => return Err(error),
        Refused::Redirected(address) => return Ok(Ready::Answered(go_to(&address))),
        Refused::Linked { to, place, why } => (to, place, why),
    };
    let body = html! {
        p { "The program that sent you here asked for something that cannot be had. " (sentence(&why.detail)) }
        p { a href=(to) rel="noreferrer" { "Go back to " (place) } }
    };
    Ok(Ready::Answered(refusal(Page::new("That did not work", body), &why)))
}

/// What a page tells, and its form brings back.
fn told(asked: &AuthorizeRequest, principal: &Principal) -> [(&'static str, String); 4] {
    let AuthorizeRequest { client, scopes, .. } = asked;
    [
        ("person", principal.id.to_string()),
        ("scopes", words(scopes)),
        ("client", client.name.clone()),
        ("registered", client.is_registered.to_string()),
    ]
}

fn page(
    query: &str,
    asked: &AuthorizeRequest,
    principal: &Principal,
    tenant: &Tenant,
    notice: Option<&Error>,
) -> Page {
    let AuthorizeRequest { client, scopes, back, .. } = asked;
    let body = html! {
        @if let Some(notice) = notice { p class="wrong" role="alert" { (sentence(&notice.detail)) } }
        p { strong { (client.name) } " wants to act for you in " strong { (tenant.name) } "." }
        h2 { "What it will be able to do" }
        (in_words(scopes))
        h2 { "Who is asking" }
        ul {
            @match client.host() {
                Some(host) if !client.is_registered => li { strong { (host) } " says what it is called." },
                _ => li { "Whoever operates this service registered it as " strong { (client.id) } "." },
            }
            li { "Your browser goes on to " strong { (back.redirect_uri.shown()) } "." }
            @if back.redirect_uri.is_loopback() {
                li { "That is a program on your own machine. Allow it only if you have just started it yourself." }
            }
        }
        form class="choices" method="post" action=(PATH) {
            input type="hidden" name="asked" value=(query);
            @for (name, value) in told(asked, principal) { input type="hidden" name=(name) value=(value); }
            button type="submit" name="answer" value="allow" { "Allow" }
            button class="quiet" type="submit" name="answer" value="deny" { "Deny" }
        }
        form method="post" action="/signout" {
            p class="hint" {
                "You are signed in as " (principal.name) ", and can end this on your account page at any time."
            }
            input type="hidden" name="next" value=(format!("{PATH}?{query}"));
            button class="quiet" type="submit" { "Sign in as somebody else" }
        }
    };
    Page::new(format!("Allow {} to act for you?", client.name), body).leading_to(&back.redirect_uri.source())
}

/// What scopes are about, in the order they are declared.
const ABOUT: [(&str, &str); 12] = [
    ("projects", "projects"),
    ("status", "how projects stand"),
    ("artifacts", "documents"),
    ("work", "work items"),
    ("conflicts", "conflicts"),
    ("gates", "gates"),
    ("runs", "runs"),
    ("agents", "what agents are doing"),
    ("events", "events"),
    ("deliveries", "what Git hosts delivered"),
    ("keys", "who has access, their e-mail addresses and API keys"),
    ("audit", "the record of what everybody did"),
];

/// What scopes allow, as people read it.
pub(in crate::accounts) fn in_words(scopes: &BTreeSet<Scope>) -> Markup {
    let has =
        |resource: &str, may: &str| scopes.iter().any(|scope| scope.as_str() == format!("{resource}.{may}"));
    let lines = |may: &dyn Fn(&str) -> bool| {
        let about: Vec<_> =
            ABOUT.iter().filter(|(resource, _)| may(resource)).map(|(_, about)| *about).collect();
        Some(about.join(", ")).filter(|about| !about.is_empty())
    };
    html! {
        ul {
            @if let Some(about) = lines(&|resource| has(resource, "read")) { li { "See: " (about) } }
            @if let Some(about) = lines(&|resource| has(resource, "write")) { li { strong { "Change: " } (about) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_told_of_in_words() {
        for scope in Scope::ALL {
            let told = in_words(&BTreeSet::from([*scope])).into_string();
            let may = if scope.is_write() { "Change: " } else { "See: " };
            assert!(told.contains(may) && told.matches("<li>").count() == 1, "{scope}: {told}");
        }
    }
}
