//! What the compiler cannot check about the house.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn everything() -> Vec<(String, String)> {
    ["src", "entity/src", "migration/src", "tests/it", "tests/scratch/src", "bench/src"]
        .into_iter()
        .flat_map(sources)
        .collect()
}

const SLICES: [&str; 14] = [
    "accounts",
    "agents",
    "artifacts",
    "audit",
    "conflicts",
    "demo",
    "events",
    "gates",
    "idempotency",
    "limits",
    "projects",
    "runs",
    "security",
    "webhooks",
];

/// Modules that must not know any slice.
const SPINE: [&str; 10] = [
    "body.rs",
    "clock.rs",
    "error.rs",
    "installation.rs",
    "logs.rs",
    "metrics.rs",
    "redis.rs",
    "server.rs",
    "vault.rs",
    "wire.rs",
];

#[test]
fn no_file_is_longer_than_500_lines_and_each_begins_with_its_story() {
    for (name, text) in everything() {
        assert!(text.lines().count() <= 500, "{name} has {} lines", text.lines().count());
        assert!(text.starts_with("//!"), "{name} does not begin with a doc comment");
    }
}

#[test]
fn the_spine_imports_no_slice() {
    for (name, text) in sources("src") {
        let file = name.trim_start_matches("src/");
        let is_spine = SPINE.contains(&file)
            || ["config/", "database/", "fetch/", "jobs/"].iter().any(|folder| file.starts_with(folder));
        for slice in SLICES.iter().filter(|_| is_spine) {
            let code = text.split("#[cfg(test)]").next().unwrap();
            let imports = [format!("crate::{slice}::"), format!("    {slice}::"), format!("    {slice},")];
            assert!(!imports.iter().any(|import| code.contains(import)), "{name} imports {slice}");
        }
    }
}

#[test]
fn entities_are_known_only_to_stores_and_the_spine() {
    let may = [
        "src/jobs/mod.rs",
        "src/jobs/work.rs",
        "src/installation.rs",
        "src/database/bulk.rs",
        "src/database/copy.rs",
        "src/database/tx.rs",
    ];
    for (name, text) in sources("src") {
        let knows = text.contains("use entity::") || text.contains("entity::");
        if knows && text.contains("use entity") {
            assert!(
                name.ends_with("/store.rs") || name.contains("/store/") || may.contains(&name.as_str()),
                "{name} uses entities"
            );
        }
    }
    for (name, text) in sources("migration/src") {
        assert!(!text.contains("use entity"), "{name} uses entities");
    }
}

#[test]
fn a_slices_queries_begin_with_the_tenant() {
    for (name, text) in sources("src").into_iter().filter(|(name, _)| name.ends_with("/store.rs")) {
        let mut door = false;
        for (number, line) in text.lines().enumerate() {
            // A signature may go over several lines; what it takes holds until the next one.
            if line.contains("fn ") {
                door = false;
            }
            door |= line.contains(": &DoorTx");
            let free = line.contains("Entity::find")
                || line.contains("Entity::update")
                || line.contains("Entity::delete");
            let itself =
                name == "src/accounts/store.rs" && line.contains("tenant::Entity::find_by_id(tx.tenant().0)");
            assert!(
                door || !free || itself,
                "{name}:{}: begin with tx.find, tx.update or tx.delete",
                number + 1
            );
        }
    }
}

#[test]
fn every_route_says_who_may_call_it_unless_it_is_open_on_purpose() {
    for (name, text) in sources("src") {
        for route in text.split("operation_id = \"").skip(1) {
            let id = route.split('"').next().unwrap();
            let signature = route.split(") -> ").next().unwrap();
            let asks = signature.contains(": Caller<") || signature.contains(": StreamCaller");
            assert_eq!(asks, !crate::access::OPEN.contains(&id), "{name}: {id}");
        }
    }
}

#[test]
fn sql_of_one_engine_stays_in_the_database_folder() {
    for (name, text) in sources("src").into_iter().filter(|(name, _)| !name.starts_with("src/database/")) {
        for word in ["PRAGMA", "execute_unprepared", "from_string(", "RETURNING", "Statement::"] {
            assert!(!text.contains(word), "{name} has {word}");
        }
    }
}

#[test]
fn the_client_library_of_redis_is_known_to_one_file() {
    for (name, text) in sources("src").into_iter().filter(|(name, _)| name != "src/redis.rs") {
        assert!(!text.contains("fred::"), "{name} knows fred");
    }
}

#[test]
fn nothing_is_left_unfinished_or_silenced() {
    let marks = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("FIX", "ME"),
        concat!("#[", "ignore"),
        concat!("allow(", "unsafe"),
    ];
    for (name, text) in everything() {
        for mark in marks {
            assert!(!text.contains(mark), "{name} has {mark}");
        }
    }
}
