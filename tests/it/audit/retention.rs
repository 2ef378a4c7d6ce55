//! Records go by age, and what is pruned is told from what somebody has removed.

use sea_orm::ConnectionTrait as _;
use trackside::audit::{Entry, prune};

use super::{call, expect_well, record, record_with_change, verify};
use crate::support::{Server, eventually, number, process::run};

const DAY: i64 = 24 * 3600;

/// Records two calls, now.
async fn two_calls(server: &Server, tenant: trackside::database::TenantId) {
    let entry = Entry { at: server.clock.now(), ..call(tenant, "get_run") };
    record(server, entry.clone()).await;
    record_with_change(server, entry).await;
}

#[tokio::test]
async fn what_has_come_of_age_is_pruned_and_the_rest_still_proves_to_be_whole() {
    let server = Server::start_with(&[("TRACKSIDE_AUDIT_RETENTION_DAYS", "30")]).await;
    let tenant = server.tenant("Acme").await.id;
    for _ in 0..3 {
        two_calls(&server, tenant).await;
        server.advance(10 * DAY);
    }
    let database = server.database().await;
    let count = async || number(&database, "SELECT count(*) FROM mcp_audit_log").await;
    assert_eq!(count().await, 6, "nothing is older than 30 days");
    server.advance(DAY);
    prune(&server.service.app).await.unwrap();
    assert_eq!(count().await, 4);
    assert_eq!(expect_well(verify(&server, tenant).await, 4).pruned, 2);
    server.advance(10 * DAY);
    prune(&server.service.app).await.unwrap();
    assert_eq!(count().await, 2);
    two_calls(&server, tenant).await;
    assert_eq!(expect_well(verify(&server, tenant).await, 4).pruned, 4);
    database.execute_unprepared("DELETE FROM mcp_audit_log WHERE position = 3").await.unwrap();
    assert_eq!(verify(&server, tenant).await.findings.len(), 2, "by hand is not by age");
}

#[tokio::test]
async fn nobody_has_us_prune_what_is_young_by_making_it_look_old() {
    let server = Server::start().await;
    let tenant = server.tenant("Acme").await.id;
    two_calls(&server, tenant).await;
    let database = server.database().await;
    database
        .execute_unprepared("UPDATE mcp_audit_log SET called_at = '2020-01-01 00:00:00+00:00'")
        .await
        .unwrap();
    prune(&server.service.app).await.unwrap();
    assert_eq!(verify(&server, tenant).await.findings.len(), 2, "the traces are still there");
}

#[tokio::test]
async fn heads_of_processes_long_gone_are_given_up_and_still_counted() {
    let mut server = Server::start().await;
    let tenant = server.tenant("Acme").await.id;
    for _ in 0..4 {
        two_calls(&server, tenant).await;
        server = server.restart().await;
    }
    two_calls(&server, tenant).await;
    assert_eq!(expect_well(verify(&server, tenant).await, 10).chains, 6);
    server.advance(91 * DAY);
    let database = server.database().await;
    eventually("an hour brings the heads to be given up", async || {
        server.advance(3600);
        number(&database, "SELECT count(*) FROM audit_head").await == 1
    })
    .await;
    let verified = expect_well(verify(&server, tenant).await, 0);
    assert_eq!((verified.chains, verified.retired), (1, 5), "the chain of changes stays");
    // The process whose chain was given up still runs.
    two_calls(&server, tenant).await;
    two_calls(&server, tenant).await;
    let verified = expect_well(verify(&server, tenant).await, 4);
    assert_eq!((verified.chains, verified.retired), (2, 5));
}

#[tokio::test]
async fn the_command_line_says_that_all_is_well_or_what_is_not() {
    let server = Server::start().await;
    let tenant = server.tenant("Acme").await.id;
    server.tenant("Other").await;
    two_calls(&server, tenant).await;
    let verify = |arguments: &[&str]| {
        let command = ["audit", "verify"].iter().chain(arguments).copied().collect::<Vec<_>>();
        let output = run(server.place.path(), &command);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, words) = verify(&[]);
    assert_eq!(code, Some(0), "{words}");
    assert!(
        words.contains("Acme: all is well: 2 records in 2 chains") && words.contains("Other: all is well: 0")
    );
    let database = server.database().await;
    database.execute_unprepared("UPDATE mcp_audit_log SET tool = 'other' WHERE position = 1").await.unwrap();
    let (code, words) = verify(&["--tenant", "Acme"]);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("Acme: chain 0") && words.contains("position 1, record 0"), "{words}");
    assert!(words.contains("called at 2026-01-01T06:00:00Z: this record was changed"), "{words}");
    assert_eq!(verify(&["--tenant", "Other"]).0, Some(0));
    let (code, document) = verify(&["--json"]);
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let findings = document.as_array().unwrap().iter().map(|it| it["findings"].as_array().unwrap().len());
    assert_eq!((code, findings.sum::<usize>()), (Some(1), 2));
}
