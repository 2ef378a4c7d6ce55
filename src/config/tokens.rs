//! Settings of tokens: how long they last, what signs them, and which of an older issuer's are taken.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use p256::SecretKey;
use secrecy::SecretString;

use super::{IssuerUrl, Reader};

/// The longest that a token may last, in seconds.
const LONGEST: i64 = 86_400;
/// The fewest characters of a secret that tokens are signed with: as many bytes as the hash has.
const SECRET: usize = 32;
const PEM: &str = "-----BEGIN ";

/// How access tokens are made and accepted.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// `TRACKSIDE_TOKEN_SECONDS`; none means that there are no tokens of ours.
    pub life: Option<TimeDelta>,
    /// `TRACKSIDE_JWT_PRIVATE_KEY`: the first signs; none means that the service makes its own.
    pub keys: Vec<SecretKey>,
    /// `TRACKSIDE_LEGACY_HS256_SECRET` and `TRACKSIDE_LEGACY_HS256_UNTIL`.
    pub legacy: Option<LegacySettings>,
    /// `TRACKSIDE_OAUTH_ISSUER` and `TRACKSIDE_OAUTH_AUDIENCE`.
    pub outside: Option<OutsideSettings>,
}

/// Which tokens of an issuer elsewhere are accepted.
#[derive(Clone, Debug)]
pub struct OutsideSettings {
    /// Who signs them.
    pub issuer: IssuerUrl,
    /// Whom they have to be for; none means the address of the part of this service that they are shown to.
    pub audience: Option<String>,
}

/// Which tokens of an older issuer are accepted.
#[derive(Clone, Debug)]
pub struct LegacySettings {
    /// What they are signed with.
    pub secret: SecretString,
    /// From when on they are refused.
    pub until: DateTime<Utc>,
}

impl Reader<'_> {
    pub(super) fn tokens(&mut self) -> TokenSettings {
        let life = self.parse_or("TRACKSIDE_TOKEN_SECONDS", |text| match text.parse() {
            Ok(0) => Ok(None),
            Ok(seconds) if (1..=LONGEST).contains(&seconds) => Ok(Some(TimeDelta::seconds(seconds))),
            _ => Err(format!("use whole seconds between 1 and {LONGEST}, or 0 for no tokens")),
        });
        let keys = self.parse_or("TRACKSIDE_JWT_PRIVATE_KEY", private_keys);
        if life.is_none() && !keys.is_empty() {
            self.problems.push(
                "TRACKSIDE_TOKEN_SECONDS=0 turns tokens off, and TRACKSIDE_JWT_PRIVATE_KEY gives a key for them: take one \
                 of the two away"
                    .into(),
            );
        }
        TokenSettings { life, keys, legacy: self.legacy(), outside: self.outside() }
    }

    fn outside(&mut self) -> Option<OutsideSettings> {
        let issuer = self.parse_or("TRACKSIDE_OAUTH_ISSUER", IssuerUrl::parse);
        let audience = Some(self.text("TRACKSIDE_OAUTH_AUDIENCE")).filter(|audience| !audience.is_empty());
        if issuer.is_none() && audience.is_some() {
            let why = "TRACKSIDE_OAUTH_AUDIENCE is for the tokens of TRACKSIDE_OAUTH_ISSUER, which is not set: set it, or \
                       take the audience away";
            self.problems.push(why.into());
        }
        let own = self.text("TRACKSIDE_PUBLIC_URL");
        if issuer
            .as_ref()
            .is_some_and(|issuer| issuer.as_str().trim_end_matches('/') == own.trim_end_matches('/'))
        {
            let why = "TRACKSIDE_OAUTH_ISSUER is this service itself (TRACKSIDE_PUBLIC_URL), whose tokens are accepted \
                       without it; take it away";
            self.problems.push(why.into());
        }
        Some(OutsideSettings { issuer: issuer?, audience })
    }

    fn legacy(&mut self) -> Option<LegacySettings> {
        let before = self.problems.len();
        let secret = self.parse_or("TRACKSIDE_LEGACY_HS256_SECRET", |text| match text {
            "" => Ok(None),
            pem if pem.contains(PEM.trim_end()) => {
                Err("this is a PEM, and the secret of HMAC is never a key that may be \
                known elsewhere; use the secret that the older issuer signed with"
                    .into())
            }
            short if short.chars().count() < SECRET => {
                Err(format!("use a secret of at least {SECRET} characters; a shorter one can be guessed"))
            }
            text => Ok(Some(SecretString::from(text))),
        });
        let until = self.parse_or("TRACKSIDE_LEGACY_HS256_UNTIL", |text| match text {
            "" => Ok(None),
            text => time(text).map(Some).ok_or_else(|| {
                "use a day such as 2030-01-31, or a time with its zone such as 2030-01-31T18:00:00Z".into()
            }),
        });
        if self.problems.len() == before && secret.is_some() != until.is_some() {
            let (there, missing) = match secret.is_some() {
                true => ("TRACKSIDE_LEGACY_HS256_SECRET", "TRACKSIDE_LEGACY_HS256_UNTIL"),
                false => ("TRACKSIDE_LEGACY_HS256_UNTIL", "TRACKSIDE_LEGACY_HS256_SECRET"),
            };
            self.problems.push(format!(
                "{there} is set and {missing} is not: tokens of an older issuer are accepted with its secret, until a day \
                 that you choose; set both or neither"
            ));
        }
        Some(LegacySettings { secret: secret?, until: until? })
    }
}

