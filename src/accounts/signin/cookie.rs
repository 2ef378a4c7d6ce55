//! The cookie that a session is shown by, and over which ways it is given out.
//!
//! Served over https it carries the prefix `__Host-`: only this host, over https, can have set it. Over http its name is
//! plain, and it is given out to loopback and private networks alone, where nobody on the way reads along. No script
//! reads it, and no other site's form or frame sends it along.

use std::net::IpAddr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use poem::http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};

use super::session::LIFE;
use crate::{
    app::App,
    clock::Ids,
    error::{Code, Error, Result},
    sender::Sender,
};

/// The cookie's name over https, as the specification shows it.
pub(in crate::accounts) const NAME: &str = "__Host-trackside";
const PLAIN_NAME: &str = "trackside";

/// What a session is known by: 256 random bits. What is stored is their SHA-256.
pub(in crate::accounts) struct Secret([u8; 32]);

impl Secret {
    pub(super) fn generate(ids: &Ids) -> Self {
        Self(ids.bytes())
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    pub(super) fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

fn is_https(app: &App) -> bool {
    app.public_url().starts_with("https://")
}

fn name(app: &App) -> &'static str {
    if is_https(app) { NAME } else { PLAIN_NAME }
}

/// The secret in a request's cookie.
pub(in crate::accounts) fn read(app: &App, headers: &HeaderMap) -> Option<Secret> {
    value(headers, name(app)).and_then(Secret::parse)
}

/// What a cookie holds; none if there are two, one of which somebody else has planted.
fn value<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut ours = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value);
    match (ours.next(), ours.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// `Set-Cookie` of a new session.
pub(super) fn set(app: &App, secret: &Secret) -> String {
    line(app, name(app), &secret.text(), LIFE.num_seconds())
}

/// `Set-Cookie` that takes it away.
pub(super) fn clear(app: &App) -> String {
    line(app, name(app), "", 0)
}

/// The name of the cookie that holds what belongs to a sign-in at a provider.
fn flow_name(app: &App) -> &'static str {
    if is_https(app) { "__Host-trackside-oidc" } else { "trackside-oidc" }
}

/// What that cookie holds.
pub(super) fn read_flow<'h>(app: &App, headers: &'h HeaderMap) -> Option<&'h str> {
    value(headers, flow_name(app))
}

/// `Set-Cookie` of it.
pub(super) fn set_flow(app: &App, value: &str, life: TimeDelta) -> String {
    line(app, flow_name(app), value, life.num_seconds())
}

/// `Set-Cookie` that takes it away.
pub(super) fn clear_flow(app: &App) -> String {
    line(app, flow_name(app), "", 0)
}

fn line(app: &App, name: &str, value: &str, seconds: i64) -> String {
    let secure = if is_https(app) { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

/// Refuses to let anybody sign in whose password and cookie would cross a public network in the clear.
pub(super) fn check_way(app: &App, sender: &Sender) -> Result<()> {
    if is_https(app) || sender.ip.is_some_and(is_private) {
        return Ok(());
    }
    let why = "this service is reached over plain http, and your password would cross a public network for everybody \
               on the way to read; its operator has to serve it over https and to set TRACKSIDE_PUBLIC_URL to that \
               address";
    Err(Error::new(Code::Unprocessable, why))
}

/// Loopback, and networks that no way through the internet leads to (RFC 1918, 3927, 4193, 4291, 6598).
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || is_shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_networks_without_a_way_through_the_internet_are_private() {
        for (ip, expected) in [
            ("127.0.0.1", true),
            ("192.168.1.9", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("::1", true),
            ("fd00::1", true),
            ("::ffff:10.0.0.1", true),
            ("8.8.8.8", false),
            ("2001:4860::1", false),
        ] {
            assert_eq!(is_private(ip.parse().expect("an address")), expected, "{ip}");
        }
    }
}
