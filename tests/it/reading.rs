//! What documents said and say: read over REST, by agents, and anew at the command line.

use std::path::Path;

use scratch::Scratch;
use serde_json::{Value, json};

use crate::support::{
    Project, Server,
    agent::{Agent, Revision},
    process::{Process, free_port, output, refused, trackside},
    repository::{Origin, READS_FILES},
    text,
};

pub(crate) const PRD: &str =
    "---\nversion: 1.0\n---\n# Rocket\n\nIt flies.\n\n## Goals\n\nThe moon.\n\n## Sign-in\n\nPasskeys.\n";
pub(crate) const PATH: &str = "docs/prd.md";

/// A server that reads repositories and lets agents call as often as they like.
pub(crate) async fn server() -> Server {
    Server::start_with(&[READS_FILES[0], READS_FILES[1], ("TRACKSIDE_TOOLS_PER_MINUTE", "0")]).await
}

/// A document that states a version and what it builds on.
pub(crate) fn document(version: &str, on: &[&str]) -> String {
    let on: String = on.iter().map(|on| format!("\n  - {on}")).collect();
    let on = if on.is_empty() { on } else { format!("dependencies:{on}\n") };
    format!("---\nversion: {version}\n{on}---\n# A document\n")
}

impl Project {
    /// A part of an artifact's routes.
    pub(crate) async fn of(&self, path: &str, rest: &str) -> String {
        self.path(&format!("/artifacts/{}{rest}", text(&self.artifact(path).await["id"])))
    }

    async fn content(&self, path: &str, query: &str) -> Value {
        self.client.get(&self.of(path, &format!("/content{query}")).await).await.expect(200).json
    }

    async fn diff(&self, path: &str, query: &str) -> Value {
        self.client.get(&self.of(path, &format!("/diff{query}")).await).await.expect(200).json
    }

    fn agent(&self) -> Agent {
        Agent::new(&self.client, Revision::Newest)
    }

    /// What an agent is shown of an artifact.
    pub(crate) async fn shown(&self, mut arguments: Value) -> Value {
        arguments["projectId"] = json!(self.id);
        self.agent().get("get_artifact", arguments).await
    }
}

#[tokio::test]
async fn every_revision_is_read_by_commit_version_and_id_through_edits_and_a_rename() {
    let server = server().await;
    let origin = Origin::with(&[(PATH, PRD)]);
    let project = server.project_of(&origin).await;
    let first = origin.head();
    let second = origin.commit("Aim higher", &[(PATH, &PRD.replace("1.0", "2").replace("The moon", "Mars"))]);
    project.scan_now().await;
    origin.git(&["mv", PATH, "docs/prd-2026.md"]);
    let edited = PRD.replace("1.0", "2.1").replace("The moon", "Mars").replace("Passkeys", "Passwords");
    let third = origin.commit("Give it a year", &[("docs/prd-2026.md", &edited)]);
    project.scan_now().await;

    let path = "docs/prd-2026.md";
    assert_eq!(project.artifacts().await.len(), 1, "it is the same document");
    let listed = project.client.get(&project.of(path, "/revisions").await).await.expect(200).json;
    let field = |name: &str| {
        listed["items"].as_array().unwrap().iter().map(|row| row[name].clone()).collect::<Vec<_>>()
    };
    assert_eq!(field("commit"), [json!(third), json!(second), json!(first)]);
    assert_eq!(field("path"), [json!(path), json!(PATH), json!(PATH)]);
    assert_eq!(field("version"), [json!("2.1"), json!("2"), json!("1.0")]);
    assert_eq!(field("author"), [json!("Octavia"), json!("Octavia"), json!("Octavia")]);
    let page = project.client.get(&project.of(path, "/revisions?limit=2").await).await.expect(200).json;
    let rest = format!("/revisions?cursor={}", text(&page["nextCursor"]));
    let rest = project.client.get(&project.of(path, &rest).await).await.expect(200).json;
    assert_eq!((page["items"].as_array().unwrap().len(), &rest["items"][0]["commit"]), (2, &json!(first)));

    let newest = project.content(path, "").await;
    assert_eq!((&newest["text"], &newest["revision"]["commit"]), (&json!(edited), &json!(third)));
    let id = text(&field("id")[2]);
    for name in [&*first, &first[..7], &first[..8].to_uppercase(), &id, "v1", "1.0.0"] {
        let content = project.content(path, &format!("?revision={name}")).await;
        assert_eq!((&content["text"], &content["path"]), (&json!(PRD), &json!(path)), "{name}");
        assert_eq!(content["revision"]["path"], PATH, "{name}");
    }
    for name in ["v9", &first[..6], "0000000", "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c"] {
        let unknown = project.client.get(&project.of(path, &format!("/content?revision={name}")).await).await;
        let refused = unknown.refused(404, "not_found");
        assert!(text(&refused.json["detail"]).contains("list of revisions"), "{name}");
    }
}

