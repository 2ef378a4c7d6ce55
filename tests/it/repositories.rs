//! Repositories and hosts at their worst: what they do to nobody, and what they are kept from.

use std::{fs, os::unix::fs::symlink, time::Duration};

use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{
    Project, Server, eventually,
    git_host::{GitHost, Mood, basic},
    repository::{Origin, READS_FILES},
    text,
};

const PRD: &str = "---\nversion: 1.0\n---\n# Rocket\n";

/// A server that may ask a host, and the host's repository.
async fn hosted() -> (Server, Origin, GitHost) {
    let origin = Origin::with(&[("docs/prd.md", PRD), ("docs/stories/1.1.md", "# One")]);
    let host = GitHost::of(&origin).await;
    let settings = [
        ("TRACKSIDE_SCANS", "true"),
        ("TRACKSIDE_GIT_ALLOW", &*host.allowed()),
        ("TRACKSIDE_GIT_SECONDS", "3"),
    ];
    (Server::start_with(&settings).await, origin, host)
}

/// Why the newest scan failed.
fn failure(scan: &Value) -> (&str, &str) {
    (
        scan["failure"]["code"].as_str().unwrap_or_default(),
        scan["failure"]["detail"].as_str().unwrap_or_default(),
    )
}

async fn events(project: &Project, name: &str) -> usize {
    project.all("/events").await.iter().filter(|event| event["event"] == name).count()
}

#[tokio::test]
async fn a_repository_is_read_over_http_and_only_what_is_tracked_of_it() {
    let (server, origin, host) = hosted().await;
    origin.write("video.bin", vec![7; 20 << 20]);
    origin.commit_all("A large thing that nobody reads");
    let project = server.tenant("Acme").await.project_at(&host.url()).await;
    assert_eq!(project.scanned().await["state"], "succeeded");
    assert_eq!(project.artifact("docs/prd.md").await["version"], "1.0");
    origin.commit("More", &[("docs/prd.md", &PRD.replace("1.0", "1.1"))]);
    project.pushed(&origin).await;
    assert_eq!(project.artifact("docs/prd.md").await["version"], "1.1");
    let cache = server.place.path().join("git").join(format!("{}.git", project.id));
    assert!(weigh(&cache) < 1 << 20, "what nobody reads was not fetched");
}

fn weigh(folder: &std::path::Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(
            |entry| {
                if entry.path().is_dir() { weigh(&entry.path()) } else { entry.metadata().unwrap().len() }
            },
        )
        .sum()
}

#[tokio::test]
async fn a_repository_that_fails_leaves_everything_as_it_was_and_says_why() {
    let (server, origin, host) = hosted().await;
    let project = server.tenant("Acme").await.project_at(&host.url()).await;
    let read = project.scanned().await;
    let before = project.artifacts().await;
    origin.commit("Change", &[("docs/prd.md", "# Changed")]);
    let moods = [
        (Mood::Status(404), "not_found", "repoUrl"),
        (Mood::Status(401), "unauthorized", "token"),
        (Mood::ClosedInside, "unauthorized", "token"),
        (Mood::Status(503), "unreachable", "busy"),
        (Mood::Silent, "timed_out", "TRACKSIDE_GIT_SECONDS"),
        (Mood::Babble, "no_branch", "repoUrl"),
        (Mood::Half, "broken", "broke off"),
    ];
    for (mood, code, words) in moods {
        host.is(mood.clone());
        let scan = project.scan_now().await;
        let (failed, detail) = failure(&scan);
        assert!(failed == code && detail.contains(words), "{mood:?}: {failed}: {detail}");
        assert_eq!((&scan["state"], &scan["commit"]), (&json!("failed"), &read["commit"]));
        assert_eq!(scan["succeededAt"], read["succeededAt"]);
        assert_eq!(project.artifacts().await, before, "{mood:?}");
    }
    host.is(Mood::Well);
    let scan = project.scan_now().await;
    assert_eq!((&scan["state"], &scan["failure"]), (&json!("succeeded"), &Value::Null));
    assert_eq!(project.artifact("docs/prd.md").await["title"], "Changed");
}

