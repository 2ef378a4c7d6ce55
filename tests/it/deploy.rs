//! The files by which others run the service: what they name is there.

use std::{collections::BTreeSet, fs, path::Path};

use clap::Parser as _;
use serde_json::Value;
use trackside::{cli::Cli, config::SETTINGS, database::Door};

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}

fn is_there(name: &str) -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name).exists()
}

/// The instructions of the Dockerfile, each on one line.
fn instructions() -> Vec<String> {
    let text = read("Dockerfile");
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.join("\n").replace("\\\n", " ").lines().map(str::to_owned).filter(|line| !line.is_empty()).collect()
}

/// What the command line makes of words as a shell, or a container's engine, would give them.
#[track_caller]
fn is_understood(words: &[&str]) {
    if let Err(error) = Cli::try_parse_from(words) {
        assert!(error.exit_code() == 0, "{words:?}: {error}");
    }
}

/// A list such as `["serve"]`, wherever it begins.
fn words_of(list: &str) -> Vec<String> {
    serde_json::from_str(list).unwrap_or_else(|error| panic!("{error}: {list}"))
}

#[test]
fn every_setting_that_they_name_exists() {
    let known: BTreeSet<String> = SETTINGS
        .iter()
        .flat_map(|setting| [setting.name.to_owned(), format!("{}_FILE", setting.name)])
        .chain(["TRACKSIDE_API_KEY", "TRACKSIDE_WEBHOOK_SECRET"].map(str::to_owned))
        .collect();
    for file in ["Dockerfile", "compose.yaml", "railway.json", "README.md", "SECURITY.md"] {
        let text = read(file);
        let names = text.split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_');
        for name in names.filter(|name| name.starts_with("TRACKSIDE_") && !name.ends_with('_')) {
            assert!(known.contains(name), "{file} names {name}");
        }
    }
    let set =
        instructions().into_iter().find_map(|line| line.strip_prefix("ENV ").map(str::to_owned)).unwrap();
    for name in set.split_whitespace().map(|pair| pair.split_once('=').unwrap().0) {
        assert!(known.contains(name), "the image sets {name}");
    }
}

#[test]
fn every_command_that_they_run_is_understood() {
    let image = instructions();
    let list = |instruction: &str| {
        let line = image.iter().find(|line| line.starts_with(instruction)).expect(instruction);
        words_of(&line[line.find('[').expect("the form without a shell")..])
    };
    let served = [list("ENTRYPOINT"), list("CMD")].concat();
    is_understood(&served.iter().map(String::as_str).collect::<Vec<_>>());
    is_understood(&list("HEALTHCHECK").iter().map(String::as_str).collect::<Vec<_>>());
    let railway: Value = serde_json::from_str(&read("railway.json")).unwrap();
    for command in [&railway["deploy"]["startCommand"], &railway["deploy"]["preDeployCommand"][0]] {
        is_understood(&command.as_str().expect("a command").split(' ').collect::<Vec<_>>());
    }
}

/// Commands in README's shell blocks, without what a shell takes from them.
#[test]
fn every_command_in_readme_is_understood() {
    let text = read("README.md").replace("\\\n", " ");
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut seen = 0;
    for line in blocks.flat_map(str::lines) {
        let line = line.split(" #").next().unwrap().split(" | ").next().unwrap().split(" > ").next().unwrap();
        let Some(start) = line.find("trackside ") else { continue };
        let is_set_before = line[..start].split_whitespace().all(|word| word.contains('='));
        if !is_set_before && !line[..start].ends_with("exec worker ") {
            continue;
        }
        is_understood(&line[start..].split_whitespace().collect::<Vec<_>>());
        seen += 1;
    }
    assert!(seen >= 10, "only {seen} were found");
}

#[test]
fn what_the_image_is_built_from_is_there_and_reaches_the_builder() {
    let ignored = read(".dockerignore");
    let let_through: Vec<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(ignored.lines().any(|line| line == "*"), "what is not named does not reach it");
    assert!(let_through.iter().all(|name| is_there(name)), "{let_through:?}");
    let instructions = instructions();
    let copied: Vec<&str> = instructions
        .iter()
        .filter_map(|line| line.strip_prefix("COPY ").filter(|rest| !rest.starts_with("--from")))
        .flat_map(|rest| rest.split_whitespace().rev().skip(1))
        .collect();
    for name in &copied {
        assert!(is_there(name), "{name} is copied");
        let reaches = |open: &&str| *open == *name || name.starts_with(&format!("{open}/"));
        assert!(let_through.iter().any(reaches), "{name} does not reach the builder");
    }
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    for member in manifest["workspace"]["members"].as_array().unwrap() {
        let name = Path::new(member.as_str().unwrap()).join("Cargo.toml");
        let name = name.strip_prefix(".").unwrap_or(&name).to_str().unwrap();
        assert!(copied.contains(&name), "cargo reads {name} too");
    }
    assert!(!instructions.iter().any(|line| line.starts_with("VOLUME")), "Railway refuses it");
}

#[test]
fn every_engine_asks_routes_that_exist_and_waits_for_the_shutdown() {
    let railway: Value = serde_json::from_str(&read("railway.json")).unwrap();
    assert_eq!(railway["build"]["builder"], "DOCKERFILE");
    assert!(is_there(railway["build"]["dockerfilePath"].as_str().unwrap()));
    let specification = trackside::http::specification();
    let path = railway["deploy"]["healthcheckPath"].as_str().unwrap();
    assert!(specification["paths"][path]["get"].is_object(), "{path}");
    let shutdown = SETTINGS.iter().find(|setting| setting.name == "TRACKSIDE_SHUTDOWN_SECONDS").unwrap();
    let seconds: i64 = shutdown.default.parse().unwrap();
    assert!(railway["deploy"]["drainingSeconds"].as_i64().unwrap() > seconds);
    let compose = read("compose.yaml");
    let graces = compose.lines().filter_map(|line| line.trim().strip_prefix("stop_grace_period: "));
    for grace in graces.filter_map(|grace| grace.strip_suffix('s')?.parse::<i64>().ok()) {
        assert!(grace > seconds);
    }
}

#[test]
fn readme_has_every_role_that_an_administrator_may_have_to_make() {
    let readme = read("README.md");
    let (_, granted) = readme.split_once("GRANT trackside_app, ").expect("a statement");
    let granted = granted.split(" TO trackside;").next().unwrap();
    for role in Door::ALL.map(Door::role) {
        assert!(readme.contains(&format!("CREATE ROLE {role} NOLOGIN;")) && granted.contains(role), "{role}");
    }
}

#[test]
fn no_secret_has_a_default() {
    let compose = read("compose.yaml");
    for used in compose.split("${").skip(1).map(|rest| rest.split('}').next().unwrap()) {
        let is_secret = used.contains("PASSWORD") || used.contains("MASTER_KEY");
        assert!(!is_secret || used.contains(":?"), "{used}");
    }
    assert!(compose.contains("${POSTGRES_PASSWORD:?") && compose.contains("${TRACKSIDE_MASTER_KEY:?"));
}
