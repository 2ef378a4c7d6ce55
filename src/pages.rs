//! What all pages do that this service renders itself: their frame, their headers, their fields, and the forms that
//! come back.
//!
//! A page is plain HTML: it needs no script, and its policy allows none, nor anything from elsewhere. It is not kept by
//! any cache, and not shown inside of another page. A [`Form`] is taken from pages of this service alone, which is what
//! keeps other sites from filling one in behind somebody's back.

use std::collections::HashMap;

use maud::{DOCTYPE, Markup, html};
use poem::{
    FromRequest, IntoResponse, Request, RequestBody, Response, handler, http::StatusCode, http::header,
};
use secrecy::SecretString;

use crate::{
    body,
    error::{Code, Error, OUT_OF_REACH, Result},
    problem, sender,
};

/// Where the pages' style is.
pub const STYLE_PATH: &str = "/pages.css";
const STYLE: &str = include_str!("pages.css");
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; \
                      base-uri 'none'";

/// A page.
pub struct Page {
    title: String,
    status: StatusCode,
    policy: String,
    body: Markup,
}

impl Page {
    /// A page with its title, which is its heading too, and what comes below.
    pub fn new(title: impl Into<String>, body: Markup) -> Self {
        Self { title: title.into(), status: StatusCode::OK, policy: POLICY.to_owned(), body }
    }

    #[must_use]
    fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The page, whose forms may also lead to `source`, such as `https://client.example`: a browser that is redirected
    /// there after it sent one would stop otherwise.
    #[must_use]
    pub fn leading_to(self, source: &str) -> Self {
        let policy = self.policy.replace("form-action 'self'", &format!("form-action 'self' {source}"));
        Self { policy, ..self }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · Trackside" }
                    link rel="stylesheet" href=(STYLE_PATH);
                }
                body {
                    main {
                        p class="brand" { "Trackside" }
                        h1 { (self.title) }
                        (self.body)
                    }
                }
            }
        };
        Response::builder()
            .status(self.status)
            .content_type("text/html; charset=utf-8")
            .header(header::CACHE_CONTROL, "no-store")
            .header(header::CONTENT_SECURITY_POLICY, self.policy)
            .header(header::REFERRER_POLICY, "same-origin") // without it a form would come from no origin
            .header(header::X_FRAME_OPTIONS, "DENY")
            .body(page.into_string())
    }
}

/// The pages' style.
#[handler]
pub(crate) fn get_style() -> Response {
    Response::builder()
        .content_type("text/css; charset=utf-8")
        .header(header::CACHE_CONTROL, "max-age=300")
        .body(STYLE)
}

/// A page, or the page that says why there is none.
pub fn shown(page: Result<Response>) -> Response {
    page.unwrap_or_else(|error| {
        problem::log(&error);
        let title = match error.code {
            Code::Gone => "This link no longer works",
            Code::Unprocessable | Code::Conflict => "That did not work",
            Code::InsufficientScope => "You may not do this",
            code => code.title(),
        };
        let body = html! {
            p { (sentence(&error.detail.replace(OUT_OF_REACH, ""))) }
            p { a href="/" { "Go to your account" } }
        };
        refusal(Page::new(title, body), &error)
    })
}

/// A page that is shown instead of what was asked for.
pub fn refusal(page: Page, error: &Error) -> Response {
    let mut response = page.with_status(problem::status(error.code)).into_response();
    if let Some(wait) = error.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, problem::seconds_to_wait(wait).into());
    }
    response
}

