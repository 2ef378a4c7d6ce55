//! Who sends a request, as far as its connection and its head tell: from which address, with which program, and from
//! a page of whose.
//!
//! A proxy in front shows its own address as the sender's. It says in `X-Forwarded-For` who asked it, and so may
//! anybody: what is told there counts only from the proxies that `TRACKSIDE_TRUSTED_PROXIES` names.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use poem::{Request, http::header};
use url::Url;

use crate::app::App;

const FORWARDED_FOR: &str = "x-forwarded-for";
/// Browsers say here which site a request comes from; no page can change it.
const FETCH_SITE: &str = "sec-fetch-site";
/// Characters of a program's name that are kept.
const KEPT: usize = 200;

/// Who sends a request, as it is recorded.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    /// The address.
    pub ip: Option<IpAddr>,
    /// What the program calls itself.
    pub user_agent: Option<String>,
}

impl Sender {
    /// Who sends this request.
    pub fn of(app: &App, request: &Request) -> Self {
        let agent = request.header(header::USER_AGENT);
        let user_agent = agent.map(|agent| agent.chars().filter(|it| !it.is_control()).take(KEPT).collect());
        Self { ip: address(app, request), user_agent }
    }
}

/// The address of whoever sends a request, seen through the proxies that are trusted.
pub fn address(app: &App, request: &Request) -> Option<IpAddr> {
    let peer = request.remote_addr().as_socket_addr()?.ip().to_canonical();
    let told = request.headers().get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let told: Vec<_> = told.flat_map(|value| value.split(',')).collect();
    Some(behind(peer, &told, &app.config.trusted_proxies))
}

/// Each proxy adds by whom it was asked: read from the end, the first that is not a trusted proxy is the sender.
fn behind(peer: IpAddr, told: &[&str], trusted: &[IpNet]) -> IpAddr {
    let mut address = peer;
    for hop in told.iter().rev().map(|hop| hop.trim()) {
        if !trusted.iter().any(|proxies| proxies.contains(&address)) {
            break;
        }
        let with_port = || hop.parse().map(|socket: SocketAddr| socket.ip());
        match hop.parse().or_else(|_| with_port()) {
            Ok(hop) => address = IpAddr::to_canonical(&hop),
            Err(_) => break,
        }
    }
    address
}

/// Marks a request that a page of this service sends.
#[derive(Clone, Copy)]
struct FromOwnPage;

/// Notes whether a page of this service sends a request. Browsers name their origin in the service's own pages too, on
/// every POST and WebSocket; the cross-origin rules are not about those, and so do not see it.
pub fn note_page(public_url: &str, mut request: Request) -> Request {
    let is_own = match request.header(header::ORIGIN) {
        Some(origin) => is_own(origin, request.header(header::HOST), public_url),
        None => request.header(FETCH_SITE) == Some("same-origin"),
    };
    if is_own {
        request.headers_mut().remove(header::ORIGIN);
        request.extensions_mut().insert(FromOwnPage);
    }
    request
}

/// An origin is our own if it is the public address, or names the host that the request is for. Of the public host only
/// the public scheme is ours: what comes from `http://` was sent by whoever sits on the way.
fn is_own(origin: &str, host: Option<&str>, public_url: &str) -> bool {
    let public = Url::parse(public_url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let host_of = |origin: &str| origin.split_once("://").map(|(_, host)| host.to_owned());
    let named = host_of(origin);
    origin == public || (named.is_some() && named.as_deref() == host && named != host_of(&public))
}

/// Whether a page of this service sends the request, which the browser vouches for.
pub fn is_own_page(request: &Request) -> bool {
    request.extensions().get::<FromOwnPage>().is_some()
}

/// Whether a page of another site led the browser here, as far as the browser says so.
pub fn is_led_from_elsewhere(request: &Request) -> bool {
    matches!(request.header(FETCH_SITE), Some("cross-site" | "same-site"))
}

/// Whether a page of somebody else sends it.
pub fn is_foreign_page(request: &Request) -> bool {
    request.headers().contains_key(header::ORIGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn only_trusted_proxies_are_believed_who_asked_them() {
        let trusted = ["10.0.0.0/8".parse().expect("a network"), "::1/128".parse().expect("a network")];
        let behind = |peer, told: &[&str]| behind(ip(peer), told, &trusted);
        assert_eq!(behind("203.0.113.9", &["198.51.100.1"]), ip("203.0.113.9"), "anybody may say so");
        assert_eq!(behind("10.0.0.1", &["198.51.100.1"]), ip("198.51.100.1"));
        assert_eq!(behind("10.0.0.1", &["1.1.1.1", " 198.51.100.1 ", "10.2.3.4"]), ip("198.51.100.1"));
        assert_eq!(behind("::1", &["198.51.100.1:4711"]), ip("198.51.100.1"));
        assert_eq!(behind("10.0.0.1", &["1.1.1.1", "unknown"]), ip("10.0.0.1"));
        assert_eq!(behind("10.0.0.1", &[]), ip("10.0.0.1"));
        assert_eq!(behind("10.0.0.1", &["10.0.0.2", "::ffff:10.0.0.3"]), ip("10.0.0.2"));
    }

    #[test]
    fn a_page_is_our_own_by_the_public_address_or_by_the_host_it_asks() {
        let public = "https://track.example:8443/";
        for (origin, host, own) in [
            ("https://track.example:8443", Some("backend:8080"), true),
            ("http://track.example:8443", Some("track.example:8443"), false),
            ("http://127.0.0.1:8080", Some("127.0.0.1:8080"), true),
            ("http://127.0.0.1:8081", Some("127.0.0.1:8080"), false),
            ("https://evil.example", Some("track.example:8443"), false),
            ("null", None, false),
            ("null", Some("null"), false),
        ] {
            assert_eq!(is_own(origin, host, public), own, "{origin} at {host:?}");
        }
    }
}