/// A time, or a day, which begins at midnight UTC.
fn time(text: &str) -> Option<DateTime<Utc>> {
    let day = || text.parse::<NaiveDate>().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).or_else(|_| day()).ok()
}

/// The private keys in a text, which may have line ends written as `\n`, as environments force some to.
fn private_keys(text: &str) -> Result<Vec<SecretKey>, String> {
    let text = text.replace("\\n", "\n").replace("\r\n", "\n");
    let blocks: Vec<_> = text.match_indices(PEM).map(|(at, _)| text[at..].trim_end()).collect();
    let read = |block: &str| {
        let end = block.match_indices("-----").nth(3).map_or(block.len(), |(at, mark)| at + mark.len());
        SecretKey::from_pem(&block[..end])
    };
    // openssl writes the curve's name before the key.
    let keys = blocks.iter().filter(|block| !block.starts_with("-----BEGIN EC PARAMETERS"));
    let keys = keys.map(|block| read(block)).collect::<Result<Vec<_>, _>>();
    match keys {
        Ok(keys) if !keys.is_empty() || text.is_empty() => Ok(keys),
        _ => Err("use private keys of P-256 in PEM, without a password; make one with: openssl genpkey -algorithm EC \
                  -pkeyopt ec_paramgen_curve:P-256"
            .into()),
    }
}

#[cfg(test)]
mod tests {
    use p256::{
        SecretKey,
        pkcs8::{EncodePrivateKey as _, LineEnding},
    };

    use super::super::{BadSettings, Config, Sources};

    fn load(pairs: &[(&str, &str)]) -> Result<Config, BadSettings> {
        let environment = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Config::load(&Sources { environment, ..Sources::default() })
    }

    const SECRET: (&str, &str) =
        ("TRACKSIDE_LEGACY_HS256_SECRET", "the older issuer signed with this, for years");
    const UNTIL: (&str, &str) = ("TRACKSIDE_LEGACY_HS256_UNTIL", "2030-01-31");