#[tokio::test]
async fn one_that_cannot_be_reached_is_tried_ever_more_seldom_and_told_of_once() {
    let server = Server::start_with(&[("TRACKSIDE_SCANS", "true")]).await;
    let project = server.tenant("Acme").await.project_at("https://repository.invalid/acme/rocket").await;
    let scan = project.scanned().await;
    assert_eq!(failure(&scan).0, "unreachable");
    let mut waits = Vec::new();
    for _ in 0..8 {
        let before = text(&project.scan().await["startedAt"]);
        let mut waited = 0;
        while text(&project.scanned().await["startedAt"]) == before {
            waited += 30;
            server.advance(30);
            eventually("it is tried, or not due", async || {
                let scan = project.scan().await;
                scan["state"] == "failed" && !is_due(&server, &project).await
            })
            .await;
        }
        waits.push(waited / 60);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(events(&project, "artifact_scan_failed").await, 1);
    // Whoever asks is told every time.
    project.scan_now().await;
    assert_eq!(events(&project, "artifact_scan_failed").await, 2);
    assert_eq!(server.stranger().get("/health/ready").await.status, 200);
}

/// Whether the project's job waits to be claimed now.
async fn is_due(server: &Server, project: &Project) -> bool {
    use sea_orm::{ConnectionTrait as _, Statement};
    let database = server.database().await;
    let sql = "SELECT run_at FROM job WHERE kind = 'scan_repository'";
    let row =
        database.query_one_raw(Statement::from_string(database.get_database_backend(), sql)).await.unwrap();
    let run_at: chrono::DateTime<chrono::Utc> = row.unwrap().try_get_by_index(0).unwrap();
    let _ = project;
    run_at <= server.clock.now()
}

#[tokio::test]
async fn what_was_missed_while_nobody_looked_is_read_within_the_hour_or_at_the_start() {
    let server = Server::start_with(&READS_FILES).await;
    let origin = Origin::with(&[("docs/prd.md", PRD)]);
    let project = server.project_of(&origin).await;
    origin.commit("Nobody tells", &[("docs/prd.md", &PRD.replace("1.0", "1.1"))]);
    server.advance(3601);
    eventually("the hour's scan", async || project.artifact("docs/prd.md").await["version"] == "1.1").await;
    project.scanned().await;
    let told = project.all("/events").await.len();
    let before = project.scan().await["startedAt"].clone();
    server.advance(3601);
    eventually("another hour's scan", async || project.scanned().await["startedAt"] != before).await;
    assert_eq!(project.all("/events").await.len(), told, "nothing changed, and nothing is told");

    origin.commit("While it is down", &[("docs/prd.md", &PRD.replace("1.0", "1.2"))]);
    let clock = server.clock.clone();
    server.service.stop().await;
    clock.advance(chrono::TimeDelta::hours(2));
    let server = Server::start_in(server.place, clock, &READS_FILES).await;
    let project = server.again(&project);
    eventually("the start's scan", async || project.artifact("docs/prd.md").await["version"] == "1.2").await;
}

#[tokio::test]
async fn a_private_repository_is_read_with_a_token_that_nobody_else_gets() {
    let (server, _origin, host) = hosted().await;
    host.is(Mood::Private("t0ken-of-the-team".to_owned()));
    let project = server.tenant("Acme").await.project_at(&host.url()).await;
    assert_eq!(failure(&project.scanned().await).0, "unauthorized");
    let token = project.path("/provider-token");
    project.client.put(&token, json!({"token": " "})).await.expect(400);
    project.client.put(&token, json!({"token": "t0ken-of-the-team"})).await.expect(204);
    assert_eq!(project.scanned().await["state"], "succeeded");
    assert!(host.asked().iter().any(|(_, shown)| *shown == Some(basic("t0ken-of-the-team"))));

    // A host that sends git elsewhere does not have it send the token there.
    let elsewhere = GitHost::of(&Origin::with(&[("docs/prd.md", PRD)])).await;
    elsewhere.is(Mood::Private("other".to_owned()));
    host.is(Mood::Redirect(elsewhere.url()));
    project.scan_now().await;
    assert!(elsewhere.asked().iter().all(|(_, shown)| shown.is_none()), "{:?}", elsewhere.asked());

    // Nor does a project that moves to another host take it along.
    host.is(Mood::Well);
    project.client.patch(&project.path(""), json!({"repoUrl": elsewhere.url()})).await.expect(200);
    project.scanned().await;
    assert!(elsewhere.asked().iter().all(|(_, shown)| shown.is_none()), "{:?}", elsewhere.asked());
    project.client.delete(&token).await.expect(404);
}

#[tokio::test]
async fn no_address_and_no_redirect_leads_inside() {
    let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = trap.local_addr().unwrap().port();
    let origin = Origin::with(&[("docs/prd.md", PRD)]);
    let host = GitHost::of(&origin).await;
    let settings = [("TRACKSIDE_SCANS", "true"), ("TRACKSIDE_GIT_ALLOW", &*host.allowed())];
    let server = Server::start_with(&settings).await;
    let tenant = server.tenant("Acme").await;
    for name in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "[64:ff9b::7f00:1]",
    ] {
        let project = tenant.project_at(&format!("https://{name}:{port}/rocket")).await;
        let scan = project.scanned().await;
        let (code, detail) = failure(&scan);
        assert!(code == "not_allowed" && detail.contains("TRACKSIDE_GIT_ALLOW"), "{name}: {code}: {detail}");
    }
    let project = tenant.project_at(&host.url()).await;
    project.scanned().await;
    for to in [
        format!("http://127.0.0.1:{port}/rocket"),
        format!("https://localhost:{port}/x"),
        "file:///etc".to_owned(),
    ] {
        host.is(Mood::Redirect(to.clone()));
        let scan = project.scan_now().await;
        assert_eq!(scan["state"], "failed", "{to}");
    }
    let nobody = tokio::time::timeout(Duration::from_millis(100), trap.accept()).await;
    assert!(nobody.is_err(), "somebody was led inside");
}