#[tokio::test]
async fn two_revisions_are_compared_by_line_and_by_section() {
    let server = server().await;
    let origin = Origin::with(&[(PATH, PRD)]);
    let project = server.project_of(&origin).await;
    let first = origin.head();
    let edited = PRD.replace("1.0", "2").replace("Passkeys.", "Passkeys, and\nnothing else.");
    let second = origin.commit("Be strict", &[(PATH, &format!("{edited}\n## Costs\n\nFew.\n"))]);
    project.scan_now().await;

    let diff = project.diff(PATH, &format!("?from={first}&to={second}")).await;
    assert_eq!((&diff["from"]["commit"], &diff["to"]["commit"]), (&json!(first), &json!(second)));
    assert_eq!((&diff["added"], &diff["removed"]), (&json!(7), &json!(2)));
    assert_eq!(diff["sectionsChanged"], json!(["sign-in", "costs"]));
    let told = text(&diff["diff"]);
    assert!(told.starts_with(
        "--- a/docs/prd.md\n+++ b/docs/prd.md\n@@ -1,5 +1,5 @@\n ---\n-version: 1.0\n+version: 2\n"
    ));
    assert!(told.contains("-Passkeys.\n+Passkeys, and\n+nothing else.\n"), "{told}");
    assert_eq!(project.diff(PATH, "?from=v1").await["diff"], diff["diff"], "to the newest");
    let back = project.diff(PATH, "?from=v2&to=v1").await;
    assert_eq!((&back["added"], &back["sectionsChanged"]), (&json!(2), &json!(["sign-in", "costs"])));
    let same = project.diff(PATH, "?from=v1&to=v1").await;
    assert_eq!((&same["diff"], &same["sectionsChanged"]), (&json!(""), &json!([])));
}

#[tokio::test]
async fn a_section_is_read_by_its_anchor_and_one_that_is_not_there_names_those_that_are() {
    let server = server().await;
    let gate = "gate: PASS\n";
    let origin = Origin::with(&[(PATH, PRD), ("docs/qa/gates/1.1.yml", gate)]);
    let project = server.project_of(&origin).await;
    let goals = project.content(PATH, "?section=goals").await;
    assert_eq!((&goals["text"], &goals["section"]["line"]), (&json!("## Goals\n\nThe moon.\n\n"), &json!(8)));
    assert_eq!(goals["sections"].as_array().unwrap().len(), 3);
    let all = project.content(PATH, "?section=%23Rocket").await;
    assert_eq!(all["text"], PRD[PRD.find("# Rocket").unwrap()..], "with what is below it");
    let refused = project.client.get(&project.of(PATH, "/content?section=costs").await).await;
    assert!(text(&refused.refused(400, "invalid_request").json["detail"]).contains("rocket, goals, sign-in"));
    let refused =
        project.client.get(&project.of("docs/qa/gates/1.1.yml", "/content?section=gate").await).await;
    assert!(text(&refused.refused(400, "invalid_request").json["detail"]).contains("no headings"));
}

