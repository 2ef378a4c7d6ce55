//! Conflicts as agents meet them: seen in a call, settled in a call, and that recorded with what it changed (P6).

use serde_json::{Value, json};

use super::{SIGN_IN, SIGN_OUT, prd, rocket, server};
use crate::{
    audit::{expect_well, verify},
    support::{
        Project, Server,
        agent::{Agent, Revision},
        number, sabotage, text,
    },
};

/// Calls of `resolve_conflict` that the log has, by what became of them.
async fn recorded(server: &Server) -> [i64; 2] {
    let database = server.database().await;
    let count = async |result: &str| {
        let of = "SELECT count(*) FROM mcp_audit_log WHERE tool = 'resolve_conflict'";
        number(&database, &format!("{of} AND result = '{result}'")).await
    };
    [count("success").await, count("failure").await]
}

async fn stale_project(server: &Server) -> (Project, Value) {
    let project = server.project_of(&rocket("v3", &[(SIGN_IN, "docs/prd.md@v1")])).await;
    let conflict = project.open_conflict().await;
    (project, conflict)
}

fn settling(project: &Project, conflict: &Value) -> Value {
    json!({"projectId": project.id, "conflictId": conflict["id"], "reason": "It needs only the moon."})
}

#[tokio::test]
async fn an_agent_learns_in_its_next_call_that_what_it_builds_on_has_changed_and_settles_it() {
    let server = server().await;
    let origin = rocket("v1", &[(SIGN_IN, "docs/prd.md@v1"), (SIGN_OUT, "docs/gone.md@v1")]);
    let project = server.project_of(&origin).await;
    let agent = Agent::new(&project.client, Revision::Newest);
    let on = json!({"projectId": project.id});
    let before = agent.get("get_project_status", on.clone()).await;
    assert_eq!(before["conflicts"], json!({"critical": 1}));
    project.push(&origin, "docs/prd.md", &prd("v2")).await;
    let changes =
        agent.get("list_changes", json!({"projectId": project.id, "after": before["nextAfter"]})).await;
    let names: Vec<_> =
        changes["changes"].as_array().unwrap().iter().map(|change| text(&change["event"])).collect();
    assert!(names.contains(&"conflict_detected".to_owned()), "{names:?}");
    assert_eq!(
        agent.get("get_project_status", on.clone()).await["conflicts"],
        json!({"critical": 1, "warning": 1})
    );

    let listed = agent.get("list_conflicts", on.clone()).await;
    assert_eq!(listed["quoted"]["parts"], json!(["conflicts"]));
    let row = &listed["conflicts"][0];
    let expected = json!({
        "conflictId": row["conflictId"], "kind": "version_mismatch", "severity": "warning",
        "artifactPath": SIGN_IN, "dependencyPath": "docs/prd.md", "wantedVersion": "v1", "foundVersion": "v2"
    });
    assert_eq!(*row, expected);
    let narrowed = json!({"projectId": project.id, "kind": "dependency_broken", "fields": ["message"]});
    let narrowed = agent.get("list_conflicts", narrowed).await;
    assert_eq!(narrowed["conflicts"].as_array().unwrap().len(), 1);
    assert!(text(&narrowed["conflicts"][0]["message"]).contains("docs/gone.md"));

    let settled = json!({"projectId": project.id, "conflictId": row["conflictId"], "reason": "It needs only the moon."});
    let resolved = agent.get("resolve_conflict", settled.clone()).await;
    assert_eq!(resolved["conflict"]["resolution"], "It needs only the moon.");
    let again = agent.refused("resolve_conflict", settled).await;
    assert_eq!(again["code"], "conflict");
    assert!(text(&again["detail"]).starts_with("owner ("), "{again}");
    assert_eq!(agent.get("list_conflicts", on).await["conflicts"].as_array().unwrap().len(), 1);
    let all = agent.get("list_conflicts", json!({"projectId": project.id, "resolved": "resolved"})).await;
    assert_eq!(all["conflicts"][0]["conflictId"], row["conflictId"]);
    assert_eq!(recorded(&server).await, [1, 1]);
}

#[tokio::test]
async fn clients_are_told_which_tool_changes_something() {
    let server = Server::start().await;
    let project = server.project().await;
    let listed =
        Agent::new(&project.client, Revision::Newest).send("tools/list", json!({})).await.expect(200).json;
    let hints = |name: &str| {
        let tools = listed["result"]["tools"].as_array().unwrap().iter();
        tools.clone().find(|tool| tool["name"] == name).unwrap()["annotations"].clone()
    };
    let writes = json!({
        "title": "Resolve a conflict", "readOnlyHint": false, "destructiveHint": false, "idempotentHint": true,
        "openWorldHint": false
    });
    assert_eq!(hints("resolve_conflict"), writes);
    assert_eq!(hints("list_conflicts")["readOnlyHint"], true);
}

#[tokio::test]
async fn a_change_whose_call_cannot_be_recorded_is_undone() {
    let server = server().await;
    let (project, conflict) = stale_project(&server).await;
    let agent = Agent::new(&project.client, Revision::Newest);
    let database = server.database().await;
    let when = "NEW.tool = 'resolve_conflict' AND NEW.result = 'success'";
    sabotage::refuse_inserts_when(&database, "mcp_audit_log", when, "on purpose").await;
    assert_eq!(agent.refused("resolve_conflict", settling(&project, &conflict)).await["code"], "internal");
    assert_eq!(project.open_conflict().await, conflict, "nothing has changed");
    assert!(project.told("conflict_resolved").await.is_empty());
    assert_eq!(recorded(&server).await, [0, 1], "that it was tried is on record");

    sabotage::mend(&database, "mcp_audit_log").await;
    agent.get("resolve_conflict", settling(&project, &conflict)).await;
    assert_eq!(recorded(&server).await, [1, 1]);
    expect_well(verify(&server, project.tenant.id).await, 2);
}

#[tokio::test]
async fn a_change_that_fails_leaves_no_record_that_it_was_made() {
    let server = server().await;
    let (project, conflict) = stale_project(&server).await;
    let agent = Agent::new(&project.client, Revision::Newest);
    let database = server.database().await;
    sabotage::refuse_inserts_when(&database, "event", "NEW.name = 'conflict_resolved'", "on purpose").await;
    assert_eq!(agent.refused("resolve_conflict", settling(&project, &conflict)).await["code"], "internal");
    assert_eq!(project.open_conflict().await, conflict);
    assert_eq!(recorded(&server).await, [0, 1]);
    sabotage::mend(&database, "event").await;

    // Over REST it is no tool call, and is not recorded as one.
    project.settle(&conflict, "known").await;
    assert_eq!(recorded(&server).await, [0, 1]);
}
