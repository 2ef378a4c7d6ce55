//! What the states of a host's runs come to: the same in any order, and never a negative duration.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use trackside::samples::Repository;

use crate::support::{
    Project, Server, dawn,
    hosts::{Event, HOSTS, Host, Step},
};

fn at(seconds: i64) -> DateTime<Utc> {
    dawn() + TimeDelta::seconds(seconds)
}

/// Everything that a host can tell of a pipeline, a job and a commit status, whose clock may be off in between.
fn states(host: Host, skew: i64) -> Vec<Event> {
    let step = |state, started: Option<i64>, ended: Option<i64>, attempt| Step {
        state,
        started: started.map(at),
        ended: ended.map(|second| at(second + skew)),
        attempt,
    };
    let mut steps = vec![
        step("queued", None, None, 1),
        step("running", Some(10), None, 1),
        step("failed", Some(10), Some(40), 1),
    ];
    if host == Host::Gitea {
        steps.extend([step("running", Some(60), None, 2), step("success", Some(60), Some(95), 2)]);
    }
    let mut told: Vec<_> =
        steps.iter().flat_map(|step| [host.pipeline(*step), host.job(*step)]).flatten().collect();
    let statuses =
        [("pending", 0), ("pending", 5), ("success", 10), ("pending", 20), ("pending", 21), ("failed", 33)];
    told.extend(statuses.iter().filter_map(|(state, second)| host.status(state, at(*second))));
    told
}

/// The runs of a project after a host has told it these, one after the other; without what differs by project.
async fn runs_after(server: &Server, host: Host, events: &[&Event]) -> Vec<Value> {
    let project = server.project().await;
    for (index, event) in events.iter().enumerate() {
        project.post_as(host, &format!("{}-{index}", event.0), event).await.expect(202);
        project.settled().await;
    }
    let mut runs = project.all("/runs").await;
    for run in &mut runs {
        run.as_object_mut().unwrap().remove("id");
    }
    runs.sort_by_key(|run| run["kind"].to_string());
    runs
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_order_of_its_states_a_run_ends_as_the_same_row(
        host in proptest::sample::select(HOSTS.to_vec()),
        skew in proptest::sample::select(vec![0, -3_600, 3_600]),
        order in proptest::collection::vec(any::<proptest::sample::Index>(), 24),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let server = Server::start().await;
            let states = states(host, skew);
            let in_order: Vec<_> = states.iter().collect();
            // Each once at least, in any order, and some more than once.
            let mut left = in_order.clone();
            let mut any_order = Vec::new();
            for index in &order {
                if left.is_empty() {
                    any_order.push(*index.get(&in_order));
                } else {
                    any_order.push(left.swap_remove(index.index(left.len())));
                }
            }
            any_order.append(&mut left);
            let expected = runs_after(&server, host, &in_order).await;
            assert_eq!(runs_after(&server, host, &any_order).await, expected, "{host:?}");
            let durations = expected.iter().filter_map(|run| run["durationMs"].as_i64());
            assert!(durations.min().unwrap_or(0) >= 0, "{expected:?}");
        });
    }
}

#[tokio::test]
async fn a_commit_status_took_from_when_it_was_first_under_way_to_its_end() {
    let server = Server::start().await;
    for host in [Host::Bitbucket, Host::Gitea, Host::Forgejo] {
        let states = states(host, 0);
        let states: Vec<_> = states.iter().filter(|(name, _)| name.contains("status")).collect();
        let row = async |states: &[&Event]| {
            let mut runs = runs_after(&server, host, states).await;
            let run = runs.remove(0);
            (run["status"].clone(), run["startedAt"].clone(), run["durationMs"].clone())
        };
        let began = json!("2026-01-01T06:00:00Z");
        assert_eq!(row(&states[..2]).await, (json!("running"), began.clone(), Value::Null), "{host:?}");
        assert_eq!(row(&states[..3]).await, (json!("success"), began, json!(10_000)), "{host:?}");
        let again = json!("2026-01-01T06:00:20Z");
        assert_eq!(row(&states).await, (json!("failed"), again, json!(13_000)), "{host:?}");
        assert_eq!(row(&states[2..3]).await, (json!("success"), Value::Null, Value::Null), "{host:?}");
    }
}

