//! The command line, as a person and as a script use it.

use scratch::Scratch;
use serde_json::Value;
use tempfile::TempDir;
use trackside::samples::sign;

use crate::support::{
    process::{Process, free_port, output, refused, run, trackside},
    text,
};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn the_commands_work_beside_a_running_service() {
    let folder = Scratch::new();
    let process = Process::serve(folder.path(), free_port(), &[], &[]).await;
    let at = folder.path();
    let port = process.port.to_string();
    let key = output(at, &["key", "create", "--name", "me", "--role", "owner"]);
    assert!(key.starts_with("tsk_") && key.len() == 37, "the key alone: {key}");
    let made = [
        "--json",
        "--port",
        &port,
        "project",
        "create",
        "--name",
        "Rocket",
        "--repo-url",
        "https://github.com/a/b",
    ];
    let project = json(&output(at, &made));
    let id = text(&project["id"]);
    let client = process.client(Some(&key));
    assert_eq!(client.get(&format!("/api/v1/projects/{id}")).await.expect(200).json["name"], "Rocket");
    let body = b"{}".to_vec();
    let signature = sign(&text(&project["webhookSecret"]), &body);
    let headers = [
        ("x-github-event", "ping"),
        ("x-github-delivery", "d-1"),
        ("x-hub-signature-256", signature.as_str()),
    ];
    let path = text(&project["webhookUrls"]["github"]).replace(&format!("http://127.0.0.1:{port}"), "");
    process.client(None).post_bytes(&path, &headers, body).await.expect(202);
    assert!(output(at, &["project", "list"]).contains(&id));
    assert!(output(at, &["key", "list"]).contains(&key[..16]));
    let rotated = output(at, &["key", "rotate", &key[..16], "--overlap-seconds", "600"]);
    assert!(rotated.starts_with("tsk_") && rotated != key, "the new key alone: {rotated}");
    let successor = process.client(Some(&rotated));
    successor.get("/api/v1/projects").await.expect(200);
    output(at, &["key", "revoke", &key[..16]]);
    crate::support::eventually("the key is refused", async || {
        client.get("/api/v1/projects").await.status == 401
    })
    .await;
    let doctor = json(&output(at, &["doctor", "--json", "--port", &port]));
    assert!(doctor.as_array().unwrap().iter().all(|finding| finding["state"] != "bad"), "{doctor:#}");
}

#[test]
fn tenants_are_named_where_there_are_several() {
    let folder = Scratch::new();
    let at = folder.path();
    let a = output(at, &["tenant", "create", "--name", "A"]);
    let only = output(at, &["--json", "key", "create", "--name", "x", "--role", "VIEWER"]);
    assert_eq!(json(&only)["role"], "viewer");
    output(at, &["tenant", "create", "--name", "B"]);
    let twice = refused(at, &["tenant", "create", "--name", " A "]);
    assert!(twice.contains(&a), "names are how tenants are told apart: {twice}");
    let unclear = run(at, &["key", "create", "--name", "x", "--role", "viewer"]);
    assert_eq!(unclear.status.code(), Some(1));
    let words = String::from_utf8_lossy(&unclear.stderr).into_owned();
    assert!(words.contains(&format!("{a}  A")) && words.contains("  B"), "names with ids: {words}");
    output(at, &["key", "create", "--name", "x", "--role", "viewer", "--tenant", "B"]);
    output(at, &["key", "create", "--name", "x", "--role", "viewer", "--tenant", &a]);
    assert_eq!(json(&output(at, &["--json", "tenant", "list"])).as_array().unwrap().len(), 2);
    assert_eq!(
        run(at, &["key", "create", "--name", "x", "--role", "viewer", "--tenant", "C"]).status.code(),
        Some(1)
    );
    assert_eq!(run(at, &["key", "create", "--name", "x", "--role", "king"]).status.code(), Some(2));
}

