//! What each host's events mean, in whatever order they come.

use proptest::prelude::*;
use serde_json::json;

use super::{at, some, told};
use crate::support::{
    Project, Server, dawn,
    hosts::{BASE, Event, HEAD, HOSTS, Host, Step},
    text,
};

#[tokio::test]
async fn a_push_is_told_and_its_files_become_artifacts_where_the_host_lists_them() {
    let server = Server::start().await;
    for host in HOSTS {
        let project = server.project().await;
        project.post_as(host, "d-1", &host.push(dawn())).await.expect(202);
        let push = told(&project, "push").await;
        let told = some(
            &push,
            &["branch", "tag", "before", "after", "created", "deleted", "commits", "message", "author"],
        );
        let expected = json!({
            "branch": "main", "tag": null, "before": BASE, "after": HEAD, "created": false, "deleted": false,
            "commits": 1, "message": "docs: first version", "author": "ada",
        });
        assert_eq!(told, expected, "{host:?}");
        let artifacts = project.all("/artifacts").await;
        if host == Host::Bitbucket {
            assert!(artifacts.is_empty() && push["files"].is_null());
            continue;
        }
        assert_eq!(push["files"], 2, "{host:?}");
        assert_eq!((artifacts.len(), &artifacts[0]["path"]), (1, &json!("docs/prd.md")), "{host:?}");
        assert_eq!((&artifacts[0]["author"], &artifacts[0]["commit"]), (&json!("Ada"), &json!(HEAD)));
    }
}

#[tokio::test]
async fn a_tag_is_a_push_without_a_branch() {
    let server = Server::start().await;
    for host in HOSTS {
        let project = server.project().await;
        project.post_as(host, "d-1", &host.tag(dawn())).await.expect(202);
        let tag = some(&told(&project, "push").await, &["branch", "tag", "created", "deleted"]);
        assert_eq!(
            tag,
            json!({"branch": null, "tag": "v1.0.0", "created": true, "deleted": false}),
            "{host:?}"
        );
    }
}

#[tokio::test]
async fn pull_and_merge_requests_are_told_alike() {
    let server = Server::start().await;
    for host in HOSTS {
        let project = server.project().await;
        for (what, state) in [("opened", "open"), ("closed", "closed"), ("merged", "merged")] {
            project.post_as(host, what, &host.pull_request(what)).await.expect(202);
            let mut told = told(&project, "pull_request_changed").await;
            assert!(!text(&told["action"]).is_empty());
            told.as_object_mut().unwrap().remove("action");
            let expected = json!({
                "number": 12, "title": "Faster", "state": state, "draft": false, "author": "ada", "sender": "ada",
                "branch": "fast", "base": "main", "commit": HEAD, "updatedAt": "2026-01-01T06:00:00Z",
                "url": "https://host/12",
            });
            assert_eq!(told, expected, "{host:?} {what}");
        }
    }
}

#[tokio::test]
async fn issues_are_told_alike() {
    let server = Server::start().await;
    for host in HOSTS {
        let project = server.project().await;
        project.post_as(host, "d-1", &host.issue()).await.expect(202);
        let mut told = told(&project, "issue_changed").await;
        told.as_object_mut().unwrap().remove("action");
        let expected = json!({
            "number": 3, "title": "Slow", "state": "open", "author": "ada", "sender": "ada",
            "updatedAt": "2026-01-01T06:00:00Z", "url": "https://host/3",
        });
        assert_eq!(told, expected, "{host:?}");
    }
}

#[tokio::test]
async fn of_a_confidential_issue_the_log_says_only_that_it_moved() {
    let server = Server::start().await;
    let project = server.project().await;
    let (_, mut body) = Host::GitLabToken.issue();
    body["object_attributes"]["title"] = json!("hush");
    project.post_as(Host::GitLabToken, "d-1", &("Confidential Issue Hook", body.clone())).await.expect(202);
    body["object_attributes"]["confidential"] = json!(true);
    project.post_as(Host::GitLabToken, "d-2", &("Issue Hook", body.clone())).await.expect(202);
    project.post_as(Host::GitLabToken, "d-3", &("System Hook", body)).await.expect(202);
    let events = project.events().await;
    assert_eq!(events.iter().filter(|event| event["event"] == "issue_changed").count(), 3);
    for event in events.iter().filter(|event| event["event"] == "issue_changed") {
        let expected = json!({
            "action": "open", "number": 3, "state": "open", "title": null, "author": null, "sender": null,
            "updatedAt": null, "url": null,
        });
        assert_eq!(event["payload"], expected);
    }
}

