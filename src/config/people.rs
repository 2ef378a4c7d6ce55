//! Settings of people: who is the first owner, and where others sign in.

use secrecy::SecretString;

use super::{Config, IssuerUrl, Reader};

/// The provider with which people sign in (OpenID Connect).
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// `TRACKSIDE_OIDC_ISSUER`.
    pub issuer: IssuerUrl,
    /// `TRACKSIDE_OIDC_CLIENT_ID`: who we are to it.
    pub client_id: String,
    /// `TRACKSIDE_OIDC_CLIENT_SECRET`: how we show it.
    pub client_secret: SecretString,
    /// `TRACKSIDE_OIDC_NAME`: what people call it.
    pub name: String,
}

impl Config {
    /// The issuers elsewhere that are trusted here.
    pub fn issuers(&self) -> impl Iterator<Item = &IssuerUrl> {
        let outside = self.tokens.outside.iter().map(|outside| &outside.issuer);
        self.oidc.iter().map(|oidc| &oidc.issuer).chain(outside)
    }
}

impl Reader<'_> {
    /// The first owner, who needs an address and a password.
    pub(super) fn admin(&mut self) -> Option<(String, SecretString)> {
        let (email, password) = (self.text("TRACKSIDE_ADMIN_EMAIL"), self.text("TRACKSIDE_ADMIN_PASSWORD"));
        if email.is_empty() != password.is_empty() {
            let why = "TRACKSIDE_ADMIN_EMAIL and TRACKSIDE_ADMIN_PASSWORD make the first owner together: set both or none";
            self.problems.push(why.into());
        }
        (!email.is_empty()).then(|| (email, password.into()))
    }

    /// The provider, which takes all of three settings.
    pub(super) fn oidc(&mut self) -> Option<OidcSettings> {
        let before = self.problems.len();
        let issuer = self.parse_or("TRACKSIDE_OIDC_ISSUER", IssuerUrl::parse);
        let (client_id, secret) =
            (self.text("TRACKSIDE_OIDC_CLIENT_ID"), self.text("TRACKSIDE_OIDC_CLIENT_SECRET"));
        let name = self.text("TRACKSIDE_OIDC_NAME");
        let is_set = [issuer.is_some(), !client_id.is_empty(), !secret.is_empty()];
        let is_some_set = is_set.contains(&true) || self.find("TRACKSIDE_OIDC_NAME").is_some();
        if self.problems.len() == before && is_some_set && is_set.contains(&false) {
            let why = "people sign in by OpenID Connect with TRACKSIDE_OIDC_ISSUER, TRACKSIDE_OIDC_CLIENT_ID and \
                       TRACKSIDE_OIDC_CLIENT_SECRET together: set all three or none";
            self.problems.push(why.into());
        }
        Some(OidcSettings { issuer: issuer?, client_id, client_secret: secret.into(), name })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BadSettings, Config, Sources};

    fn load(pairs: &[(&str, &str)]) -> Result<Config, BadSettings> {
        let environment = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Config::load(&Sources { environment, ..Sources::default() })
    }

    const ISSUER: (&str, &str) = ("TRACKSIDE_OIDC_ISSUER", "https://idp.example.org/realms/one");
    const ID: (&str, &str) = ("TRACKSIDE_OIDC_CLIENT_ID", "trackside");
    const SECRET: (&str, &str) = ("TRACKSIDE_OIDC_CLIENT_SECRET", "hunter2 and more");
    const NAME: (&str, &str) = ("TRACKSIDE_OIDC_NAME", "Example");

    #[test]
    fn a_provider_takes_its_address_and_who_we_are_to_it() {
        assert!(load(&[]).expect("valid").oidc.is_none());
        let oidc = load(&[ISSUER, ID, SECRET]).expect("valid").oidc.expect("all are set");
        assert_eq!((oidc.issuer.as_str(), &*oidc.name), (ISSUER.1, "single sign-on"));
        for some in [vec![ISSUER], vec![ISSUER, ID], vec![ID, SECRET], vec![SECRET], vec![NAME]] {
            let BadSettings(problems) = load(&some).expect_err("refused");
            assert!(matches!(&*problems, [only] if only.contains("all three or none")), "{problems:?}");
            assert!(!problems[0].contains(SECRET.1), "{problems:?}");
        }
    }

    #[test]
    fn a_provider_is_asked_over_https_or_on_this_machine() {
        let issuer = |url: &str| load(&[(ISSUER.0, url), ID, SECRET]);
        for good in
            ["https://idp.example.org", "http://localhost:9000/", "http://127.0.0.1", "http://[::1]:1"]
        {
            let oidc = issuer(good).expect("valid").oidc.expect("set");
            assert_eq!(oidc.issuer.as_str(), good, "it is compared to the letter");
        }
        for bad in [
            "idp.example.org",
            "http://idp.example.org",
            "https://idp.example.org/?a=b",
            "https://idp.example.org/#a",
            "https://me@idp.example.org",
            "file:///etc/passwd",
        ] {
            let BadSettings(problems) = issuer(bad).expect_err("refused");
            assert!(problems[0].contains("https address"), "{problems:?}");
        }
    }
}
