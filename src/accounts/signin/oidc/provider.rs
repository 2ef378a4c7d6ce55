//! What is said to the provider and taken from it (OpenID Connect Core 1.0, the code flow with PKCE).
//!
//! An ID token is good if the provider signed it with a key of its own, for us, for this sign-in and not too long ago.
//! It is verified as for a client without a secret: no algorithm is taken by which our secret would be a key.

use std::sync::Arc;

use chrono::TimeDelta;
use openidconnect::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError,
    Scope,
    core::{
        CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreIdTokenVerifier, CoreJsonWebKeySet,
        CoreJwsSigningAlgorithm as Algorithm, CoreProviderMetadata,
    },
};
use secrecy::ExposeSecret as _;

use super::{super::Email, CALLBACK, Flow};
use crate::{
    accounts::issuer::{Issuer, ask, known, unavailable},
    app::App,
    config::{Config, OidcSettings},
    error::{Code, Error, Result, chain},
    fetch::{Fetch, FetchError},
};

/// What ID tokens may be signed by: all that take a key which only the provider has.
const ALGORITHMS: [Algorithm; 10] = [
    Algorithm::RsaSsaPkcs1V15Sha256,
    Algorithm::RsaSsaPkcs1V15Sha384,
    Algorithm::RsaSsaPkcs1V15Sha512,
    Algorithm::RsaSsaPssSha256,
    Algorithm::RsaSsaPssSha384,
    Algorithm::RsaSsaPssSha512,
    Algorithm::EcdsaP256Sha256,
    Algorithm::EcdsaP384Sha384,
    Algorithm::EcdsaP521Sha512,
    Algorithm::EdDsa,
];

/// Whom the provider says somebody is.
pub(super) struct Told {
    /// The provider.
    pub(super) issuer: String,
    /// Who they are to it; the pair is theirs for good.
    pub(super) subject: String,
    /// Their address, if the provider vouches that it is theirs.
    pub(super) email: Option<Email>,
    /// Their name.
    pub(super) name: Option<String>,
}

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Where a browser goes to sign in at the provider.
///
/// # Errors
/// `unavailable` while the provider cannot be asked where that is.
pub(super) async fn address(app: &App, settings: &OidcSettings, flow: &Flow) -> Result<String> {
    let issuer = known(app, &settings.issuer, None).await?;
    let verifier = PkceCodeVerifier::new(flow.verifier.clone());
    let (state, nonce) = (flow.state.clone(), flow.nonce.clone());
    let (url, ..) = client(app, settings, &issuer)?
        .authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            || CsrfToken::new(state),
            || Nonce::new(nonce),
        )
        .add_scopes(["email", "profile"].map(|scope| Scope::new(scope.to_owned())))
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
        .url();
    Ok(url.into())
}

/// What keeps people from signing in at the provider, for whoever operates the service.
///
/// # Errors
/// Why it cannot be asked, or is not the one that the settings name, or not one of OpenID Connect.
pub async fn check_provider(config: &Config, settings: &OidcSettings) -> Result<(), String> {
    let issuer = ask(&Fetch::new(config), &settings.issuer).await?;
    let metadata: Result<CoreProviderMetadata, _> = serde_json::from_value(issuer.metadata);
    metadata.map(|_| ()).map_err(|error| format!("its metadata are not those of an OpenID provider: {error}"))
}

/// Where the provider sends people back to, at a service that is there: what it has to be told.
pub fn redirect_address(public_url: &str) -> String {
    format!("{public_url}{CALLBACK}")
}

/// Whether the provider says with every answer that it is from it (RFC 9207).
///
/// # Errors
/// As [`address`].
pub(super) async fn names_itself(app: &App, settings: &OidcSettings) -> Result<bool> {
    let issuer = known(app, &settings.issuer, None).await?;
    Ok(issuer.metadata["authorization_response_iss_parameter_supported"] == true)
}