#[tokio::test]
async fn releases_are_told_alike_once_they_are_published() {
    let server = Server::start().await;
    for host in HOSTS {
        let Some((event, mut body)) = host.release() else { continue };
        let project = server.project().await;
        project.post_as(host, "d-1", &(event, body.clone())).await.expect(202);
        let told = some(&told(&project, "release_published").await, &["tag", "name", "publishedAt", "url"]);
        let expected = json!({
            "tag": "v1.0.0", "name": "First", "publishedAt": "2026-01-01T06:00:00Z", "url": "https://host/v1.0.0",
        });
        assert_eq!(told, expected, "{host:?}");
        body["action"] = json!("update");
        project.post_as(host, "d-2", &(event, body)).await.expect(202);
        assert_eq!(project.event_names().await, ["release_published"], "{host:?}");
    }
}

/// A run from its beginning to its end.
fn steps() -> [Step<'static>; 3] {
    let step = |state, started: Option<i64>, ended: Option<i64>| Step {
        state,
        started: started.map(at),
        ended: ended.map(at),
        attempt: 1,
    };
    [step("queued", None, None), step("running", Some(10), None), step("failed", Some(10), Some(40))]
}

/// Posts events one after the other and waits for each.
async fn post_in_order(project: &Project, host: Host, events: &[Event]) {
    for (index, event) in events.iter().enumerate() {
        project.post_as(host, &format!("d-{index}"), event).await.expect(202);
        project.settled().await;
    }
}

