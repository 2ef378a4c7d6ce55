//! Pipelines, jobs, builds and commit statuses of each host: runs, whose states never go back.

use serde_json::{Value, json};

use super::{
    HEAD,
    Host::{self, Bitbucket, Forgejo, GitLab, Gitea},
};
use crate::support::{Server, dawn};

/// One state of a pipeline, a build status or a workflow run: running, failed or passed, so many minutes after dawn.
fn pipeline(host: Host, status: &str, minute: i64) -> (&'static str, Value) {
    let at = (dawn() + chrono::TimeDelta::minutes(minute)).to_rfc3339();
    let is_final = status != "running";
    match host {
        GitLab => (
            "Pipeline Hook",
            json!({"object_attributes": {"id": 31, "ref": "main", "sha": HEAD, "status": status,
                "created_at": dawn().format("%Y-%m-%d %H:%M:%S UTC").to_string(),
                "finished_at": is_final.then_some(&at), "url": "https://x/31"}}),
        ),
        Bitbucket => {
            let state = match status {
                "running" => "INPROGRESS",
                "failed" => "FAILED",
                _ => "SUCCESSFUL",
            };
            let status = json!({"key": "ci", "name": "CI", "state": state, "refname": "main",
                "created_on": dawn().to_rfc3339(), "updated_on": at, "commit": {"hash": HEAD}, "url": "https://x/31"});
            ("repo:commit_status_updated", json!({"commit_status": status}))
        }
        Gitea | Forgejo => {
            let conclusion = if status == "failed" { "failure" } else { "success" };
            let run = json!({"id": 31, "name": "CI", "status": if is_final { "completed" } else { "in_progress" },
                "conclusion": is_final.then_some(conclusion), "head_sha": HEAD, "head_branch": "main",
                "run_attempt": 1, "run_started_at": dawn().to_rfc3339(), "updated_at": at, "html_url": "https://x/31"});
            ("workflow_run", json!({"action": "completed", "workflow_run": run}))
        }
    }
}

#[tokio::test]
async fn states_of_a_pipeline_that_come_late_or_twice_never_overwrite_a_newer_one() {
    for host in Host::ALL {
        let server = Server::start().await;
        let project = server.project().await;
        let states = [("failed", 5), ("running", 1), ("failed", 5), ("running", 0)];
        for (index, (status, minute)) in states.into_iter().enumerate() {
            let (event, body) = pipeline(host, status, minute);
            project.post_as(host, &format!("d-{index}"), event, &body).await.expect(202);
            project.settled().await;
        }
        assert_eq!(project.event_names().await, ["run_finished"], "{host:?}");
        let runs = project.all("/runs").await;
        assert_eq!(runs.len(), 1);
        assert_eq!(
            (&runs[0]["status"], &runs[0]["commit"], &runs[0]["branch"]),
            (&json!("failed"), &json!(HEAD), &json!("main")),
            "{host:?}: {}",
            runs[0]
        );
        let (event, body) = pipeline(host, "success", 9);
        project.post_as(host, "again", event, &body).await.expect(202);
        project.settled().await;
        assert_eq!(project.all("/runs").await[0]["status"], "success", "{host:?}: a later end holds");
        assert_eq!(project.event_names().await, ["run_finished", "run_finished"]);
    }
}

#[tokio::test]
async fn a_pipeline_that_runs_in_order_starts_and_finishes() {
    let server = Server::start().await;
    for host in Host::ALL {
        let project = server.project().await;
        for (index, (status, minute)) in [("running", 1), ("success", 5)].into_iter().enumerate() {
            let (event, body) = pipeline(host, status, minute);
            project.post_as(host, &format!("d-{index}"), event, &body).await.expect(202);
            project.settled().await;
        }
        assert_eq!(project.event_names().await, ["run_started", "run_finished"], "{host:?}");
    }
}

#[tokio::test]
async fn jobs_and_forgejos_own_runs_are_runs_too() {
    let server = Server::start().await;
    let job = json!({"build_id": 9, "build_name": "test", "build_status": "failed", "sha": HEAD, "ref": "main",
        "build_started_at": "2026-01-01 05:00:00 UTC", "build_finished_at": "2026-01-01 05:02:00 UTC"});
    let workflow_job = json!({"workflow_job": {"id": 9, "name": "test", "status": "completed",
        "conclusion": "failure", "head_sha": HEAD, "head_branch": "main",
        "started_at": "2026-01-01T05:00:00Z", "completed_at": "2026-01-01T05:02:00Z"}});
    let action_run = json!({"action": "failure", "run": {"id": 9, "title": "Add the PRD", "workflow_id": "test",
        "prettyref": "main", "commit_sha": HEAD, "status": "failure", "started": "2026-01-01T05:00:00Z",
        "stopped": "2026-01-01T05:02:00Z", "updated": "2026-01-01T05:02:00Z"}});
    for (host, event, body) in [
        (GitLab, "Job Hook", job),
        (Gitea, "workflow_job", workflow_job),
        (Forgejo, "action_run_failure", action_run),
    ] {
        let (name, told) = server.project().await.told(host, event, &body).await;
        assert_eq!(name, "run_finished");
        assert_eq!(
            (&told["name"], &told["status"], &told["branch"], &told["durationMs"]),
            (&json!("test"), &json!("failed"), &json!("main"), &json!(120_000)),
            "{host:?}: {told}"
        );
    }
}

#[tokio::test]
async fn commit_statuses_of_gitea_and_forgejo_are_runs() {
    let server = Server::start().await;
    for host in [Gitea, Forgejo] {
        let status = json!({"sha": HEAD, "context": "ci/test", "state": "failure", "target_url": "https://x",
            "branches": [{"name": "main"}], "updated_at": "2026-01-01T05:00:00Z"});
        let (name, told) = server.project().await.told(host, "status", &status).await;
        assert_eq!(
            (name.as_str(), &told["name"], &told["status"]),
            ("run_finished", &json!("ci/test"), &json!("failed"))
        );
    }
}