#[tokio::test]
async fn a_redirect_that_leads_to_where_one_may_go_is_followed() {
    let (server, origin, host) = hosted().await;
    let moved = GitHost::of(&origin).await;
    let settings = [
        ("TRACKSIDE_SCANS", "true"),
        ("TRACKSIDE_GIT_ALLOW", &*format!("{},{}", host.allowed(), moved.allowed())),
    ];
    let server = server.another(&settings).await;
    host.is(Mood::Redirect(moved.url()));
    let project = server.tenant("Acme").await.project_at(&host.url()).await;
    eventually("it is read where it is now", async || project.scan_now().await["state"] == "succeeded").await;
}

#[tokio::test]
async fn nothing_outside_the_repository_is_read() {
    let server = Server::start_with(&READS_FILES).await;
    let origin = Origin::with(&[("docs/prd.md", PRD)]);
    let secret = origin.path().with_extension("secret");
    fs::write(&secret, "# The secret\n").unwrap();
    fs::create_dir_all(origin.path().join("docs/stories")).unwrap();
    symlink(&secret, origin.path().join("docs/stories/link.md")).unwrap();
    symlink("/etc", origin.path().join("docs/architecture")).unwrap();
    let inner = Origin::with(&[("1.1.md", "# Of another repository")]);
    origin.git(&["submodule", "--quiet", "add", &inner.url(), "docs/stories/inner"]);
    origin.commit_all("Links and modules");
    let project = server.project_of(&origin).await;
    let paths: Vec<_> = project.artifacts().await.iter().map(|artifact| text(&artifact["path"])).collect();
    assert_eq!(paths, ["docs/prd.md"]);
    fs::remove_file(secret).unwrap();

    for repo_url in ["file:///", "file:///etc", "file:///nowhere/at/all", "file://%2e%2e/x"] {
        let project = server.tenant("Acme").await.project_at(repo_url).await;
        assert_eq!(project.scanned().await["state"], "failed", "{repo_url}");
    }
}

