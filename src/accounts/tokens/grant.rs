//! Tokens for clients that sign people in: for an authorization code, and for a refresh token.
//!
//! Whatever may be refused or fail comes before the code or refresh token is used up: a client that asked for too much,
//! or met an outage, asks again with what it has. One that was used before is not spared by what is asked with it: that
//! it comes twice counts first.

use std::collections::BTreeSet;

use super::{
    Resource,
    endpoint::{Client, Form, OAuthError, TokenAnswer},
    issue,
};
use crate::{
    accounts::{
        Credential,
        credential::{Trust, still},
        oauth::{codes, grants::Grant, refresh},
    },
    app::App,
    error::{Code, Error},
    sender::Sender,
};

/// A code that a browser brought back buys a client its first tokens.
pub(super) async fn for_code(
    app: &App,
    client: &Client,
    form: &Form,
    sender: &Sender,
) -> Result<TokenAnswer, OAuthError> {
    let (code, address) = (form.required("code")?, form.required("redirect_uri")?);
    let verifier = form.required("code_verifier")?;
    let asked = asked(app, client, form)?;
    let shown = codes::look_up(app, code, &client.id, address, verifier).await.map_err(refused)?;
    let answer = answer(app, form, &asked, &shown.grant).await;
    let answer = if shown.was_used { answer } else { Ok(answer?) };
    let next = codes::redeem(app, shown, sender).await.map_err(refused)?;
    Ok(TokenAnswer { refresh_token: Some(next), ..answer? })
}

/// A refresh token buys further ones.
pub(super) async fn for_refresh_token(
    app: &App,
    client: &Client,
    form: &Form,
    sender: &Sender,
) -> Result<TokenAnswer, OAuthError> {
    let token = form.required("refresh_token")?;
    let asked = asked(app, client, form)?;
    let shown = refresh::look_up(app, token, &client.id).await.map_err(refused)?;
    let answer = answer(app, form, &asked, &shown.grant).await;
    let answer = if shown.was_used { answer } else { Ok(answer?) };
    let next = refresh::rotate(app, shown, sender).await.map_err(refused)?;
    Ok(TokenAnswer { refresh_token: Some(next), ..answer? })
}

/// The resources that a client asks for.
fn asked(app: &App, client: &Client, form: &Form) -> Result<BTreeSet<Resource>, OAuthError> {
    // They run on people's machines, where no secret is one.
    if client.secret.is_some() {
        let why = "a client that signs people in has no secret; send its client_id alone";
        return Err(OAuthError::refused("invalid_client", why));
    }
    form.resources(app)
}

/// What is answered, but for the refresh token.
async fn answer(
    app: &App,
    form: &Form,
    asked: &BTreeSet<Resource>,
    grant: &Grant,
) -> Result<TokenAnswer, OAuthError> {
    let principal = still(app, Credential::Grant(grant.id), Trust::Nothing).await.map_err(refused)?;
    let scopes = form.scopes(&principal.scopes)?;
    if !grant.resources.is_empty() && !asked.is_subset(&grant.resources) {
        return Err(OAuthError::refused("invalid_target", "this resource was not agreed to"));
    }
    let resources = if asked.is_empty() { &grant.resources } else { asked };
    let token = issue(app, &principal, &scopes, resources).await?;
    Ok(TokenAnswer { token, scopes, refresh_token: None })
}

/// What ends a client's way in is told from what keeps us from answering now.
fn refused(error: Error) -> OAuthError {
    match error.code {
        Code::Unauthenticated => OAuthError::refused("invalid_grant", error.detail),
        _ => error.into(),
    }
}
