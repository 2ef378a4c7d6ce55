//! Where a browser may be sent back to: the addresses that a client registers, and when one that it asks for is among
//! them.
//!
//! A client on the user's machine listens on a port that it learns when it starts, so the port of a loopback address
//! does not count (RFC 8252, 7.3), nor does that of `localhost`, which clients that have to work everywhere use. Anything
//! else has to be the same to the letter.

use url::{Host, Url};

use crate::error::{Error, Result};

/// Schemes of the web and its machinery that no client is reached by.
const NO_CLIENTS: [&str; 14] = [
    "about",
    "blob",
    "data",
    "file",
    "filesystem",
    "ftp",
    "javascript",
    "mailto",
    "sms",
    "tel",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// An address that a browser may be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri {
    text: String,
    url: Url,
}

impl RedirectUri {
    /// Reads one.
    ///
    /// # Errors
    /// `invalid_request` for an address that a browser should not be sent to, saying why.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |why: &str| Error::invalid(format!("redirect_uri: {why}"));
        let is_uri = |byte: u8| byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte);
        if text.len() > 2048 || !text.bytes().all(is_uri) {
            return Err(bad(
                "use an address of up to 2048 characters, with what is not ASCII in its percent form",
            ));
        }
        let url = Url::parse(text)
            .map_err(|_| bad("use an absolute address, such as http://127.0.0.1/callback"))?;
        if text.contains('#') {
            return Err(bad("it may not have a fragment"));
        }
        if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
            return Err(bad("it may not name a user"));
        }
        let this = Self { text: text.to_owned(), url };
        match this.url.scheme() {
            "https" => Ok(this),
            "http" if this.is_loopback() => Ok(this),
            "http" => Err(bad("use https; plain http is for loopback addresses alone")),
            scheme if NO_CLIENTS.contains(&scheme) => {
                Err(bad("its scheme is not one that a client is reached by"))
            }
            _ => Ok(this),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What a person is to be shown of where it leads: the host or, of an application's own scheme, that.
    pub fn shown(&self) -> &str {
        match self.url.host_str() {
            Some(host) if matches!(self.url.scheme(), "http" | "https") => host,
            _ => self.url.scheme(),
        }
    }

    /// What a page's policy has to allow a form to lead to: the origin or, where a policy cannot name one, the scheme.
    /// It cannot for an application's own scheme, nor for a literal IPv6 address (CSP 3, 2.3.1).
    pub fn source(&self) -> String {
        match (self.url.origin(), self.url.host()) {
            (origin, Some(Host::Domain(_) | Host::Ipv4(_))) if origin.is_tuple() => {
                origin.ascii_serialization()
            }
            _ => format!("{}:", self.url.scheme()),
        }
    }

    /// Whether it leads to a program on the user's own machine.
    pub fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Whether a client that registered this one may ask for `other`.
    pub fn covers(&self, other: &Self) -> bool {
        if self.text == other.text {
            return true;
        }
        let is_local = |uri: &Self| uri.url.scheme() == "http" && uri.is_loopback();
        is_local(self) && is_local(other) && self.without_port() == other.without_port()
    }

    fn without_port(&self) -> Url {
        let mut url = self.url.clone();
        let _ = url.set_port(None); // refused only where there is no host
        url
    }

    /// This address with an answer in its query.
    pub fn with(&self, answer: &[(&str, &str)]) -> String {
        let mut url = self.url.clone();
        url.query_pairs_mut().extend_pairs(answer.iter().copied());
        url.into()
    }
}

/// What is between the scheme and the path.
fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_only_where_a_client_may_be() {
        for good in [
            "https://app.example.org/callback",
            "https://app.example.org:8443/callback?tenant=1",
            "http://127.0.0.1:51234/callback",
            "http://127.8.9.1/",
            "http://[::1]:1/callback",
            "http://localhost/callback",
            "cursor://anysphere.cursor-retrieval/oauth/callback",
            "com.example.app:/oauth",
        ] {
            RedirectUri::parse(good).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        for bad in [
            "",
            "/callback",
            "callback",
            "http://app.example.org/callback",
            "http://localhost.example.org/callback",
            "http://127.0.0.1.example.org/",
            "http://10.0.0.1/callback",
            "https://app.example.org/callback#token",
            "https://app.example.org/callback#",
            "https://me@app.example.org/",
            "https://@app.example.org/",
            "http://localhost@evil.example/callback",
            "http://localhost\\@evil.example/callback",
            "https://app.example.org/\ncallback",
            "https://app.example.org/call back",
            "https://äpp.example.org/",
            "javascript:alert(1)",
            "JavaScript:alert(1)//https://app.example.org",
            "data:text/html,x",
            "file:///etc/passwd",
            "vbscript:x",
            "blob:https://app.example.org/1",
            "https://",
        ] {
            assert!(RedirectUri::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_asked_for_is_what_is_registered_but_for_a_loopback_port() {
        let covers = |registered: &str, asked: &str| {
            let [registered, asked] =
                [registered, asked].map(|text| RedirectUri::parse(text).expect("an address"));
            registered.covers(&asked)
        };
        for (registered, asked) in [
            ("https://app.example.org/cb", "https://app.example.org/cb"),
            ("http://localhost/callback", "http://localhost:51234/callback"),
            ("http://localhost:3000/callback", "http://localhost:51234/callback"),
            ("http://127.0.0.1/callback", "http://127.0.0.1:1/callback"),
            ("http://[::1]/callback", "http://[::1]:65535/callback"),
            ("http://127.0.0.1/cb?a=b", "http://127.0.0.1:9/cb?a=b"),
            ("cursor://host/cb", "cursor://host/cb"),
        ] {
            assert!(covers(registered, asked), "{registered} covers {asked}");
        }
        for (registered, asked) in [
            ("https://app.example.org/cb", "https://app.example.org:8443/cb"),
            ("https://app.example.org/cb", "https://app.example.org/cb/"),
            ("https://app.example.org/cb", "https://app.example.org/cb?x=1"),
            ("https://app.example.org/cb", "https://APP.example.org/cb"),
            ("https://app.example.org/cb", "https://app.example.org/other/../cb"),
            ("https://localhost/cb", "https://localhost:8443/cb"),
            ("http://localhost/callback", "http://127.0.0.1/callback"),
            ("http://127.0.0.1/callback", "http://127.0.0.2/callback"),
            ("http://localhost/callback", "http://localhost/callback2"),
            ("http://localhost/callback", "http://localhost/callback?x=1"),
            ("http://localhost/callback", "https://localhost/callback"),
            ("cursor://host/cb", "cursor://other/cb"),
        ] {
            assert!(!covers(registered, asked), "{registered} does not cover {asked}");
        }
    }

    #[test]
    fn an_answer_is_added_to_what_the_address_has_already() {
        let uri = RedirectUri::parse("https://app.example.org/cb?a=b").expect("an address");
        assert_eq!(
            uri.with(&[("code", "x&y"), ("state", "ä")]),
            "https://app.example.org/cb?a=b&code=x%26y&state=%C3%A4"
        );
        assert_eq!((uri.shown(), &*uri.source()), ("app.example.org", "https://app.example.org"));
        let app = RedirectUri::parse("com.example.app:/oauth").expect("an address");
        assert_eq!((app.shown(), &*app.source()), ("com.example.app", "com.example.app:"));
        let local = RedirectUri::parse("http://[::1]:51234/callback").expect("an address");
        assert_eq!(local.source(), "http:", "no policy can say more of it");
    }
}