#[tokio::test]
async fn names_that_are_not_text_or_look_like_options_are_names() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    let server = Server::start_with(&READS_FILES).await;
    let origin = Origin::with(&[("docs/prd.md", PRD)]);
    let stories = origin.path().join("docs/stories");
    fs::create_dir_all(&stories).unwrap();
    for name in [
        &b"caf\xe9.md"[..],
        b"--upload-pack=x.md",
        b"a\nb.md",
        b"\xf0\x9f\x9a\x80.md",
        b"quo\"te.md",
        b"caf\\351.md",
    ] {
        fs::write(stories.join(OsStr::from_bytes(name)), format!("# {}\n", name.len())).unwrap();
    }
    origin.commit_all("Strange names");
    let project = server.project_of(&origin).await;
    let mut paths: Vec<_> =
        project.artifacts().await.iter().map(|artifact| text(&artifact["path"])).collect();
    paths.sort();
    let names: Vec<_> = paths.iter().filter_map(|path| path.strip_prefix("docs/stories/")).collect();
    assert_eq!(
        names,
        ["--upload-pack=x.md", "a\nb.md", "caf\\351.md", "quo\"te.md", "🚀.md"],
        "two names look the same: one of them counts"
    );
}

#[tokio::test]
async fn a_repository_without_the_branch_or_any_commit_says_so() {
    let server = Server::start_with(&READS_FILES).await;
    let empty = Origin::new();
    let project = server.tenant("Acme").await.project_at(&empty.url()).await;
    assert_eq!(failure(&project.scanned().await).0, "no_branch");
    empty.commit("At last", &[("docs/prd.md", PRD)]);
    project.client.patch(&project.path(""), json!({"config": {"branch": "nowhere"}})).await.expect(200);
    let scan = project.scanned().await;
    assert_eq!(failure(&scan).0, "no_branch");
    project.client.patch(&project.path(""), json!({"config": {}})).await.expect(200);
    assert_eq!(project.scanned().await["state"], "succeeded");
}

#[tokio::test]
async fn a_repository_larger_than_it_may_be_is_given_up() {
    let origin = Origin::with(&[("docs/prd.md", PRD)]);
    let mut state = 1_u64;
    let mut chance = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let noise: Vec<u8> = (0..4 << 20).map(|_| chance()).collect(); // which no compression makes smaller
    origin.write("docs/prd-noise.md", noise);
    origin.commit_all("Noise");
    let host = GitHost::of(&origin).await;
    let allowed = host.allowed();
    let settings = [READS_FILES[0], ("TRACKSIDE_GIT_ALLOW", &*allowed), ("TRACKSIDE_GIT_MAX_MB", "1")];
    let server = Server::start_with(&settings).await;
    let project = server.tenant("Acme").await.project_at(&host.url()).await;
    let scan = project.scanned().await;
    assert_eq!(failure(&scan).0, "too_large", "{scan}");
    let cache = server.place.path().join("git").join(format!("{}.git", project.id));
    assert!(weigh(&cache) < 1 << 20, "and nothing of it is kept");
}

#[tokio::test]
async fn where_repositories_are_read_no_more_pushes_tell_of_documents_again() {
    let server = Server::start_with(&READS_FILES).await;
    let origin = Origin::with(&[("docs/prd.md", PRD)]);
    let project = server.project_of(&origin).await;
    server.service.stop().await;
    let server = Server::start_in(server.place, server.clock, &[]).await;
    let project = server.again(&project);
    assert_eq!(project.scan().await["state"], "off");
    let before = events(&project, "artifact_updated").await;
    let commits = json!([{"id": "c0ffee", "modified": ["docs/prd.md"]}]);
    let push = json!({"ref": "refs/heads/main", "after": "c0ffee", "repository": {"default_branch": "main"}, "commits": commits});
    project.deliver_bytes("d-1", "push", push.to_string().into_bytes()).await.expect(202);
    project.settled().await;
    assert_eq!(events(&project, "artifact_updated").await, before + 1);
}

