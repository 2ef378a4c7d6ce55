//! Drift between documents: what a push makes stale, what mends it, and what somebody settles.

mod agents;
mod states;

use sea_orm::{ConnectionTrait as _, EntityTrait as _, QueryFilter as _, prelude::*};
use serde_json::{Value, json};

use crate::support::{
    Project, Server, eventually, number,
    repository::{Origin, READS_FILES},
    sabotage, text,
};

async fn server() -> Server {
    Server::start_with(&READS_FILES).await
}

fn prd(version: &str) -> String {
    format!("---\nversion: {version}\n---\n# Rocket\n\nIt flies to the moon.\n\nAnd back, with everybody.\n")
}

fn story(title: &str, on: &str) -> String {
    format!("---\ndependencies: [{on}]\n---\n# {title}\n\nAs an astronaut I want this.\n")
}

/// A repository with a PRD and stories that build on it.
fn rocket(version: &str, stories: &[(&str, &str)]) -> Origin {
    let origin = Origin::with(&[("docs/prd.md", &prd(version))]);
    for (path, on) in stories {
        origin.write(path, story(path, on));
    }
    origin.commit_all("Stories");
    origin
}

const SIGN_IN: &str = "docs/stories/1.1.md";
const SIGN_OUT: &str = "docs/stories/1.2.md";

impl Project {
    /// Commits a file as it is to be, and has it read.
    pub(crate) async fn push(&self, origin: &Origin, path: &str, content: &str) {
        origin.commit("Change", &[(path, content)]);
        assert_eq!(self.scan_now().await["state"], "succeeded");
    }

    async fn open_conflicts(&self) -> Vec<Value> {
        self.all("/conflicts").await
    }

    /// The one conflict that is open.
    async fn open_conflict(&self) -> Value {
        let mut open = self.open_conflicts().await;
        assert_eq!(open.len(), 1, "{open:?}");
        open.remove(0)
    }

    async fn settle(&self, conflict: &Value, reason: &str) -> Value {
        let path = self.path(&format!("/conflicts/{}/resolve", text(&conflict["id"])));
        self.client.post(&path, json!({"reason": reason})).await.expect(200).json
    }

    async fn detect(&self) -> Value {
        self.client.post(&self.path("/conflicts/detect"), json!({})).await.expect(200).json
    }

    /// The payloads of all events of a name.
    pub(crate) async fn told(&self, name: &str) -> Vec<Value> {
        let events = self.all("/events").await;
        events
            .into_iter()
            .filter(|event| event["event"] == name)
            .map(|mut event| event["payload"].take())
            .collect()
    }
}

/// What is stale: the document, what it builds on, and the two versions.
fn versions(conflict: &Value) -> [String; 4] {
    ["artifactPath", "dependencyPath", "wantedVersion", "foundVersion"]
        .map(|field| conflict[field].as_str().unwrap_or("-").to_owned())
}

/// A conflict of a project whose documents nobody reads; gives its id.
pub(crate) async fn any_conflict(server: &Server, project: &Project) -> String {
    use entity::artifact::{Column, Entity};
    let gone = json!([{"path": "docs/gone.md", "version": null}]);
    let id: uuid::Uuid = project.id.parse().unwrap();
    let update = Entity::update_many().col_expr(Column::Dependencies, Expr::value(gone));
    update.filter(Column::ProjectId.eq(id)).exec(&server.database().await).await.unwrap();
    project.detect().await;
    text(&project.open_conflict().await["id"])
}

