//! `trackside doctor`: looks at everything a start needs, and says what to do about what is wrong.
//!
//! It changes nothing: what is not there yet is reported as something that the first start will make.

use std::{path::Path, process::ExitCode};

use anstream::println;
use serde_json::{Value, json};

use super::{
    say::{BOLD, GREEN, RED, RESET, YELLOW},
    serve,
};
use crate::{
    accounts::{self, signin},
    clock::{Clock, Ids},
    config::{Config, DatabaseUrl, IssuerUrl, Sources},
    database::{Database, Migrate},
    error::chain,
    git, installation,
    master_key::{KEY_FILE, MasterKey},
    redis::Redis,
    server,
};

/// How one thing is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    Notice,
    Bad,
}

struct Finding {
    state: State,
    what: &'static str,
    words: String,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn note(&mut self, state: State, what: &'static str, words: impl Into<String>) {
        self.0.push(Finding { state, what, words: words.into() });
    }
}

pub(super) async fn run(sources: &Sources, json: bool) -> ExitCode {
    let mut findings = Findings::default();
    match Config::load(sources) {
        Ok(config) => {
            findings.note(State::Good, "settings", "all valid");
            for unknown in sources.unknown() {
                findings.note(State::Notice, "settings", unknown);
            }
            examine(&config, &mut findings).await;
        }
        Err(bad) => bad.0.into_iter().for_each(|problem| findings.note(State::Bad, "settings", problem)),
    }
    report(&findings, json);
    if findings.0.iter().any(|finding| finding.state == State::Bad) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

async fn examine(config: &Config, findings: &mut Findings) {
    match server::bind(config.listen) {
        Ok(_) => findings.note(State::Good, "address", format!("{} is free", config.listen)),
        Err(error) => findings.note(
            State::Notice,
            "address",
            format!("{} cannot be listened on ({error}); fine if the service runs there, else choose another PORT", config.listen),
        ),
    }
    if !config.listen.ip().is_loopback()
        && config.public_url.as_ref().is_none_or(|url| url.starts_with("http://"))
    {
        let advice = "listens beyond this machine without https; put a TLS proxy in front and set TRACKSIDE_PUBLIC_URL";
        findings.note(State::Notice, "transport", advice);
    }
    if let Some(hint) = serve::unreachable(config) {
        findings.note(State::Notice, "public url", hint);
    }
    if let Some(url) = &config.redis {
        match Redis::examine(url).await {
            Ok(words) => findings.note(State::Good, "redis", words),
            Err(error) => findings.note(State::Bad, "redis", format!("{url}: {error}")),
        }
    }
    examine_issuers(config, findings).await;
    if config.git.scans {
        match git::installed().await {
            Some(version) => findings.note(State::Good, "git", version),
            None => findings.note(
                State::Notice,
                "git",
                "there is no `git` to read repositories with; install it, or set TRACKSIDE_SCANS=false",
            ),
        }
    }
    let folder = &config.data_dir;
    match writable(folder) {
        Ok(true) => findings.note(State::Good, "folder", format!("{} can be written to", folder.display())),
        Ok(false) => findings.note(
            State::Notice,
            "folder",
            format!("{} is not there; the first start makes it", folder.display()),
        ),
        Err(error) => {
            let advice = format!(
                "{} cannot be written to ({error}); give it to the user that runs the service",
                folder.display()
            );
            findings.note(State::Bad, "folder", advice);
        }
    }
    if let DatabaseUrl::Sqlite(path) = &config.database
        && !path.exists()
    {
        findings.note(
            State::Notice,
            "database",
            format!("{} is not there; the first start makes it", path.display()),
        );
        return;
    }
    match Database::migrate(&config.database, Migrate::Status).await {
        Ok(steps) => {
            let pending = steps.iter().filter(|step| !step.applied).count();
            match (pending, config.auto_migrate) {
                (0, _) => findings.note(State::Good, "schema", format!("up to date ({} steps)", steps.len())),
                (_, true) => findings.note(
                    State::Notice,
                    "schema",
                    format!("{pending} steps behind; the next start applies them"),
                ),
                (_, false) => findings.note(
                    State::Bad,
                    "schema",
                    format!("{pending} steps behind; run: trackside migrate up"),
                ),
            }
            if pending > 0 {
                return;
            }
        }
        Err(error) => return findings.note(State::Bad, "database", chain(&error)),
    }
    if (config.master_key.is_some() || folder.join(KEY_FILE).exists())
        && let Err(error) = MasterKey::of(config)
    {
        return findings.note(State::Bad, "master key", error.to_string());
    }
    let clock = Clock::system();
    match installation::examine(config, &Ids::system(clock)).await {
        Ok(true) => findings.note(State::Good, "master key", "it is the one that the data was sealed with"),
        Ok(false) => {
            findings.note(State::Notice, "master key", "not recorded yet; the first start does that")
        }
        Err(error) => findings.note(State::Bad, "master key", chain(&error)),
    }
}

/// Asks those that people or other programs' tokens come from.
async fn examine_issuers(config: &Config, findings: &mut Findings) {
    let bad = |setting: &str, issuer: &IssuerUrl, why: &str| {
        format!(
            "{} cannot be used: {why}; see that this machine reaches it, and that {setting} is to the letter what its \
             metadata say as `issuer`",
            issuer.as_str()
        )
    };
    if let Some(oidc) = &config.oidc {
        let back = signin::redirect_address(&config.public_url_at(config.listen));
        let (state, words) = match signin::check_provider(config, oidc).await {
            Ok(()) => (State::Good, format!("{} answers", oidc.issuer.as_str())),
            Err(why) => (State::Bad, bad("TRACKSIDE_OIDC_ISSUER", &oidc.issuer, &why)),
        };
        findings.note(state, "sign-in", words);
        findings.note(State::Good, "sign-in", format!("the redirect address to register there is {back}"));
    }
    if let Some(outside) = &config.tokens.outside {
        let (state, words) = match accounts::check_issuer(config, &outside.issuer).await {
            Ok(()) => (State::Good, format!("{} answers", outside.issuer.as_str())),
            Err(why) => (State::Bad, bad("TRACKSIDE_OAUTH_ISSUER", &outside.issuer, &why)),
        };
        findings.note(state, "tokens", words);
    }
}

/// Whether a folder is there; an error if it is and cannot be written to.
fn writable(folder: &Path) -> std::io::Result<bool> {
    if !folder.exists() {
        return Ok(false);
    }
    let probe = folder.join(".trackside-doctor");
    std::fs::write(&probe, b"")?;
    std::fs::remove_file(&probe)?;
    Ok(true)
}

fn report(findings: &Findings, json: bool) {
    if json {
        let word = |state| match state {
            State::Good => "good",
            State::Notice => "notice",
            State::Bad => "bad",
        };
        let findings = findings.0.iter();
        let findings =
            findings.map(|it| json!({"state": word(it.state), "what": it.what, "words": it.words}));
        return println!("{:#}", findings.collect::<Value>());
    }
    for Finding { state, what, words } in &findings.0 {
        let mark = match state {
            State::Good => format!("{GREEN}✓{RESET}"),
            State::Notice => format!("{YELLOW}•{RESET}"),
            State::Bad => format!("{RED}✗{RESET}"),
        };
        println!("{mark} {BOLD}{what:<11}{RESET}{words}");
    }
}