#[tokio::test]
async fn a_cache_that_is_broken_is_made_anew() {
    let server = Server::start_with(&READS_FILES).await;
    let origin = Origin::with(&[("docs/prd.md", PRD)]);
    let project = server.project_of(&origin).await;
    let cache = server.place.path().join("git").join(format!("{}.git", project.id));
    fs::remove_dir_all(cache.join("objects")).unwrap();
    fs::write(cache.join("HEAD"), "nonsense").unwrap();
    origin.commit("On", &[("docs/prd.md", &PRD.replace("1.0", "2.0"))]);
    project.pushed(&origin).await;
    assert_eq!(project.artifact("docs/prd.md").await["version"], "2.0", "{}", project.scan().await);
}

#[tokio::test]
async fn deliveries_wait_for_no_repository() {
    let (server, origin, host) = hosted().await;
    host.is(Mood::Silent);
    let tenant = server.tenant("Acme").await;
    let mut projects = Vec::new();
    for _ in 0..8 {
        projects.push(tenant.project_at(&host.url()).await);
    }
    eventually("some wait for the host", async || host.asked().len() >= 4).await;
    let asked = host.asked().len();
    projects[7].deliver_bytes("d-1", "ping", b"{}".to_vec()).await.expect(202);
    projects[7].settled().await;
    assert!(host.asked().len() <= asked + 4, "no more than a few are asked at once");
    drop(origin);
}

#[tokio::test]
async fn a_scan_that_somebody_else_has_taken_over_meanwhile_writes_nothing() {
    let (server, _origin, host) = hosted().await;
    host.is(Mood::Thoughtful);
    let project = server.tenant("Acme").await.project_at(&host.url()).await;
    eventually("the host is asked", async || !host.asked().is_empty()).await;
    let database = server.database().await;
    database
        .execute_unprepared("UPDATE job SET fence = fence + 1 WHERE kind = 'scan_repository'")
        .await
        .unwrap();
    let lock = server.place.path().join("git").join(format!("{}.lock", project.id));
    let is_read = async || fs::File::open(&lock).unwrap().try_lock().is_err();
    assert!(is_read().await, "the repository is being read");
    host.is(Mood::Well);
    eventually("the scan has ended", async || !is_read().await).await;
    assert_eq!(project.artifacts().await.len(), 0, "{}", project.scan().await);
    assert_eq!(events(&project, "artifact_updated").await, 0);
}

#[tokio::test]
async fn a_project_that_is_deleted_while_it_is_read_leaves_nothing() {
    let (server, _origin, host) = hosted().await;
    host.is(Mood::Silent);
    let project = server.tenant("Acme").await.project_at(&host.url()).await;
    eventually("it is being read", async || !host.asked().is_empty()).await;
    project.client.delete(&project.path("")).await.expect(204);
    host.is(Mood::Well);
    let database = server.database().await;
    for table in ["project", "repository_scan", "artifact", "job"] {
        eventually("it is gone", async || {
            crate::support::number(&database, &format!("SELECT count(*) FROM {table}")).await == 0
        })
        .await;
    }
}

#[tokio::test]
async fn where_repositories_are_not_read_it_says_so() {
    let server = Server::start().await;
    let project = server.project().await;
    assert_eq!(project.scan().await["state"], "off");
    let refused = project.client.post(&project.path("/scan"), json!({})).await.expect(409);
    assert!(text(&refused.json["detail"]).contains("TRACKSIDE_SCANS"));
}