/// Commands that work on an installation, and are not how one begins.
const LATER: [&[&str]; 19] = [
    &["tenant", "list"],
    &["project", "list"],
    &["key", "list"],
    &["key", "revoke", "tsk_000000000000"],
    &["principal", "list"],
    &["principal", "reset-password", "ada@example.org"],
    &["invitation", "list"],
    &["invitation", "create", "--role", "owner"],
    &["client", "list"],
    &["token", "rotate"],
    &["master-key", "rotate"],
    &["delivery", "list"],
    &["delivery", "rejected"],
    &["audit", "verify"],
    &["mcp", "--key", "tsk_0"],
    &["trigger", "github", "push"],
    &["key", "create", "--name", "x", "--principal", "01890000-0000-7000-8000-000000000000"],
    &["project", "create", "--name", "x", "--repo-url", "https://github.com/acme/x", "--tenant", "Acme"],
    &["migrate", "down", "--yes"],
];

#[test]
fn a_command_in_the_wrong_folder_says_where_it_looked_and_makes_nothing() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    for command in LATER {
        let words = refused(at, command);
        let place = at.canonicalize().unwrap().join("data/trackside.db").display().to_string();
        for told in
            ["no installation", &place, "--database-url", "DATABASE_URL", "--config", "trackside serve"]
        {
            assert!(words.contains(told), "{command:?} does not say {told}: {words}");
        }
        assert_eq!(std::fs::read_dir(at).unwrap().count(), 0, "{command:?} left something behind");
    }
    let words =
        refused(at, &["key", "list", "--database-url", "postgres://ada:hunter2@127.0.0.1:1/trackside"]);
    assert!(!words.contains("hunter2"), "{words}");
}

#[test]
fn a_command_on_a_database_that_no_service_has_used_makes_nothing_there() {
    let folder = Scratch::new();
    let at = folder.path();
    let applied = || {
        let steps = json(&output(at, &["--json", "migrate", "status"]));
        steps.as_array().unwrap().iter().filter(|step| step["applied"] == true).count()
    };
    output(at, &["migrate", "up"]);
    let all = applied();
    for command in LATER.iter().filter(|command| command[0] != "migrate") {
        let words = refused(at, command);
        assert!(words.contains("no service has begun to use them"), "{command:?}: {words}");
    }
    assert!(!at.join("master.key").exists());
    output(at, &["migrate", "down", "--yes", "--steps", &all.to_string()]);
    for command in LATER {
        let words = refused(at, command);
        assert!(words.contains("no tables of Trackside"), "{command:?}: {words}");
    }
    assert!(applied() == 0 && !at.join("master.key").exists());
    let key = output(at, &["key", "create", "--name", "me", "--role", "owner"]);
    assert!(key.starts_with("tsk_"), "a first key is how an installation may begin: {key}");
}

#[test]
fn the_schema_goes_up_down_and_up_again() {
    let folder = Scratch::new();
    let at = folder.path();
    let steps = |arguments: &[&str]| {
        let all = [&["--json", "migrate"], arguments].concat();
        let steps = json(&output(at, &all)).as_array().unwrap().clone();
        (steps.iter().filter(|step| step["applied"] == true).count(), steps.len())
    };
    let (_, all) = steps(&["status"]);
    assert_eq!(std::fs::read_dir(at).unwrap().count(), 1, "looking makes nothing beside the settings");
    assert_eq!(steps(&["up"]), (all, all));
    let unasked = run(at, &["migrate", "down"]);
    assert_eq!(unasked.status.code(), Some(1), "nobody is here to be asked");
    assert!(String::from_utf8_lossy(&unasked.stderr).contains("--yes"));
    assert_eq!(steps(&["status"]), (all, all));
    assert_eq!(steps(&["down", "--yes"]), (all - 1, all));
    assert_eq!(steps(&["up"]), (all, all));
    for count in 2..=all {
        assert_eq!(steps(&["down", "--yes", "--steps", &count.to_string()]), (all - count, all));
        assert_eq!(steps(&["up"]), (all, all));
    }
}

#[test]
fn first_starts_at_once_make_one_installation_and_one_tenant() {
    let folder = Scratch::new();
    let start = || trackside(folder.path()).args(["key", "create", "--name", "x", "--role", "owner"]).spawn();
    for child in [start(), start(), start(), start()] {
        assert!(child.unwrap().wait().unwrap().success());
    }
    assert_eq!(output(folder.path(), &["tenant", "list"]).lines().count(), 1);
}