#[tokio::test]
async fn texts_are_shown_as_they_are_and_what_is_not_utf8_as_well_as_may_be() {
    let server = server().await;
    let origin = Origin::new();
    origin.write(PATH, b"# Caf\xE9\r\n\r\nWords\r\n");
    let first = origin.commit_all("Begin");
    let project = server.project_of(&origin).await;
    assert_eq!(project.content(PATH, "").await["text"], "# Caf\u{FFFD}\r\n\r\nWords\r\n");
    assert_eq!(project.content(PATH, "?section=caf").await["text"], "# Caf\u{FFFD}\r\n\r\nWords\r\n");
    origin.write(PATH, b"# Caf\xE9\n\nWords\n");
    origin.commit_all("End lines as others do");
    project.scan_now().await;
    let diff = project.diff(PATH, &format!("?from={first}")).await;
    assert_eq!((&diff["added"], &diff["removed"]), (&json!(3), &json!(3)));
    assert_eq!(diff["sectionsChanged"], json!([]), "the words are the same");
}

#[tokio::test]
async fn what_was_removed_or_is_too_large_has_no_text_and_says_where_there_is_one() {
    let server = server().await;
    let origin = Origin::with(&[(PATH, PRD)]);
    let project = server.project_of(&origin).await;
    let first = origin.head();
    origin.write(PATH, vec![b'x'; (1 << 20) + 1]);
    let large = origin.commit_all("Say too much");
    project.scan_now().await;
    let refused = project.client.get(&project.of(PATH, "/content").await).await.refused(410, "gone");
    let detail = text(&refused.json["detail"]);
    assert!(detail.contains("1048577 bytes") && detail.contains(&first), "{detail}");
    origin.git(&["rm", "--quiet", PATH]);
    let gone = origin.commit_all("Say nothing");
    project.scan_now().await;
    let refused = project.client.get(&project.of(PATH, "/content").await).await.refused(410, "gone");
    let detail = text(&refused.json["detail"]);
    assert!(detail.contains(&format!("removed by {gone}")) && detail.contains(&first), "{detail}");
    for query in [format!("?from={first}"), format!("?from={large}&to={first}")] {
        project.client.get(&project.of(PATH, &format!("/diff{query}")).await).await.refused(410, "gone");
    }
    assert_eq!(project.content(PATH, &format!("?revision={first}")).await["text"], PRD);
    let revisions =
        project.all(&format!("/artifacts/{}/revisions", text(&project.artifact(PATH).await["id"]))).await;
    assert_eq!(revisions.iter().map(|row| row["removed"] == true).collect::<Vec<_>>(), [true, false, false]);

    let shown = project.shown(json!({"path": PATH, "text": true})).await;
    assert!(text(&shown["noText"]).contains("was removed") && shown["text"].is_null(), "{shown}");
    let refused = project
        .agent()
        .refused("get_artifact", json!({"projectId": project.id, "path": PATH, "section": "x"}))
        .await;
    assert_eq!(refused["code"], "gone");

    // It comes back, and so does its text.
    origin.commit("Say it again", &[(PATH, PRD)]);
    project.scan_now().await;
    assert_eq!(project.content(PATH, "").await["text"], PRD);
}

#[tokio::test]
async fn an_artifact_that_nobody_has_read_says_so() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut repository = trackside::samples::Repository::new("acme/rocket", crate::support::dawn());
    let commit = trackside::samples::Commit { added: &[PATH], ..Default::default() };
    project.deliver("1", &repository.push("main", &[commit])).await.expect(202);
    project.settled().await;
    let refused = project.client.get(&project.of(PATH, "/content").await).await.refused(404, "not_found");
    assert!(text(&refused.json["detail"]).contains("nobody has read"));
    let shown = project.shown(json!({"path": PATH, "text": true})).await;
    assert!(text(&shown["noText"]).contains("nobody has read"), "{shown}");
}

