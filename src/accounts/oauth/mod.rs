//! What a client needs that signs people in: an MCP client, say, that asks its user to let it act for them.
//!
//! The client sends its user's browser here with an [`authorize`] request. Who it is it tells by an address, at which
//! its metadata document lies ([`clients`]); whoever operates the service may also register it. The user sees what it
//! asks for and agrees: that is a grant ([`grants`]), which they, or an admin, may end at any time. The browser carries
//! a code back ([`codes`]), good once and for a minute, and only for whoever knows what its challenge was made of
//! (RFC 7636). By the code the client gets its first tokens, and by refresh tokens ([`refresh`]) further ones.
//!
//! Codes and refresh tokens are each good once. One that comes twice was stolen, or its thief was faster: the grant
//! behind it ends. A refresh token may come twice within a minute all the same, because clients that run side by side
//! share one: both get the same successor.
//!
//! Whether somebody behind a grant still may what it lets the client do is looked up with every use of a token, as with
//! every credential: this module only keeps what was agreed.

mod api;
pub mod authorize;
pub mod clients;
pub mod codes;
mod consent;
pub mod grants;
pub mod metadata;
pub mod redirect;
pub mod refresh;
mod store;

use chrono::TimeDelta;

pub use self::api::GrantsApi;
pub(super) use self::consent::in_words;
pub(crate) use self::consent::{show_consent, take_consent};
use crate::{
    app::App,
    error::{Code, Error, Result},
};

/// Rows forgotten in one transaction.
const BATCH: u64 = 500;

/// Forgets codes, refresh tokens, grants and documents of clients that nothing can be done with any more.
///
/// # Errors
/// The database's; what is left goes the next time.
pub async fn forget_old(app: &App) -> Result<()> {
    let now = app.clock.now();
    app.clear_out(move |tx| Box::pin(store::forget_codes(tx, now, BATCH))).await?;
    app.clear_out(move |tx| Box::pin(store::forget_refresh_tokens(tx, now, BATCH))).await?;
    let (unused, never) = (now - refresh::LIFE - TimeDelta::days(1), now - codes::LIFE - TimeDelta::hours(1));
    app.clear_out(move |tx| Box::pin(store::forget_grants(tx, unused, never, BATCH))).await?;
    clients::forget_stale(app).await
}

/// One answer for all that may be wrong with a code or refresh token; a token endpoint calls it `invalid_grant`.
fn refused() -> Error {
    Error::new(
        Code::Unauthenticated,
        "this code or refresh token is not valid for this client, or no longer is; sign in again",
    )
}