#[test]
fn a_start_with_another_key_or_none_is_refused_and_says_what_to_do() {
    let folder = Scratch::new();
    let at = folder.path();
    output(at, &["tenant", "create", "--name", "A"]);
    let key = at.join("master.key");
    let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let refused = trackside(at).args(["tenant", "list"]).env("TRACKSIDE_MASTER_KEY", other).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not the master key"));
    std::fs::rename(&key, at.join("elsewhere")).unwrap();
    let refused = run(at, &["tenant", "list"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("put it back"));
    let doctor = run(at, &["doctor"]);
    assert_eq!(doctor.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("master key"));
    let found = trackside(at)
        .args(["tenant", "list"])
        .env("TRACKSIDE_MASTER_KEY_FILE", at.join("elsewhere"))
        .output();
    assert!(found.unwrap().status.success());
}

#[test]
fn what_a_first_start_makes_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    output(folder.path(), &["tenant", "create", "--name", "A"]);
    let data = folder.path().join("data");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for file in std::fs::read_dir(&data).unwrap() {
        let path = file.unwrap().path();
        assert!(mode(&path) == 0o600, "{} has mode {:o}", path.display(), mode(&path));
    }
}

#[test]
fn bad_settings_are_told_all_at_once() {
    let folder = TempDir::new().unwrap();
    let refused = trackside(folder.path()).env("PORT", "eighty").env("LOG_FORMAT", "xml").output().unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    assert!(words.contains("PORT") && words.contains("LOG_FORMAT"), "{words}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let folder = TempDir::new().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = run(folder.path(), &["serve", "--port", &port]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--port"));
}

#[test]
fn doctor_on_an_empty_folder_finds_nothing_bad_and_changes_nothing() {
    let folder = TempDir::new().unwrap();
    output(folder.path(), &["doctor", "--port", &free_port().to_string()]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_demo_tells_its_story() {
    let folder = TempDir::new().unwrap();
    let port = free_port().to_string();
    // Other hosts take some of the turns; two rounds are one of GitHub's at least.
    let rounds = (2 * trackside::samples::Story::ROUND).to_string();
    let told =
        output(folder.path(), &["demo", "--port", &port, "--interval-ms", "1", "--deliveries", &rounds]);
    for word in [
        "curl -N",
        "/artifacts",
        "/runs",
        "/deliveries",
        "202 accepted",
        "artifact_updated",
        "run_started",
        "run_finished",
        "pull_request_changed",
        "release_published",
    ] {
        assert!(told.contains(word), "{word} is missing:\n{told}");
    }
    assert!(!told.contains('\x1b'), "no colour where nobody looks");
}

#[test]
fn the_demo_goes_on_with_what_it_kept_and_speaks_json() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let port = free_port().to_string();
    let demo =
        ["--json", "demo", "--port", &port, "--interval-ms", "1", "--deliveries", "4", "--keep", "kept"];
    for _ in 0..2 {
        let told = output(at, &demo);
        let lines: Vec<Value> = told.lines().map(json).collect();
        let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).count();
        assert_eq!((of("started"), of("delivery")), (1, 4));
        let received = lines.iter().filter(|line| line["event"]["event"] == "delivery_received");
        assert_eq!(received.count(), 4);
    }
    let kept = ["--json", "--database-url", "sqlite://kept/demo.db"];
    assert_eq!(json(&output(at, &[&kept[..], &["tenant", "list"]].concat())).as_array().unwrap().len(), 1);
    let projects = json(&output(at, &[&kept[..], &["project", "list"]].concat()));
    let rockets = projects.as_array().unwrap().iter().filter(|project| project["name"] == "Rocket");
    assert_eq!(rockets.count(), 1);
}

