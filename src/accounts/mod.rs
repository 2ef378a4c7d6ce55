//! Tenants, principals and what they come with: who acts, and what they may do.
//!
//! A tenant is made at the command line, with its first key. From then on its owners and admins make [`keys`] for service
//! accounts and invite people ([`invitation`]), and change or deactivate its [`members`], with never more than their own
//! role, scopes and projects ([`Authority`]). Whatever is taken away is taken away within a second on every instance, from
//! open streams too: whatever somebody comes with, its [`Principal`] is looked up with it, at most a second old.
//!
//! People sign in and have sessions ([`signin`]), which are credentials like keys. What one lets a program do for them is a
//! grant ([`oauth`]), which is one too.
//!
//! A client that cannot send headers trades its key for a [`Ticket`], which opens event streams and nothing else. One
//! that would rather not send its key with every request trades it for a token ([`tokens`]), which lasts an hour.

mod access;
mod api;
mod authority;
mod credential;
pub mod invitation;
mod issuer;
mod key;
pub mod keys;
pub mod members;
pub mod oauth;
mod principal;
pub mod scope;
mod secret;
pub mod signin;
mod store;
mod ticket;
pub mod tokens;
mod uses;

use uuid::Uuid;

pub use self::{
    access::Access,
    api::{
        AccountsApi, Amiss, Caller, CredentialKind, StreamCaller, authenticate_caller, authenticate_request,
        authenticate_stream, what_is_amiss,
    },
    authority::Authority,
    credential::{Accounts, authenticate, over},
    issuer::{check_issuer, meet_issuers},
    key::ApiKey,
    keys::{KeyRecord, NewKey, issue_key},
    principal::{Credential, GrantId, Level, Limits, Principal, PrincipalKind, PrincipalRecord, SessionId},
    scope::{Role, Scope},
    ticket::{Ticket, forget_tickets, issue_ticket},
    tokens::Surface,
    uses::{keep_uses, write_uses},
};
use crate::{
    app::App,
    clock::Time,
    database::{Database, Door, TenantId},
    error::{Code, Error, Result},
    wire::{id_type, is_visible},
};

id_type! {
    /// Names a principal.
    PrincipalId
}
id_type! {
    /// Names an API key.
    KeyId
}
id_type! {
    /// Names a person, who may be a principal of several tenants.
    PersonId
}

/// An organisation.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// The name people see.
    pub name: String,
    /// When it was made.
    pub created_at: Time,
}

/// Makes a tenant.
///
/// # Errors
/// `invalid_request` for an empty or overlong name, `conflict` for one that another tenant has.
pub async fn create_tenant(app: &App, name: &str) -> Result<Tenant> {
    let name = parse_name("/name", name)?;
    let tenant = Tenant { id: TenantId(app.ids.uuid()), name, created_at: app.clock.now() };
    let row = tenant.clone();
    let made = app.database.write_through(Door::Installation, |tx| {
        Box::pin(async move {
            tx.lock(Uuid::nil()).await?;
            if let Some(known) = store::tenants(tx).await?.iter().find(|known| known.name == row.name) {
                let why = format!("there is a tenant of this name already, with the id {}", known.id);
                return Err(Error::new(Code::Conflict, why));
            }
            store::insert_tenant(tx, row).await
        })
    });
    made.await?;
    Ok(tenant)
}

/// Makes the first tenant; none when there is one already. Processes that ask at once make one between them.
///
/// # Errors
/// As [`create_tenant`].
pub async fn make_first_tenant(app: &App, name: &str) -> Result<Option<Tenant>> {
    let name = parse_name("/name", name)?;
    let tenant = Tenant { id: TenantId(app.ids.uuid()), name, created_at: app.clock.now() };
    app.database
        .write_through(Door::Installation, |tx| {
            Box::pin(async move {
                tx.lock(Uuid::nil()).await?;
                if !store::tenants(tx).await?.is_empty() {
                    return Ok(None);
                }
                store::insert_tenant(tx, tenant.clone()).await?;
                Ok(Some(tenant))
            })
        })
        .await
}

/// Every tenant, oldest first; for the command line.
///
/// # Errors
/// The database's.
pub async fn list_tenants(app: &App) -> Result<Vec<Tenant>> {
    tenants_of(&app.database).await
}

/// Every tenant of a database, oldest first.
///
/// # Errors
/// The database's.
pub async fn tenants_of(database: &Database) -> Result<Vec<Tenant>> {
    database.read_through(Door::Installation, |tx| Box::pin(store::tenants(tx))).await
}

/// The caller's tenant.
///
/// # Errors
/// The database's.
pub async fn get_tenant(app: &App, principal: &Principal) -> Result<Tenant> {
    app.database.read(principal.tenant, |tx| Box::pin(store::tenant(tx))).await
}

/// A name that people give: something to see, on one line, of at most 200 characters.
///
/// # Errors
/// `invalid_request`, pointing at the field.
pub fn parse_name(pointer: &str, text: &str) -> Result<String> {
    let name = text.trim();
    // Persian and emoji are joined by what cannot be seen itself.
    let is_fit = |letter: char| {
        (is_visible(letter) && !letter.is_control())
            || matches!(letter, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}')
    };
    let is_seen = name.chars().any(|letter| is_visible(letter) && !letter.is_whitespace());
    if !is_seen || name.chars().count() > 200 || !name.chars().all(is_fit) {
        return Err(Error::invalid_field(
            pointer,
            "a name has 1 to 200 characters, none of them control characters or others that cannot be seen",
        ));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_seen_and_hides_nothing() {
        for good in ["Ada", " Ada Lovelace ", "می\u{200c}خواهم", "👩\u{200d}🚀", "❤\u{fe0f}"] {
            assert_eq!(parse_name("/name", good).ok().as_deref(), Some(good.trim()));
        }
        for bad in ["", " ", "a\nb", "a\u{202e}b", "a\u{200b}b", "\u{200d}", "\u{e0041}", &"x".repeat(201)] {
            assert!(parse_name("/name", bad).is_err(), "{bad:?}");
        }
    }
}