#[tokio::test]
async fn an_agent_sees_what_a_document_builds_on_and_whether_that_is_stale() {
    let server = server().await;
    let story = document("1", &["docs/prd.md@v1", "docs/architecture.md@v2", "docs/lost.md"]);
    let origin = Origin::with(&[
        (PATH, PRD),
        ("docs/architecture.md", &document("v2.0.0", &[])),
        ("docs/stories/1.1.md", &story),
    ]);
    let project = server.project_of(&origin).await;
    let scanned = project.scan().await;
    server.advance(600);
    let path = "docs/stories/1.1.md";
    let shown = project.shown(json!({"path": path})).await;
    let expected = json!([
        {"path": "docs/prd.md", "version": "v1", "current": "1.0", "stale": false},
        {"path": "docs/architecture.md", "version": "v2", "current": "v2.0.0", "stale": false},
        {"path": "docs/lost.md", "version": null, "current": null, "stale": true},
    ]);
    assert_eq!(shown["dependencies"], expected);
    assert_eq!(shown["freshAsOf"], scanned["succeededAt"], "as the repository was read, not as it is asked");
    origin.commit("Bump", &[(PATH, &PRD.replace("1.0", "2"))]);
    project.scan_now().await;
    let shown = project.shown(json!({"path": path})).await;
    assert_eq!(
        (&shown["dependencies"][0]["current"], &shown["dependencies"][0]["stale"]),
        (&json!("2"), &json!(true))
    );
    let prd = project.shown(json!({"artifactId": project.artifact(PATH).await["id"]})).await;
    assert_eq!((&prd["dependents"], &prd["dependentsCount"]), (&json!([path]), &json!(1)));
    assert_eq!(prd["outline"], json!([["rocket", "Rocket"], ["goals", "Goals"], ["sign-in", "Sign-in"]]));

    let goals = project.shown(json!({"path": PATH, "section": "goals"})).await;
    assert_eq!((&goals["text"], &goals["section"]), (&json!("## Goals\n\nThe moon.\n\n"), &json!("goals")));
    assert_eq!(
        (&goals["revision"]["author"], &goals["revision"]["commit"]),
        (&json!("Octavia"), &json!(origin.head()))
    );
    assert!(goals["quoted"]["parts"].as_array().unwrap().contains(&json!("text")));
    let before = project.shown(json!({"path": PATH, "revision": "v1"})).await;
    assert_eq!(before["text"], PRD);
    let diff = project.shown(json!({"path": PATH, "diffFrom": "v1"})).await;
    assert_eq!((&diff["added"], &diff["revision"]["version"]), (&json!(1), &json!("2")));
    for wrong in [
        json!({}),
        json!({"path": PATH, "artifactId": project.id}),
        json!({"path": PATH, "diffFrom": "v1", "text": true}),
    ] {
        let mut arguments = wrong;
        arguments["projectId"] = json!(project.id);
        assert_eq!(project.agent().refused("get_artifact", arguments).await["code"], "invalid_request");
    }
}

#[tokio::test]
async fn a_document_of_a_megabyte_is_whole_over_rest_and_cut_for_agents() {
    let server = server().await;
    let body = |word: &str| {
        let line = format!("{word} \"\\\u{1}\" ż\n");
        let section = |number: usize| format!("## Part {number}\n\n{}", line.repeat(4_000));
        let text: String = (0..30).map(section).collect();
        text[..text.floor_char_boundary(1 << 20)].to_owned()
    };
    let origin = Origin::with(&[(PATH, &body("one"))]);
    let project = server.project_of(&origin).await;
    let first = origin.head();
    origin.commit("Say it otherwise", &[(PATH, &body("two"))]);
    project.scan_now().await;
    assert_eq!(project.content(PATH, "").await["text"], body("two"));
    assert!(project.diff(PATH, &format!("?from={first}")).await["added"].as_u64().unwrap() > 50_000);

    for asked in [json!({}), json!({"text": true}), json!({"section": "part-3"}), json!({"diffFrom": first})]
    {
        let mut arguments = asked.clone();
        arguments["path"] = json!(PATH);
        let shown = project.shown(arguments).await;
        let size = shown.to_string().len();
        assert!(size <= 75_000, "{asked}: {size}");
        if asked != json!({}) {
            let cut = &shown["cut"];
            assert!(text(&cut["narrow"]).contains("section"), "{asked}: {cut}");
            assert!(size > 30_000 && cut["bytesLeft"].as_u64().unwrap() > 0, "{asked}: {size}, {cut}");
        }
    }
    let uri =
        format!("trackside://project/{}/artifact/{}", project.id, text(&project.artifact(PATH).await["id"]));
    let read = project.agent().send("resources/read", json!({"uri": uri})).await.expect(200).json;
    let read: Value = serde_json::from_str(&text(&read["result"]["contents"][0]["text"])).unwrap();
    assert!(text(&read["text"]).starts_with("## Part 0\n\ntwo"), "a resource is attached for its text");
}

