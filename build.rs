//! Builds the dashboard's page when Node.js is there, so that the binary can carry it.
//!
//! It runs again only when one of the page's sources changed. Without Node.js, or when npm cannot do it, the binary is
//! built all the same, and says how to get the page. `TRACKSIDE_BUILD_WEB=false` leaves `web/dist` as it is, with what
//! somebody else built there; `TRACKSIDE_BUILD_WEB=true` makes it an error when the page cannot be built.

#![allow(clippy::print_stdout)] // it is how a build script speaks to cargo

use std::{env, fs, io, path::Path, process::Command};

/// What the page is made of. Nothing here is written by a build: that would start the next one.
const SOURCES: [&str; 8] = [
    "web/.npmrc",
    "web/index.html",
    "web/package-lock.json",
    "web/package.json",
    "web/src",
    "web/tsconfig.json",
    "web/vite.config.ts",
    "openapi/openapi.json",
];
const DIST: &str = "web/dist";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=TRACKSIDE_BUILD_WEB");
    println!("cargo::rerun-if-changed=build.rs");
    // What embeds the page asks for its folder, empty or not.
    fs::create_dir_all(DIST)?;
    let wanted = env::var("TRACKSIDE_BUILD_WEB").ok();
    let is_here = SOURCES.iter().all(|source| Path::new(source).exists());
    if wanted.as_deref() == Some("false") || !is_here {
        println!("cargo::rerun-if-changed={DIST}");
        return Ok(());
    }
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    if let Err(why) = build_page() {
        if wanted.as_deref() == Some("true") {
            return Err(io::Error::other(why));
        }
        // An older page would speak to an API that has moved on.
        fs::remove_dir_all(DIST)?;
        fs::create_dir_all(DIST)?;
        println!("cargo::warning=the dashboard's page is not in this build: {why}");
    }
    Ok(())
}

fn build_page() -> Result<(), String> {
    if Command::new("node").arg("--version").output().is_err() {
        return Err("it needs Node.js 20.19 or newer".to_owned());
    }
    if !is_installed() {
        npm(&["ci", "--no-audit", "--no-fund"])?;
    }
    npm(&["run", "build"])
}

/// Whether the packages are those of the lockfile: npm leaves a copy of it among them.
fn is_installed() -> bool {
    let changed = |path: &str| fs::metadata(path).and_then(|file| file.modified());
    match (changed("web/node_modules/.package-lock.json"), changed("web/package-lock.json")) {
        (Ok(installed), Ok(locked)) => installed >= locked,
        _ => false,
    }
}

fn npm(words: &[&str]) -> Result<(), String> {
    let told = words.join(" ");
    let done = Command::new("npm").args(words).current_dir("web").output();
    let done = done.map_err(|error| format!("npm {told} did not start: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    let lines: Vec<&str> = out.lines().chain(err.lines()).filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(6)..].join("; ");
    Err(format!("npm {told} failed: {last}"))
}