/// What an error says, as a sentence. What begins with the name of a parameter, such as `client_id`, stays as it is.
pub fn sentence(text: &str) -> String {
    if text.split([' ', ':']).next().is_some_and(|word| word.contains('_')) {
        return format!("{text}.");
    }
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// See other: where a browser goes after a form was taken.
pub fn go_to(path: &str) -> Response {
    Response::builder()
        .status(StatusCode::SEE_OTHER)
        .header(header::LOCATION, path)
        .header(header::CACHE_CONTROL, "no-store")
        .finish()
}

/// A path of this service that a browser may be sent to, if `text` is one: nothing that leads elsewhere.
pub fn local_path(text: &str) -> Option<&str> {
    let is_path = text.starts_with('/') && !text.starts_with("//") && text.len() <= 4_096;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (is_path && is_plain).then_some(text)
}

/// What a field of a form is.
#[derive(Clone, Copy, Default)]
pub struct Field<'a> {
    /// Its name in the form, and its id on the page.
    pub name: &'a str,
    /// What people read.
    pub label: &'a str,
    /// `text`, `email` or `password`.
    pub kind: &'a str,
    /// What browsers may fill in, such as `username`.
    pub autocomplete: &'a str,
    /// What is in it.
    pub value: &'a str,
    /// What is expected.
    pub hint: Option<&'a str>,
    /// What is wrong with it.
    pub wrong: Option<&'a str>,
    /// Whether what is in it stays as it is.
    pub is_fixed: bool,
}

impl Field<'_> {
    /// The field with its label, its hint and what is wrong with it, which are read out together.
    pub fn render(&self) -> Markup {
        let (hint_id, wrong_id) = (format!("{}-hint", self.name), format!("{}-wrong", self.name));
        let ids = [self.wrong.map(|_| wrong_id.as_str()), self.hint.map(|_| hint_id.as_str())];
        let described_by = ids.into_iter().flatten().collect::<Vec<_>>().join(" ");
        html! {
            div class="field" {
                label for=(self.name) { (self.label) }
                @if let Some(hint) = self.hint { p class="hint" id=(hint_id) { (hint) } }
                @if let Some(wrong) = self.wrong { p class="wrong" id=(wrong_id) { (sentence(wrong)) } }
                input id=(self.name) name=(self.name) type=(self.kind) value=(self.value) required
                    readonly[self.is_fixed]
                    autocomplete=(self.autocomplete) autofocus[self.wrong.is_some()]
                    aria-invalid=[self.wrong.map(|_| "true")]
                    aria-describedby=[Some(described_by).filter(|ids| !ids.is_empty())];
            }
        }
    }
}

/// A form that somebody filled in on a page of this service.
pub struct Form(HashMap<String, String>);

impl Form {
    /// What is in a field; nothing if there is no such field.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// What is in a field that nobody should see.
    pub fn secret(&self, name: &str) -> SecretString {
        self.text(name).to_owned().into()
    }
}

impl<'a> FromRequest<'a> for Form {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        if !sender::is_own_page(request) {
            let why =
                "only a page of this service may send this form; open the page here and fill it in there";
            return Err(Error::new(Code::ForeignOrigin, why).into());
        }
        let mut fields = HashMap::new();
        for (name, value) in body::form(body.take()?, request.headers()).await? {
            if fields.insert(name.clone(), value).is_some() {
                return Err(Error::invalid(format!("the form has `{name}` twice")).into());
            }
        }
        Ok(Self(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_nowhere_else() {
        assert_eq!(local_path("/oauth/authorize?a=b&c=%20"), Some("/oauth/authorize?a=b&c=%20"));
        for elsewhere in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "javascript:alert(1)",
            "/a\r\nset-cookie: a=b",
            "/a b",
            "/\u{202e}",
        ] {
            assert_eq!(local_path(elsewhere), None, "{elsewhere:?}");
        }
    }

    #[test]
    fn an_error_is_a_sentence_but_for_the_names_in_it() {
        assert_eq!(sentence("this is over"), "This is over.");
        assert_eq!(sentence("client_id: it is missing"), "client_id: it is missing.");
    }

    #[test]
    fn what_somebody_typed_is_shown_as_text() {
        let field = Field { name: "name", value: "\"><script>", wrong: Some("<b>"), ..Field::default() };
        let shown = field.render().into_string();
        assert!(!shown.contains("<script>") && !shown.contains("<b>"), "{shown}");
        assert!(shown.contains("aria-describedby=\"name-wrong\""), "{shown}");
    }
}