#[tokio::test]
async fn an_agent_has_a_repository_read_and_sees_in_the_status_how_that_went() {
    let server = server().await;
    let origin = Origin::with(&[(PATH, PRD)]);
    let project = server.project_of(&origin).await;
    let second = origin.commit("Go on", &[(PATH, &PRD.replace("1.0", "2"))]);
    let asked = project.agent().get("scan_repository", json!({"projectId": project.id})).await;
    assert!(["waiting", "running"].contains(&asked["scan"]["state"].as_str().unwrap()), "{asked}");
    project.scanned().await;
    server.advance(2); // a status may be a second old
    let status = project.client.get(&project.path("/status")).await.expect(200).json;
    let scan = project.scan().await;
    let expected = json!({"state": "succeeded", "commit": second, "succeededAt": scan["succeededAt"]});
    let mut told = status["scan"].clone();
    told.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    assert_eq!(told, expected);
    let digest = project.agent().get("get_project_status", json!({"projectId": project.id})).await;
    assert_eq!(digest["scan"]["commit"], second);
    std::fs::remove_dir_all(origin.path().join(".git")).unwrap();
    project.scan_now().await;
    server.advance(2);
    let digest = project.agent().get("get_project_status", json!({"projectId": project.id})).await;
    assert_eq!((&digest["scan"]["state"], &digest["scan"]["commit"]), (&json!("failed"), &json!(second)));
    assert!(digest["scan"]["failure"].is_string());
}

/// What `trackside scan` does: its exit code, its answer and what it says beside.
fn scan(at: &Path, process: &Process, key: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let port = process.port.to_string();
    let mut command = trackside(at);
    command.args(["--port", &port, "scan"]).args(arguments).env("TRACKSIDE_API_KEY", key);
    let ended = command.output().unwrap();
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    (ended.status.code(), words(&ended.stdout), words(&ended.stderr))
}

#[tokio::test]
async fn a_scan_is_asked_for_and_watched_at_the_command_line() {
    let folder = Scratch::new();
    let at = folder.path();
    let process = Process::serve(at, free_port(), &READS_FILES, &[]).await;
    let origin = Origin::with(&[(PATH, PRD)]);
    let made = ["--json", "project", "create", "--name", "Rocket", "--repo-url", &origin.url()];
    output(at, &made);
    let key = output(at, &["key", "create", "--name", "scan", "--role", "member"]);
    assert_eq!(scan(at, &process, &key, &[]).0, Some(0), "the only project");
    let (code, told, _) = scan(at, &process, &key, &["Rocket"]);
    assert_eq!((code, told), (Some(0), format!("read {}: nothing changed", &origin.head()[..10])));

    for number in 0..110 {
        origin.write(&format!("docs/stories/{number}.md"), document("1", &[]));
    }
    let head = origin.commit("Tell stories", &[(PATH, &PRD.replace("1.0", "2"))]);
    let (code, told, beside) = scan(at, &process, &key, &["Rocket"]);
    assert_eq!((code, told), (Some(0), format!("read {}: 110 added, 1 changed", &head[..10])));
    assert!(beside.contains("111 documents to read") && beside.contains("100 of 111"), "{beside}");
    let (code, told, _) = scan(at, &process, &key, &["Rocket", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["done"], &told["scan"]["commit"]), (Some(0), &json!(true), &json!(head)));
    assert_eq!(told["told"]["added"], 0);
    let (code, told, _) = scan(at, &process, &key, &["Rocket", "--no-wait"]);
    assert_eq!(code, Some(0));
    assert!(told.starts_with("asked for a scan; it is "), "{told}");

    std::fs::remove_dir_all(origin.path().join(".git")).unwrap();
    let (code, told, beside) = scan(at, &process, &key, &["Rocket"]);
    assert_eq!((code, &*told), (Some(1), ""));
    assert!(beside.contains("the repository could not be read: "), "{beside}");
    let viewer = output(at, &["key", "create", "--name", "x", "--role", "viewer"]);
    let (code, _, beside) = scan(at, &process, &viewer, &["Rocket"]);
    assert!(code == Some(1) && beside.contains("artifacts.write"), "{beside}");
    assert!(refused(at, &["scan"]).contains("TRACKSIDE_API_KEY"));
}