/// Trades a code for what the provider says of whoever brought it.
///
/// # Errors
/// `unprocessable` for a code that is not good, and for an ID token that is not; the log has why. `unavailable` while
/// the provider cannot be asked.
pub(super) async fn redeem(app: &App, settings: &OidcSettings, code: &str, flow: &Flow) -> Result<Told> {
    let fetch = Arc::clone(&app.fetch);
    let http = move |request| {
        let fetch = Arc::clone(&fetch);
        async move {
            let mut answer = fetch.send(request).await?;
            if answer.status().is_server_error() {
                answer.body_mut().clear(); // whatever it says, it is out of order
            }
            Ok::<_, FetchError>(answer)
        }
    };
    let issuer = known(app, &settings.issuer, None).await?;
    let client = client(app, settings, &issuer)?;
    let request = client.exchange_code(AuthorizationCode::new(code.to_owned())).map_err(Error::internal)?;
    let request = request.set_pkce_verifier(PkceCodeVerifier::new(flow.verifier.clone()));
    let answer = request.request_async(&http).await.map_err(|error| match error {
        RequestTokenError::ServerResponse(_) | RequestTokenError::Parse(..) => refused(&chain(&error)),
        error => unavailable(&settings.issuer, TimeDelta::seconds(5)).because(error),
    })?;
    let token =
        answer.extra_fields().id_token().ok_or_else(|| refused("there is no ID token in the answer"))?;
    let kid = jsonwebtoken::decode_header(token.to_string()).ok().and_then(|header| header.kid);
    let issuer = known(app, &settings.issuer, kid.as_deref()).await?;
    let keys: CoreJsonWebKeySet = serde_json::from_value(issuer.keys.clone()).map_err(Error::internal)?;
    let id = ClientId::new(settings.client_id.clone());
    let verifier = CoreIdTokenVerifier::new_public_client(id, url(settings)?, keys)
        .set_allowed_algs(ALGORITHMS)
        .set_time_fn(|| app.clock.now());
    let claims =
        token.claims(&verifier, &Nonce::new(flow.nonce.clone())).map_err(|error| refused(&chain(&error)))?;
    let is_theirs = claims.email_verified() == Some(true);
    let name = claims.name().and_then(|names| names.get(None).or(names.iter().next().map(|(_, name)| name)));
    Ok(Told {
        issuer: settings.issuer.as_str().to_owned(),
        subject: claims.subject().to_string(),
        email: claims.email().filter(|_| is_theirs).and_then(|email| Email::parse("/email", email).ok()),
        name: name.map(|name| name.to_string()),
    })
}

/// One answer for all that may be wrong; the log has what it is.
fn refused(why: &str) -> Error {
    tracing::info!(why, "a sign-in by OpenID Connect was refused");
    Error::new(
        Code::Unprocessable,
        "what the provider said does not belong to this sign-in, or is not good any more",
    )
}

fn url(settings: &OidcSettings) -> Result<IssuerUrl> {
    IssuerUrl::new(settings.issuer.as_str().to_owned()).map_err(Error::internal)
}

fn client(app: &App, settings: &OidcSettings, issuer: &Issuer) -> Result<Client> {
    let metadata: CoreProviderMetadata = serde_json::from_value(issuer.metadata.clone())
        .map_err(|error| unavailable(&settings.issuer, TimeDelta::minutes(1)).because(error))?;
    let basic = CoreClientAuthMethod::ClientSecretBasic;
    let takes_basic =
        metadata.token_endpoint_auth_methods_supported().is_none_or(|methods| methods.contains(&basic));
    let (id, secret) = (settings.client_id.clone(), settings.client_secret.expose_secret().to_owned());
    let back = RedirectUrl::new(redirect_address(&app.public_url())).map_err(Error::internal)?;
    let client =
        CoreClient::from_provider_metadata(metadata, ClientId::new(id), Some(ClientSecret::new(secret)));
    let kind = if takes_basic { AuthType::BasicAuth } else { AuthType::RequestBody };
    Ok(client.set_redirect_uri(back).set_auth_type(kind))
}