#[tokio::test]
async fn a_bump_of_the_prd_turns_two_stories_stale_and_back() {
    let server = server().await;
    let stories =
        [(SIGN_IN, "docs/prd.md@v1"), (SIGN_OUT, "../prd.md@1.0.0"), ("docs/stories/2.1.md", "docs/prd.md")];
    let origin = rocket("1.0", &stories);
    let project = server.project_of(&origin).await;
    assert_eq!(project.open_conflicts().await, Vec::<Value>::new());

    project.push(&origin, "docs/prd.md", &prd("v2")).await;
    let mut stale = project.open_conflicts().await;
    stale.reverse(); // newest first, and those of one scan by their paths
    let found: Vec<_> = stale.iter().map(versions).collect();
    assert_eq!(found, [[SIGN_IN, "docs/prd.md", "v1", "v2"], [SIGN_OUT, "docs/prd.md", "1.0.0", "v2"]]);
    let conflict = &stale[0];
    assert_eq!((&conflict["kind"], &conflict["severity"]), (&json!("version_mismatch"), &json!("warning")));
    assert_eq!(conflict["artifactId"], project.artifact(SIGN_IN).await["id"]);
    assert!(text(&conflict["message"]).contains("a major version behind"));
    assert!(conflict["detectedAt"].is_string() && conflict["resolvedAt"].is_null());
    let shown =
        project.client.get(&project.path(&format!("/conflicts/{}", text(&conflict["id"])))).await.expect(200);
    assert_eq!(shown.json, *conflict);
    let status = project.client.get(&project.path("/status")).await.expect(200).json;
    assert_eq!(status["conflicts"], json!({"critical": 0, "warning": 2, "info": 0}));
    let told = project.told("conflict_detected").await;
    for field in [
        "id",
        "kind",
        "severity",
        "artifactId",
        "artifactPath",
        "dependencyPath",
        "wantedVersion",
        "foundVersion",
        "message",
    ] {
        assert_eq!(told[0][field], conflict[field], "{field}");
    }
    assert_eq!(told.len(), 2);

    project.push(&origin, SIGN_IN, &story("Sign in", "docs/prd.md@v2")).await;
    assert_eq!(versions(&project.open_conflict().await)[0], SIGN_OUT);
    project.push(&origin, "docs/prd.md", &prd("1")).await; // which is what the other story is written for
    assert_eq!(versions(&project.open_conflict().await)[0], SIGN_IN, "it is ahead now");
    project.push(&origin, SIGN_IN, &story("Sign in", "docs/prd.md@1")).await;
    assert_eq!(project.open_conflicts().await, Vec::<Value>::new());
    let resolved = project.all("/conflicts?resolved=resolved").await;
    assert_eq!(resolved.len(), 3);
    for conflict in &resolved {
        assert_eq!(
            (&conflict["resolvedBy"], &conflict["resolution"]),
            (&Value::Null, &json!("the cause is gone"))
        );
        assert!(conflict["resolvedAt"].is_string());
    }
    assert_eq!(project.told("conflict_resolved").await.len(), 3);
    assert_eq!(
        project.detect().await,
        json!({"detected": 0, "resolved": 0, "open": {"critical": 0, "warning": 0, "info": 0}})
    );
}