    #[test]
    fn tokens_of_an_older_issuer_are_taken_with_its_secret_and_until_a_day() {
        assert!(load(&[]).expect("valid").tokens.legacy.is_none());
        let legacy = load(&[SECRET, UNTIL]).expect("valid").tokens.legacy.expect("both are set");
        assert_eq!(legacy.until.to_rfc3339(), "2030-01-31T00:00:00+00:00");
        let (secret, until) = (SECRET.0, UNTIL.0);
        for (bad, advice) in [
            (vec![SECRET], "set both or neither"),
            (vec![UNTIL], "set both or neither"),
            (vec![(secret, "short"), UNTIL], "at least 32 characters"),
            (vec![(secret, "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQ\n"), UNTIL], "this is a PEM"),
            (vec![SECRET, (until, "soon")], "use a day"),
        ] {
            let BadSettings(problems) = load(&bad).expect_err("refused");
            assert!(matches!(&*problems, [only] if only.contains(advice)), "{problems:?}");
            assert!(!problems[0].contains(SECRET.1), "{problems:?}");
        }
    }

    #[test]
    fn a_key_is_taken_in_either_form_of_pem_and_several_one_after_the_other() {
        let key = SecretKey::from_slice(&[7; 32]).expect("a key");
        let pkcs8 = key.to_pkcs8_pem(LineEnding::LF).expect("PEM");
        let sec1 = key.to_sec1_pem(LineEnding::LF).expect("PEM");
        let (pkcs8, sec1) = (pkcs8.as_str(), sec1.as_str());
        // As `openssl ecparam -genkey` writes it.
        let named =
            format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{sec1}");
        let keys =
            |text: &str| load(&[("TRACKSIDE_JWT_PRIVATE_KEY", text)]).map(|config| config.tokens.keys.len());
        assert_eq!(keys(pkcs8).ok(), Some(1));
        assert_eq!(keys(sec1).ok(), Some(1));
        assert_eq!(keys(&named).ok(), Some(1));
        assert_eq!(keys(&format!("{pkcs8}{sec1}")).ok(), Some(2));
        assert_eq!(keys(&pkcs8.replace('\n', "\\n")).ok(), Some(1));
        for bad in ["hunter2", &pkcs8[..80], &pkcs8.replace("PRIVATE", "PUBLIC")] {
            let BadSettings(problems) = keys(bad).expect_err("refused");
            assert!(problems[0].contains("openssl genpkey") && !problems[0].contains(bad), "{problems:?}");
        }
        let off = load(&[("TRACKSIDE_JWT_PRIVATE_KEY", pkcs8), ("TRACKSIDE_TOKEN_SECONDS", "0")]);
        assert!(off.is_err(), "a key for tokens that are turned off is a mistake");
    }

    #[test]
    fn an_issuer_elsewhere_is_another() {
        let (issuer, audience) =
            (("TRACKSIDE_OAUTH_ISSUER", "https://idp.example.org"), "TRACKSIDE_OAUTH_AUDIENCE");
        assert!(load(&[]).expect("valid").tokens.outside.is_none());
        let outside = load(&[issuer, (audience, "x")]).expect("valid").tokens.outside.expect("set");
        assert_eq!((outside.issuer.as_str(), outside.audience.as_deref()), (issuer.1, Some("x")));
        for (bad, advice) in [
            (vec![(audience, "x")], "set it, or take the audience away"),
            (vec![("TRACKSIDE_OAUTH_ISSUER", "http://idp.example.org")], "https address"),
            (vec![issuer, ("TRACKSIDE_PUBLIC_URL", "https://idp.example.org/")], "this service itself"),
        ] {
            let BadSettings(problems) = load(&bad).expect_err("refused");
            assert!(matches!(&*problems, [only] if only.contains(advice)), "{problems:?}");
        }
    }

    #[test]
    fn a_token_lasts_a_day_at_most() {
        let life = |seconds: &str| load(&[("TRACKSIDE_TOKEN_SECONDS", seconds)]).map(|it| it.tokens.life);
        assert_eq!(load(&[]).expect("valid").tokens.life, Some(chrono::TimeDelta::hours(1)));
        assert_eq!(life("0").ok(), Some(None), "none at all");
        assert!(
            life("86400").is_ok() && life("86401").is_err() && life("-1").is_err() && life("1h").is_err()
        );
    }
}
