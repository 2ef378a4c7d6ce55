//! The authorize request: what a client asks for when it sends its user's browser here (RFC 6749, 4.1.1).
//!
//! As long as it is not known who the client is and that it may be reached at the address it names, what is wrong is
//! shown to the user, here, and the browser goes nowhere: an address that nobody vouches for may be anybody's. From then
//! on the client is told, by a redirect with `error`, the client's `state`, and `iss`, by which it knows who answers
//! (RFC 9207). Anybody can be a client by a document of their own, and would so lead people from here to any page of
//! theirs: so the browser goes by itself only where the operator registered the client, or to the user's own machine, and
//! elsewhere by a link (RFC 9700, 4.11.2). A client that cannot show later that it began what it ends (RFC 7636, S256)
//! is refused.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    clients::{self, Client},
    codes::Challenge,
    redirect::RedirectUri,
};
use crate::{
    accounts::{
        Scope,
        scope::usual_scopes,
        tokens::{Resource, issuer},
    },
    app::App,
    error::{Error, Result},
};

/// What a client asked for, as it was sent.
#[derive(Clone, Debug)]
struct Parameters {
    pairs: Vec<(String, String)>,
}

/// What a client asks for, once all of it is known to be good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizeRequest {
    /// Who asks.
    pub client: Client,
    /// What it wants to be allowed; what the person may not do themselves is still to be taken out.
    pub scopes: BTreeSet<Scope>,
    /// The resources that its tokens are to be for; none means all of this service's.
    pub resources: BTreeSet<Resource>,
    /// What the code's redeemer has to know.
    pub challenge: Challenge,
    /// Where the answer goes.
    pub back: WayBack,
}

/// The way back to a client that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayBack {
    /// Where the browser is sent.
    pub redirect_uri: RedirectUri,
    /// What the client wants back as it is.
    state: Option<String>,
    issuer: String,
    /// Whether a browser goes there without anybody having said so.
    is_trusted: bool,
}

impl WayBack {
    /// Where to send the browser with a code.
    pub fn with_code(&self, code: &SecretString) -> String {
        self.with(&[("code", code.expose_secret())])
    }

    /// Where to send the browser without one. `why` is for the client's developers: ASCII, no quotation mark, no
    /// backslash.
    pub fn refused(&self, reason: Reason, why: &str) -> String {
        self.with(&[("error", reason.as_str()), ("error_description", why)])
    }

    /// What is wrong with a request, told to its client.
    pub fn refusal(&self, reason: Reason, why: &str) -> Refused {
        let to = self.refused(reason, why);
        if self.is_trusted {
            return Refused::Redirected(to);
        }
        Refused::Linked {
            to,
            place: self.redirect_uri.shown().to_owned(),
            why: Box::new(Error::invalid(why.to_owned())),
        }
    }

    fn with(&self, answer: &[(&str, &str)]) -> String {
        let state = self.state.as_deref().map(|state| ("state", state));
        let rest = state.into_iter().chain([("iss", self.issuer.as_str())]);
        self.redirect_uri.with(&answer.iter().copied().chain(rest).collect::<Vec<_>>())
    }
}

/// What is wrong with a request, and who is told.
#[derive(Debug)]
pub enum Refused {
    /// The person, here.
    Shown(Error),
    /// The client: where the browser is to be sent.
    Redirected(String),
    /// The person, who may then tell the client by a link.
    Linked {
        /// Where it leads.
        to: String,
        /// What they are shown of that.
        place: String,
        /// What is wrong.
        why: Box<Error>,
    },
}

/// Why a client gets no code (RFC 6749, 4.1.2.1, and RFC 8707).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The person does not want it.
    AccessDenied,
    /// The request is wrong.
    InvalidRequest,
    /// None of the scopes is known, or the person has none of them.
    InvalidScope,
    /// A resource that is not one of this service's.
    InvalidTarget,
    /// Something else than a code is asked for.
    UnsupportedResponseType,
}