#[tokio::test]
async fn the_further_behind_the_worse_and_another_version_is_another_conflict() {
    let server = server().await;
    let origin = rocket("v1", &[(SIGN_IN, "docs/prd.md@v1")]);
    let project = server.project_of(&origin).await;
    let mut seen = Vec::new();
    for (version, severity) in
        [("v1.0.1", "info"), ("v1.1", "info"), ("v2", "warning"), ("v3", "critical"), ("v0.9", "warning")]
    {
        project.push(&origin, "docs/prd.md", &prd(version)).await;
        let open = project.open_conflict().await;
        assert_eq!((&open["severity"], &open["foundVersion"]), (&json!(severity), &json!(version)));
        assert!(!seen.contains(&open["id"]), "it is another one");
        seen.push(open["id"].clone());
    }
    let all = project.all("/conflicts?resolved=all").await;
    seen.reverse();
    assert_eq!(all.iter().map(|conflict| conflict["id"].clone()).collect::<Vec<_>>(), seen, "newest first");
    project.push(&origin, "docs/prd.md", "# Without a version\n").await;
    assert_eq!(project.open_conflicts().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_document_that_is_gone_breaks_what_builds_on_it_until_it_is_back() {
    let server = server().await;
    let origin = rocket("v1", &[(SIGN_IN, "docs/prd.md@v1"), (SIGN_OUT, "docs/never.md")]);
    let project = server.project_of(&origin).await;
    let never = project.open_conflict().await;
    assert_eq!(versions(&never), [SIGN_OUT, "docs/never.md", "-", "-"]);
    assert_eq!((&never["kind"], &never["severity"]), (&json!("dependency_broken"), &json!("critical")));
    let mut broken = Vec::new();
    for _ in 0..2 {
        origin.git(&["rm", "--quiet", "docs/prd.md"]);
        origin.commit_all("Remove the PRD");
        project.scan_now().await;
        let open = project
            .all(&format!("/conflicts?artifactId={}", text(&project.artifact(SIGN_IN).await["id"])))
            .await;
        assert_eq!(open.iter().map(versions).collect::<Vec<_>>(), [[SIGN_IN, "docs/prd.md", "v1", "-"]]);
        broken.push(open[0]["id"].clone());
        project.push(&origin, "docs/prd.md", &prd("v1")).await;
        assert_eq!(project.open_conflict().await["id"], never["id"], "the same as before");
    }
    assert_ne!(broken[0], broken[1], "what resolved itself and comes back is told anew");

    // Whatever builds on something is not missed itself.
    origin.git(&["rm", "--quiet", SIGN_OUT]);
    origin.commit_all("Remove the story");
    project.scan_now().await;
    assert_eq!(project.open_conflicts().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_renamed_target_is_missed_and_a_renamed_story_keeps_its_conflict() {
    let server = server().await;
    let origin = rocket("v1", &[(SIGN_IN, "docs/prd.md@v1")]);
    let project = server.project_of(&origin).await;
    origin.git(&["mv", "docs/prd.md", "docs/prd-rocket.md"]);
    origin.commit_all("Rename the PRD");
    project.scan_now().await;
    let missed = project.open_conflict().await;
    assert_eq!(missed["kind"], "dependency_broken");

    origin.git(&["mv", SIGN_IN, "docs/stories/3.7.md"]);
    origin.commit_all("Rename the story");
    project.scan_now().await;
    let renamed = project.open_conflict().await;
    assert_eq!((&renamed["id"], &renamed["artifactPath"]), (&missed["id"], &json!("docs/stories/3.7.md")));
    assert!(text(&renamed["message"]).starts_with("docs/stories/3.7.md builds on docs/prd.md"));
    assert_eq!(project.told("conflict_detected").await.len(), 1, "which is no news");

    project.push(&origin, "docs/stories/3.7.md", &story("Sign in", "docs/prd-rocket.md@v1")).await;
    assert_eq!(project.open_conflicts().await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_somebody_settles_is_recorded_and_not_told_again_for_the_same_cause() {
    let server = server().await;
    let origin = rocket("v2", &[(SIGN_IN, "docs/prd.md@v1")]);
    let project = server.project_of(&origin).await;
    let conflict = project.open_conflict().await;
    let path = project.path(&format!("/conflicts/{}/resolve", text(&conflict["id"])));
    for reason in ["", " ", "\u{200b}", &"x".repeat(1001)] {
        let refused =
            project.client.post(&path, json!({"reason": reason})).await.refused(400, "invalid_request");
        assert_eq!(refused.json["errors"][0]["pointer"], "/reason");
    }
    let settled = project.settle(&conflict, " It only needs the part about\r\nthe moon. ").await;
    assert_eq!(settled["resolution"], "It only needs the part about\nthe moon.");
    assert!(settled["resolvedBy"].is_string() && settled["resolvedAt"].is_string());
    assert_eq!(settled["resolverName"], "owner");
    let told = project.told("conflict_resolved").await;
    for field in ["id", "resolvedBy", "resolverName", "resolution", "severity", "foundVersion"] {
        assert_eq!(told[0][field], settled[field], "{field}");
    }
    let again = project.client.post(&path, json!({"reason": "again"})).await.refused(409, "conflict");
    for said in ["owner", "2026-01-01T06:00:00Z", "It only needs"] {
        assert!(text(&again.json["detail"]).contains(said), "{}", again.body);
    }

    let none = Vec::<Value>::new();
    project.push(&origin, "README.md", "Nothing new.").await;
    assert_eq!(project.open_conflicts().await, none, "the cause holds, and is settled");
    project.push(&origin, "docs/prd.md", &prd("v3")).await;
    assert_eq!(project.open_conflict().await["severity"], "critical", "which is another cause");
    project.push(&origin, "docs/prd.md", &prd("1")).await;
    assert_eq!(project.open_conflicts().await, none);
    project.push(&origin, "docs/prd.md", &prd("2.0.0")).await;
    assert_eq!(project.open_conflicts().await, none, "it came back, and is settled still");
    assert_eq!(project.all("/conflicts?resolved=all").await.len(), 2);
}

#[tokio::test]
async fn lists_are_narrowed_by_what_is_asked_and_go_on_where_they_ended() {
    let server = server().await;
    let stories =
        [(SIGN_IN, "docs/prd.md@v1, docs/prd.md@v2"), (SIGN_OUT, "docs/prd.md@v1, docs/a.md, docs/b.md")];
    let project = server.project_of(&rocket("v3", &stories)).await;
    let count = async |query: &str| project.all(&format!("/conflicts{query}")).await.len();
    assert_eq!(count("").await, 4);
    assert_eq!((count("?kind=dependency_broken").await, count("?kind=version_mismatch").await), (2, 2));
    assert_eq!((count("?severity=Critical").await, count("?severity=warning").await), (3, 1));
    assert_eq!((count("?severity=info").await, count("?kind=concurrent_edit").await), (0, 0));
    let critical = project.all("/conflicts?severity=critical&kind=version_mismatch").await.remove(0);
    project.settle(&critical, "known").await;
    assert_eq!(
        (count("?resolved=open").await, count("?resolved=resolved").await, count("?resolved=all").await),
        (3, 1, 4)
    );
    let status = project.client.get(&project.path("/status")).await.expect(200).json;
    assert_eq!(status["conflicts"], json!({"critical": 2, "warning": 1, "info": 0}));
    project.client.get(&project.path("/conflicts?resolved=maybe")).await.refused(400, "invalid_request");
    let first = project.client.get(&project.path("/conflicts?limit=2")).await.expect(200).json;
    let next = project.path(&format!("/conflicts?limit=2&cursor={}", text(&first["nextCursor"])));
    let second = project.client.get(&next).await.expect(200).json;
    let ids = [&first, &second].map(|page| page["items"].as_array().unwrap().clone()).concat();
    assert_eq!(ids, project.open_conflicts().await);
    assert!(second["nextCursor"].is_null());
}

#[tokio::test]
async fn what_a_scan_finds_is_written_and_told_with_the_end_of_the_scan_or_not_at_all() {
    let server = server().await;
    let origin = rocket("v1", &[(SIGN_IN, "docs/prd.md@v1")]);
    let project = server.project_of(&origin).await;
    let database = server.database().await;
    sabotage::refuse_inserts_when(&database, "event", "NEW.name = 'conflict_detected'", "on purpose").await;
    origin.commit("Bump", &[("docs/prd.md", &prd("v2"))]);
    project.client.post(&project.path("/scan"), json!({})).await.expect(202);
    let tried = "SELECT count(*) FROM job WHERE kind = 'scan_repository' AND last_error IS NOT NULL";
    eventually("the scan has failed to end", async || number(&database, tried).await == 1).await;
    assert_eq!(number(&database, "SELECT count(*) FROM conflict").await, 0);
    let completed = project.told("artifact_scan_completed").await.len();
    sabotage::mend(&database, "event").await;
    server.advance(3); // until the next try
    project.scanned().await;
    assert_eq!(project.open_conflict().await["severity"], "warning");
    assert_eq!(project.told("artifact_scan_completed").await.len(), completed + 1);
    assert_eq!(project.told("conflict_detected").await.len(), 1);
}

#[tokio::test]
async fn a_scan_that_was_cut_off_is_done_again_and_finds_what_it_would_have_found() {
    let server = server().await;
    let origin = rocket("v1", &[(SIGN_IN, "docs/prd.md@v1")]);
    let project = server.project_of(&origin).await;
    let head = origin.commit("Bump", &[("docs/prd.md", &prd("v2"))]);
    // What a process leaves behind that is killed between two batches.
    let cut_off =
        format!("UPDATE repository_scan SET commit = '{head}', state = 'running', finished_at = NULL");
    let cut_off = cut_off.replace(" commit ", " \"commit\" ");
    server.database().await.execute_unprepared(&cut_off).await.unwrap();
    project.scan_now().await;
    assert_eq!(project.artifact("docs/prd.md").await["version"], "v2");
    assert_eq!(project.open_conflict().await["severity"], "warning");
}

#[tokio::test]
async fn another_tenant_sees_none_of_it_and_a_deleted_project_leaves_none() {
    let server = server().await;
    let project = server.project_of(&rocket("v3", &[(SIGN_IN, "docs/prd.md@v1")])).await;
    let conflict = project.open_conflict().await;
    let other = server.tenant("Globex").await.project("Other").await;
    let of =
        |project: &Project, rest: &str| project.path(&format!("/conflicts/{}{rest}", text(&conflict["id"])));
    for path in [of(&project, ""), of(&other, ""), project.path("/conflicts")] {
        other.client.get(&path).await.refused(404, "not_found");
    }
    for path in [of(&project, "/resolve"), of(&other, "/resolve"), project.path("/conflicts/detect")] {
        other.client.post(&path, json!({"reason": "mine"})).await.refused(404, "not_found");
    }
    assert_eq!(other.open_conflicts().await, Vec::<Value>::new());
    assert_eq!(project.open_conflict().await, conflict);
    let database = server.database().await;
    project.client.delete(&project.path("")).await.expect(204);
    let left = "SELECT count(*) FROM conflict";
    eventually("its rows are removed", async || number(&database, left).await == 0).await;
}