#[tokio::test]
async fn pipelines_and_jobs_are_one_run_each_through_all_their_states() {
    let server = Server::start().await;
    for host in HOSTS {
        for (kind, tell) in
            [("workflow", Host::pipeline as fn(Host, Step<'_>) -> Option<Event>), ("check", Host::job)]
        {
            let states: Vec<_> = steps().into_iter().filter_map(|step| tell(host, step)).collect();
            if states.is_empty() {
                continue;
            }
            let project = server.project().await;
            post_in_order(&project, host, &states).await;
            assert_eq!(project.event_names().await, ["run_started", "run_finished"], "{host:?} {kind}");
            let runs = project.all("/runs").await;
            let run = some(&runs[0], &["source", "kind", "status", "commit", "branch", "durationMs"]);
            let expected = json!({
                "source": host.source(), "kind": kind, "status": "failed", "commit": HEAD, "branch": "main",
                "durationMs": 30_000,
            });
            assert_eq!((runs.len(), run), (1, expected), "{host:?} {kind}");
            assert!(text(&runs[0]["url"]).starts_with("https://host/"), "{host:?} {kind}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn in_whatever_order_and_however_often_states_come_no_run_goes_back(
        order in Just(vec![0_usize, 1, 2, 0, 1]).prop_shuffle()
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let server = Server::start().await;
            for host in [Host::GitLabToken, Host::Gitea, Host::Forgejo] {
                let project = server.project().await;
                for tell in [Host::pipeline as fn(Host, Step<'_>) -> Option<Event>, Host::job] {
                    for (index, step) in order.iter().enumerate() {
                        let event = tell(host, steps()[*step]).unwrap();
                        project.post_as(host, &format!("{}-{index}", event.0), &event).await.expect(202);
                        project.settled().await;
                    }
                }
                let runs = project.all("/runs").await;
                assert_eq!(runs.len(), 2);
                assert!(runs.iter().all(|run| run["status"] == "failed"), "{host:?} {runs:?}");
                let ends = project.event_names().await.iter().filter(|name| *name == "run_finished").count();
                assert_eq!(ends, 2, "{host:?}: each ends once");
            }
        });
    }
}

#[tokio::test]
async fn a_gitlab_pipeline_whose_jobs_are_retried_runs_again() {
    let server = Server::start().await;
    let project = server.project().await;
    let [queued, running, failed] = steps();
    let again = Step { started: Some(at(60)), ..running };
    let success = Step { state: "success", started: Some(at(60)), ended: Some(at(90)), attempt: 1 };
    let host = Host::GitLabSigned;
    let mut states = [queued, running, failed, again].map(|step| host.pipeline(step).unwrap());
    states[3].1["object_attributes"]["finished_at"] = json!("2026-01-01 06:00:40 UTC"); // GitLab keeps it
    post_in_order(&project, host, &states).await;
    assert_eq!(project.all("/runs").await[0]["status"], "running");
    project.post_as(host, "late", &states[1]).await.expect(202);
    project.post_as(host, "end", &host.pipeline(success).unwrap()).await.expect(202);
    project.post_as(host, "later", &states[2]).await.expect(202);
    assert_eq!(project.event_names().await, ["run_started", "run_finished", "run_started", "run_finished"]);
    assert_eq!(project.all("/runs").await[0]["status"], "success");
}

#[tokio::test]
async fn a_second_attempt_of_a_gitea_run_comes_after_the_first() {
    let server = Server::start().await;
    let project = server.project().await;
    let [_, running, failed] = steps();
    let again = Step { started: Some(at(60)), attempt: 2, ..running };
    let success = Step { state: "success", started: Some(at(60)), ended: Some(at(90)), attempt: 2 };
    let states = [failed, success, again, running].map(|step| Host::Gitea.pipeline(step).unwrap());
    post_in_order(&project, Host::Gitea, &states).await;
    assert_eq!(project.all("/runs").await[0]["status"], "success");
    assert_eq!(project.event_names().await, ["run_finished", "run_finished"]);
}

#[tokio::test]
async fn commit_statuses_are_runs_and_only_their_time_orders_them() {
    let server = Server::start().await;
    for host in [Host::Bitbucket, Host::Gitea, Host::Forgejo] {
        let project = server.project().await;
        let states = [("pending", 0), ("success", 10), ("failed", 30), ("pending", 20), ("failed", 30)];
        let states = states.map(|(state, second)| host.status(state, at(second)).unwrap());
        post_in_order(&project, host, &states).await;
        assert_eq!(project.event_names().await, ["run_started", "run_finished", "run_finished"], "{host:?}");
        let runs = project.all("/runs").await;
        let run = some(&runs[0], &["kind", "name", "status", "commit", "url"]);
        let expected = json!({"kind": "status", "name": "CI", "status": "failed", "commit": HEAD, "url": "https://ci/1"});
        assert_eq!((runs.len(), run), (1, expected), "{host:?}");
    }
}

#[tokio::test]
async fn the_end_of_a_forgejo_run_is_told() {
    let server = Server::start().await;
    let project = server.project().await;
    let end = |status: &str, stopped: &str| {
        json!({"action": status, "run": {
            "id": 8, "workflow_id": "ci.yml", "prettyref": "main", "commit_sha": HEAD, "status": status,
            "html_url": "https://host/8", "started": "2026-01-01T06:00:00Z", "stopped": stopped,
        }})
    };
    let ends = [
        ("action_run_success", end("success", "2026-01-01T06:02:00Z")),
        ("action_run_failure", end("failure", "2026-01-01T06:01:00Z")),
    ];
    post_in_order(&project, Host::Forgejo, &ends).await;
    let runs = project.all("/runs").await;
    let run = some(&runs[0], &["kind", "name", "status", "branch", "durationMs"]);
    let expected = json!({"kind": "workflow", "name": "ci.yml", "status": "success", "branch": "main", "durationMs": 120_000});
    assert_eq!((runs.len(), run), (1, expected));
}

#[tokio::test]
async fn a_payload_of_another_shape_is_parked_and_says_so_and_what_is_unknown_is_stored() {
    let server = Server::start().await;
    for (host, name) in [
        (Host::GitLabToken, "GitLab"),
        (Host::Bitbucket, "Bitbucket"),
        (Host::Gitea, "Gitea"),
        (Host::Forgejo, "Forgejo"),
    ] {
        let project = server.project().await;
        project
            .post_as(host, "d-1", &(host.push(dawn()).0, json!({"commits": 7, "push": 7})))
            .await
            .expect(202);
        project.post_as(host, "d-2", &("moon_phase", json!([]))).await.expect(202);
        project.post_as(host, "d-3", &("", json!({}))).await.expect(202);
        project.post_bytes_as(host, "d-4", "", b"not json".to_vec()).await.refused(400, "invalid_request");
        assert_eq!(project.event_names().await, ["delivery_failed"], "{host:?}");
        let failed = project.all("/deliveries?status=failed").await;
        let reason = text(&failed[0]["lastError"]);
        assert!(reason.contains(&format!("not what {name} documents for this event")), "{reason}");
    }
}