impl Reason {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::UnsupportedResponseType => "unsupported_response_type",
        }
    }
}

/// Parameters that may come once.
const ONCE: [&str; 6] =
    ["response_type", "response_mode", "state", "scope", "code_challenge", "code_challenge_method"];

type Asked = (BTreeSet<Scope>, BTreeSet<Resource>, Challenge);

/// Understands the query of an authorize request.
///
/// # Errors
/// What is wrong with it, for whom.
pub async fn understand(app: &App, query: &str) -> Result<AuthorizeRequest, Refused> {
    let asked = Parameters::read(query);
    let client_id = asked.client_id().map_err(Refused::Shown)?;
    let client = clients::resolve(app, client_id).await.map_err(Refused::Shown)?;
    asked.check(client, &issuer(app))
}

impl Parameters {
    /// Reads a query.
    fn read(query: &str) -> Self {
        // What has no value counts as not sent.
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
        Self { pairs: pairs.filter(|(_, value)| !value.is_empty()).collect() }
    }

    fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn one(&self, name: &'static str) -> Option<&str> {
        self.all(name).next()
    }

    /// The value of a parameter without which nobody can be told anything.
    fn needed(&self, name: &'static str) -> Result<&str> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            (None, _) => Err(Error::invalid(format!("{name}: it is missing"))),
            (_, Some(_)) => Err(Error::invalid(format!("{name}: it came several times"))),
        }
    }

    /// The id of the client that asks, to be resolved.
    fn client_id(&self) -> Result<&str> {
        self.needed("client_id")
    }

    /// What `client`, which [`Parameters::client_id`] named, asks of `issuer`.
    fn check(&self, client: Client, issuer: &str) -> Result<AuthorizeRequest, Refused> {
        let redirect_uri = self.needed("redirect_uri").and_then(|asked| client.redirect(asked));
        let redirect_uri = redirect_uri.map_err(Refused::Shown)?;
        let back = WayBack {
            is_trusted: client.is_registered || redirect_uri.is_loopback(),
            redirect_uri,
            state: self.needed("state").ok().map(str::to_owned),
            issuer: issuer.to_owned(),
        };
        match self.asked(issuer) {
            Ok((scopes, resources, challenge)) => {
                Ok(AuthorizeRequest { client, scopes, resources, challenge, back })
            }
            Err((reason, why)) => Err(back.refusal(reason, &why)),
        }
    }

    fn asked(&self, issuer: &str) -> Result<Asked, (Reason, String)> {
        let bad = |why: &str| (Reason::InvalidRequest, why.to_owned());
        if let Some(name) = ONCE.into_iter().find(|name| self.all(name).nth(1).is_some()) {
            return Err(bad(&format!("{name}: it came several times")));
        }
        if self.one("request").or(self.one("request_uri")).is_some() {
            return Err(bad("request objects are not taken here"));
        }
        match self.one("response_type") {
            Some("code") => {}
            None => return Err(bad("response_type: it is missing")),
            Some(_) => {
                let why = "response_type: the only one there is here is `code`";
                return Err((Reason::UnsupportedResponseType, why.to_owned()));
            }
        }
        if self.one("response_mode").is_some_and(|mode| mode != "query") {
            return Err(bad("response_mode: the only one there is here is `query`"));
        }
        if self.one("code_challenge_method") != Some("S256") {
            return Err(bad("code_challenge_method: the only one there is here is `S256`"));
        }
        let challenge = self.one("code_challenge").ok_or_else(|| bad("code_challenge: it is missing"))?;
        let challenge = Challenge::parse(challenge).map_err(|error| bad(&error.detail))?;
        Ok((self.scopes()?, self.resources(issuer)?, challenge))
    }

    /// The scopes that are asked for by name and known here. Clients add `offline_access` to be given a refresh token,
    /// which every client is.
    fn scopes(&self) -> Result<BTreeSet<Scope>, (Reason, String)> {
        let asked = self.one("scope").unwrap_or_default().split(' ');
        let asked: Vec<_> = asked.filter(|scope| !["", "offline_access"].contains(scope)).collect();
        if asked.is_empty() {
            return Ok(usual_scopes());
        }
        // Scopes are told apart by their case (RFC 6749, 3.3).
        let known = |name: &&str| Scope::ALL.iter().copied().find(|scope| scope.as_str() == *name);
        let scopes: BTreeSet<_> = asked.iter().filter_map(known).collect();
        if scopes.is_empty() {
            return Err((Reason::InvalidScope, "scope: none of them is known here".to_owned()));
        }
        Ok(scopes)
    }

    fn resources(&self, issuer: &str) -> Result<BTreeSet<Resource>, (Reason, String)> {
        let all: Option<_> = self.all("resource").map(|named| Resource::at(issuer, named)).collect();
        all.ok_or_else(|| (Reason::InvalidTarget, "resource: it is not one of this service".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://trackside.example.org";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn client() -> Client {
        let redirects = ["http://localhost/callback", "https://app.example.org/cb?a=b"];
        Client {
            id: "https://client.example.org/oauth.json".to_owned(),
            name: "Visitor".to_owned(),
            redirect_uris: redirects.map(|uri| RedirectUri::parse(uri).expect("an address")).into(),
            is_registered: false,
        }
    }

    /// A request like any other, with some of its parameters changed, left out or added.
    fn asked(changes: &[(&str, Option<&str>)]) -> Result<AuthorizeRequest, Refused> {
        let usual = [
            ("client_id", "https://client.example.org/oauth.json"),
            ("redirect_uri", "http://localhost:51234/callback"),
            ("response_type", "code"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("state", "a b&c"),
            ("scope", "projects.read work.write"),
            ("resource", "https://trackside.example.org/mcp"),
        ];
        let is_left = |name: &str| !changes.contains(&(name, None));
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in usual {
            let new = changes.iter().find(|(changed, value)| *changed == name && value.is_some());
            match new {
                Some((_, new)) => query.append_pair(name, new.unwrap_or_default()),
                None if is_left(name) => query.append_pair(name, value),
                None => &mut query,
            };
        }
        let is_usual = |name: &str| usual.iter().any(|(known, _)| *known == name);
        let added = changes.iter().filter(|(name, _)| !is_usual(name));
        query.extend_pairs(
            added.map(|(name, value)| (name.trim_start_matches('+'), value.unwrap_or_default())),
        );
        Parameters::read(&query.finish()).check(client(), ISSUER)
    }

    fn redirected(changes: &[(&str, Option<&str>)]) -> Vec<(String, String)> {
        match asked(changes) {
            Err(Refused::Redirected(to)) => {
                let url = url::Url::parse(&to).expect("an address");
                assert_eq!(url.host_str(), Some("localhost"), "{changes:?}");
                url.query_pairs().into_owned().collect()
            }
            other => panic!("{changes:?}: {other:?}"),
        }
    }

    #[test]
    fn a_good_request_is_understood() {
        let request = asked(&[]).expect("good");
        assert_eq!(request.scopes, BTreeSet::from([Scope::ProjectsRead, Scope::WorkWrite]));
        assert_eq!(request.resources, BTreeSet::from([Resource::Mcp]));
        assert_eq!(
            request.back.with_code(&"tsc_x".to_owned().into()),
            "http://localhost:51234/callback?code=tsc_x&state=a+b%26c&iss=https%3A%2F%2Ftrackside.example.org"
        );
        assert!(request.back.refused(Reason::AccessDenied, "no").contains("?error=access_denied&"));
    }

    #[test]
    fn what_is_left_out_has_its_usual_meaning() {
        let request = asked(&[("scope", None), ("resource", None), ("state", None), ("colour", Some("red"))]);
        let request = request.expect("good");
        assert_eq!((request.scopes, request.resources.len()), (usual_scopes(), 0));
        assert!(!request.back.with_code(&"tsc_x".to_owned().into()).contains("state"));
        for scope in ["", "offline_access", " offline_access "] {
            assert_eq!(asked(&[("scope", Some(scope))]).expect("good").scopes, usual_scopes(), "{scope}");
        }
        let partly = asked(&[("scope", Some("moon.read runs.read offline_access"))]).expect("good");
        assert_eq!(partly.scopes, BTreeSet::from([Scope::RunsRead]));
        for (named, meant) in [
            ("/", Resource::Service),
            ("", Resource::Service),
            ("/api/v1", Resource::Api),
            ("/mcp/", Resource::Mcp),
        ] {
            let request = asked(&[("resource", Some(&format!("{ISSUER}{named}")))]).expect("good");
            assert_eq!(request.resources, BTreeSet::from([meant]), "{named}");
        }
        let two = asked(&[("+resource", Some("https://trackside.example.org/api/v1"))]).expect("good");
        assert_eq!(two.resources.len(), 2);
    }

    #[test]
    fn a_browser_goes_nowhere_until_it_is_known_where_it_may_go() {
        for changes in [
            [("redirect_uri", None)],
            [("redirect_uri", Some(""))],
            [("redirect_uri", Some("https://evil.example/callback"))],
            [("redirect_uri", Some("http://127.0.0.1:51234/callback"))],
            [("redirect_uri", Some("http://localhost:51234/other"))],
            [("redirect_uri", Some("https://app.example.org/cb"))],
            [("redirect_uri", Some("javascript:alert(1)"))],
            [("+redirect_uri", Some("https://evil.example/callback"))],
        ] {
            assert!(matches!(asked(&changes), Err(Refused::Shown(_))), "{changes:?}");
        }
        for query in ["", "client_id=", "client_id=a&client_id=b", "client=a"] {
            assert!(Parameters::read(query).client_id().is_err(), "{query}");
        }
    }

    #[test]
    fn the_client_is_told_what_else_is_wrong() {
        for (changes, error) in [
            ([("response_type", None)], "invalid_request"),
            ([("response_type", Some("token"))], "unsupported_response_type"),
            ([("response_type", Some("code id_token"))], "unsupported_response_type"),
            ([("response_mode", Some("form_post"))], "invalid_request"),
            ([("code_challenge", None)], "invalid_request"),
            ([("code_challenge", Some("short"))], "invalid_request"),
            ([("code_challenge_method", None)], "invalid_request"),
            ([("code_challenge_method", Some("plain"))], "invalid_request"),
            ([("scope", Some("moon.read"))], "invalid_scope"),
            ([("scope", Some("PROJECTS.READ"))], "invalid_scope"),
            ([("resource", Some("https://elsewhere.example/mcp"))], "invalid_target"),
            ([("resource", Some("https://trackside.example.org/mcp#x"))], "invalid_target"),
            ([("resource", Some("https://trackside.example.org.evil.example"))], "invalid_target"),
            ([("+resource", Some("https://elsewhere.example/mcp"))], "invalid_target"),
            ([("request", Some("eyJ"))], "invalid_request"),
            ([("request_uri", Some("https://x.example/"))], "invalid_request"),
            ([("+scope", Some("work.read"))], "invalid_request"),
            ([("+response_type", Some("code"))], "invalid_request"),
        ] {
            let told = redirected(&changes);
            let of =
                |name: &str| told.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
            assert_eq!(of("error"), Some(error), "{changes:?}");
            assert_eq!((of("state"), of("iss"), of("code")), (Some("a b&c"), Some(ISSUER), None));
            let why = of("error_description").expect("words");
            assert!(
                why.bytes().all(|byte| matches!(byte, b' '..=b'~') && !br#""\"#.contains(&byte)),
                "{why}"
            );
        }
        let doubled = redirected(&[("+state", Some("other"))]);
        assert!(!doubled.iter().any(|(name, _)| name == "state"), "which of the two is not known");
    }
}
