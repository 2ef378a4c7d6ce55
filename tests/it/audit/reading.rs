//! The log over REST: who may see it, what it is narrowed by, and as a file for a spreadsheet.

use chrono::TimeDelta;
use reqwest::Method;
use trackside::{
    accounts::{NewKey, PrincipalId, Role},
    audit::{Entry, Outcome},
};
use uuid::Uuid;

use super::{call, record};
use crate::support::{Project, Server, any_key, client::answer, text};

/// The tools of a list, in its order.
async fn tools(project: &Project, list: &str) -> Vec<String> {
    let page = project.client.get(list).await.expect(200).json;
    page["items"].as_array().unwrap().iter().map(|row| text(&row["tool"])).collect()
}

#[tokio::test]
async fn calls_are_listed_newest_first_and_narrowed_by_each_filter() {
    let server = Server::start().await;
    let project = server.project().await;
    let (tenant, id) = (project.tenant.id, Some(project.id.parse().unwrap()));
    let now = server.clock.now();
    record(&server, call(tenant, "list_projects")).await;
    record(&server, Entry { project: id, ..call(tenant, "get_run") }).await;
    server.advance(60);
    let mut refused = Entry { project: id, result: Outcome::RateLimited, ..call(tenant, "list_runs") };
    (refused.at, refused.actor.id) = (now + TimeDelta::seconds(60), PrincipalId(Uuid::from_u128(9)));
    record(&server, refused).await;
    let path = |query: &str| project.path(&format!("/tool-calls{query}"));
    assert_eq!(tools(&project, "/api/v1/tool-calls").await, ["list_runs", "get_run", "list_projects"]);
    assert_eq!(tools(&project, &path("")).await, ["list_runs", "get_run"]);
    assert_eq!(tools(&project, &path("?tool=get_run")).await, ["get_run"]);
    assert_eq!(tools(&project, &path("?result=RATE_LIMITED")).await, ["list_runs"]);
    assert_eq!(tools(&project, &path(&format!("?actor={}", Uuid::from_u128(9)))).await, ["list_runs"]);
    assert_eq!(tools(&project, &path("?from=2026-01-01T06:00:30Z")).await, ["list_runs"]);
    assert_eq!(tools(&project, &path("?until=2026-01-01T06:00:30Z")).await, ["get_run"]);
    let first = project.client.get(&path("?limit=1")).await.expect(200).json;
    let next = path(&format!("?limit=1&cursor={}", text(&first["nextCursor"])));
    assert_eq!(tools(&project, &next).await, ["get_run"]);
    let row = &first["items"][0];
    assert_eq!(
        (&row["result"], &row["durationUs"], &row["actorKind"]),
        (&"rate_limited".into(), &1500.into(), &"service_account".into())
    );
}

#[tokio::test]
async fn only_who_may_read_the_log_reads_it_and_only_of_projects_within_reach() {
    let server = Server::start().await;
    let (ours, theirs) = (server.project().await, server.project().await);
    let second = ours.tenant.project("Second").await;
    for (project, tool) in [(&ours, "a"), (&second, "b"), (&theirs, "c")] {
        let id = Some(project.id.parse().unwrap());
        record(&server, Entry { project: id, ..call(project.tenant.id, tool) }).await;
    }
    assert_eq!(tools(&ours, "/api/v1/tool-calls").await, ["b", "a"], "nothing of another tenant's");
    ours.client.get(&theirs.path("/tool-calls")).await.refused(404, "not_found");
    let limited = NewKey { role: Role::Admin, projects: Some(vec![ours.id.parse().unwrap()]), ..any_key() };
    let limited = server.client(&server.key(ours.tenant.id, limited).await);
    let limited = Project { client: limited, ..ours.clone() };
    assert_eq!(tools(&limited, "/api/v1/tool-calls").await, ["a"], "of projects out of reach nothing either");
    limited.client.get(&second.path("/tool-calls")).await.refused(404, "not_found");
    let member = server.client(&server.key(ours.tenant.id, any_key()).await);
    member.get("/api/v1/tool-calls").await.refused(403, "insufficient_scope");
    member.get(&ours.path("/tool-calls?format=csv")).await.refused(403, "insufficient_scope");
}

#[tokio::test]
async fn an_export_has_every_row_and_nothing_that_a_spreadsheet_would_run() {
    let server = Server::start().await;
    let project = server.project().await;
    let tenant = project.tenant.id;
    let app = &server.service.app;
    let dangerous = ["=1+1", "+1", "-1", "@SUM(A1)", "a,\"b\"", "plain"];
    for tool in dangerous {
        record(&server, call(tenant, tool)).await;
    }
    let many = (0..1_200).map(|index| app.audit.record(call(tenant, &format!("tool_{index}"))));
    futures::future::try_join_all(many).await.unwrap();
    let csv = project.client.get("/api/v1/tool-calls?format=csv").await.expect(200);
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    let mut reader = csv::Reader::from_reader(csv.body.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 1_206);
    let tools: Vec<_> = rows[1_200..].iter().rev().map(|row| row[2].to_owned()).collect();
    assert_eq!(tools, ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "a,\"b\"", "plain"]);
    let accept = project.client.request(Method::GET, "/api/v1/tool-calls?tool=plain");
    let plain = answer(accept.header("accept", "text/csv")).await.expect(200);
    assert_eq!(plain.body.lines().count(), 2);
    assert!(plain.body.starts_with("id,calledAt,tool,result,error,"), "{}", plain.body);
}
