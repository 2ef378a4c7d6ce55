//! How often somebody may try to sign in: a few times a minute from one address to one account, and some more from one
//! address to any.
//!
//! No limit counts attempts from elsewhere, so nobody can shut somebody else out of their account, however often they
//! try. Whoever shares an address with someone who does waits a moment.

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

use crate::{app::App, error::Result, limits::Attempt, sender::Sender};

/// Counts an attempt, of which account there need not be one.
///
/// # Errors
/// `rate_limited` with the time to wait.
pub(super) async fn count(app: &App, sender: &Sender, account: &str) -> Result<()> {
    let from = origin(sender);
    let mut to = [0; 16];
    to.copy_from_slice(&Sha256::digest(account.as_bytes())[..16]);
    // In this order, so that what is refused here takes nothing from others at the same address.
    let (_, verdict) = app.limits.sign_ins.take(&Attempt { from: from.clone(), to: Some(to) }).await;
    verdict?;
    app.limits.sign_ins_anywhere.take(&Attempt { from, to: None }).await.1
}

/// Counts an attempt of which nobody knows yet to which account.
///
/// # Errors
/// As [`count`].
pub(super) async fn count_anywhere(app: &App, sender: &Sender) -> Result<()> {
    app.limits.sign_ins_anywhere.take(&Attempt { from: origin(sender), to: None }).await.1
}

fn origin(sender: &Sender) -> String {
    sender.ip.map_or_else(|| "unknown".to_owned(), network)
}

/// What one customer has at most, of most providers: an address, or of IPv6 a network that begins with the same 56 bits.
fn network(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{:x}::", d & 0xff00)
        }
    }
}