#[tokio::test]
async fn bitbucket_says_when_a_status_was_made_which_is_when_it_began() {
    let server = Server::start().await;
    let (event, mut body) = Host::Bitbucket.status("success", at(30)).unwrap();
    body["commit_status"]["created_on"] = json!("2026-01-01T06:00:00.000000+00:00");
    let runs = runs_after(&server, Host::Bitbucket, &[&(event, body)]).await;
    assert_eq!(runs[0]["durationMs"], 30_000);
}

/// A run that began a while after it ended, and what its host counted, if it counts.
async fn odd_run(server: &Server, host: Host, counted: Value) -> (Value, Project) {
    let project = server.project().await;
    let step = Step { state: "success", started: Some(at(3_600)), ended: Some(at(30)), attempt: 1 };
    let (event, mut body) = match host {
        Host::GitLabToken | Host::GitLabSigned => host.job(step).unwrap(),
        Host::Forgejo => {
            let run = json!({
                "id": 8, "workflow_id": "ci.yml", "prettyref": "main", "status": "success",
                "started": "2026-01-01T07:00:00Z", "stopped": "2026-01-01T06:00:30Z",
            });
            ("action_run_success", json!({"action": "success", "run": run}))
        }
        _ => host.pipeline(step).unwrap(),
    };
    if host == Host::Forgejo {
        body["run"]["duration"] = counted;
    } else {
        body["build_duration"] = counted;
    }
    project.post_as(host, "d-1", &(event, body)).await.expect(202);
    project.settled().await;
    (project.all("/runs").await.remove(0), project)
}

#[tokio::test]
async fn a_run_that_ended_before_it_began_took_what_its_host_counted_or_nobody_knows() {
    let server = Server::start().await;
    for (host, counted, told) in [
        (Host::GitLabToken, json!(12.5), json!(12_500)),
        (Host::GitLabSigned, json!(null), Value::Null),
        (Host::GitLabToken, json!(-5), Value::Null),
        (Host::GitLabToken, json!("soon"), Value::Null),
        (Host::Forgejo, json!(12_500_000_000_u64), json!(12_500)),
        (Host::Forgejo, json!(null), Value::Null),
        (Host::Gitea, json!(7), Value::Null),
    ] {
        let (run, project) = odd_run(&server, host, counted).await;
        assert_eq!((&run["status"], &run["durationMs"]), (&json!("success"), &told), "{host:?}");
        assert_eq!(run["startedAt"], "2026-01-01T07:00:00Z", "times are shown as they were told");
        assert_eq!(run["finishedAt"], "2026-01-01T06:00:30Z");
        let events = project.events().await;
        let end = events.iter().rfind(|event| event["event"] == "run_finished").unwrap();
        assert_eq!((&end["event"], &end["payload"]["durationMs"]), (&json!("run_finished"), &told));
    }
    let project = server.project().await;
    let mut repository = Repository::new("acme/rocket", at(3_600));
    repository.push("main", &[]);
    let mut check = repository.check_run(7, "lint", "completed", Some("success"));
    check.body["check_run"]["completed_at"] = json!("2026-01-01T06:00:30Z");
    project.deliver("d-1", &check).await.expect(202);
    project.settled().await;
    assert_eq!(project.all("/runs").await[0]["durationMs"], Value::Null);
}

#[tokio::test]
async fn of_two_ends_at_the_same_moment_one_stands_whichever_comes_first() {
    let server = Server::start().await;
    let [good, bad] = ["success", "failed"].map(|state| Host::Gitea.status(state, at(10)).unwrap());
    let one = runs_after(&server, Host::Gitea, &[&good, &bad]).await;
    assert_eq!(runs_after(&server, Host::Gitea, &[&bad, &good]).await, one);
    assert_eq!(one[0]["status"], "failed");
}