#[test]
fn what_is_wrong_is_told_in_the_words_of_the_command_line() {
    let folder = TempDir::new().unwrap();
    let refused = |arguments: &[&str], code| {
        let refused = run(folder.path(), arguments);
        assert_eq!(refused.status.code(), Some(code), "{arguments:?}");
        String::from_utf8_lossy(&refused.stderr).into_owned()
    };
    let words = refused(&["project", "create", "--name", "x", "--repo-url", "rocket"], 1);
    assert!(words.contains("--repo-url: ") && !words.contains("/repoUrl"), "{words}");
    let key = ["key", "create", "--name", "x", "--role", "viewer"];
    let nowhere = "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c";
    let words = refused(&[&key[..], &["--projects", nowhere]].concat(), 1);
    assert!(words.contains("--projects: there is no project"), "{words}");
    let words = refused(&["principal", "deactivate", nowhere], 1);
    assert!(words.ends_with("there is no such principal\n"), "nobody came with a credential: {words}");
    let words = refused(&["principal", "reset-password", "ada"], 2);
    assert!(words.contains("<ADDRESS>") && words.contains("name@example.org"), "{words}");
    let words = refused(&["health", "--port", &free_port().to_string()], 1);
    assert!(words.contains("--port") && !words.contains("--url"), "{words}");
    let words = refused(&[&key[..], &["--expires-at", "soon"]].concat(), 2);
    assert!(words.contains("2030-01-31T18:00:00Z"), "{words}");
    let words = refused(&[&key[..], &["--projects", "rocket"]].concat(), 2);
    assert!(words.contains("trackside project list"), "{words}");
}

#[test]
fn settings_that_would_not_do_what_was_meant_are_told() {
    let folder = TempDir::new().unwrap();
    let told = trackside(folder.path())
        .args(["tenant", "create", "--name", "A"])
        .env("TRACKSIDE_PUBLIC_ULR", "https://x")
        .env("HOST", "localhost")
        .output()
        .unwrap();
    assert!(told.status.success(), "localhost is a host: {}", String::from_utf8_lossy(&told.stderr));
    assert!(String::from_utf8_lossy(&told.stderr).contains("did you mean TRACKSIDE_PUBLIC_URL?"));
    let everywhere = ["doctor", "--host", "0.0.0.0", "--port", &free_port().to_string()];
    assert!(output(folder.path(), &everywhere).contains("TRACKSIDE_PUBLIC_URL is not set"));
    let help = output(folder.path(), &["key", "create", "--help"]);
    let (own, settings) = help.split_once("Settings:").expect("a heading of their own");
    assert!(own.contains("--role") && !own.contains("--database-url") && settings.contains("--database-url"));
}

#[test]
fn openapi_and_completions_need_no_settings() {
    let folder = TempDir::new().unwrap();
    assert_eq!(json(&output(folder.path(), &["openapi"]))["info"]["title"], "Trackside");
    assert!(output(folder.path(), &["completions", "bash"]).contains("trackside"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn logs_are_json_where_that_is_set_and_hold_no_secret() {
    let folder = TempDir::new().unwrap();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let port = free_port();
    let mut child = trackside(folder.path())
        .args(["serve", "--port", &port.to_string()])
        .env("LOG_FORMAT", "json")
        .env("RUST_LOG", "trace")
        .stderr(log)
        .spawn()
        .unwrap();
    let client = crate::support::Client::new(format!("http://127.0.0.1:{port}"), None);
    let ready = async || client.request(reqwest::Method::GET, "/health/ready").send().await.is_ok();
    crate::support::eventually("it is ready", ready).await;
    let key = output(folder.path(), &["key", "create", "--name", "me", "--role", "owner"]);
    let owner = crate::support::Client::new(format!("http://127.0.0.1:{port}"), Some(key.clone()));
    let made = owner
        .post("/api/v1/projects", serde_json::json!({"name": "x", "repoUrl": "https://github.com/a/b"}))
        .await;
    let secret = text(&made.expect(201).json["webhookSecret"]);
    crate::support::process::signal(child.id(), "TERM");
    child.wait().unwrap();
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "every line is JSON");
    let master = std::fs::read_to_string(folder.path().join("data/master.key")).unwrap();
    for hidden in [key.as_str(), secret.as_str(), master.trim()] {
        assert!(!log.contains(hidden));
    }
}
