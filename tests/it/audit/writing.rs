//! Recording: by itself, with a change, from several processes, and when something fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use futures::future::join_all;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::json;
use trackside::{
    app::App,
    audit::{Entry, Outcome, fingerprint},
    clock::{Clock, Ids},
    config::{Config, Sources},
    database::TenantId,
    error::{Code, Error},
};

use super::{call, expect_well, record, record_with_change, verify};
use crate::support::{Server, number, sabotage};

const COUNT: &str = "SELECT count(*) FROM mcp_audit_log";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_once_in_several_processes_are_each_recorded_once() {
    let server = Server::start().await;
    let another = server.another(&[]).await;
    let (acme, other) = (server.tenant("Acme").await.id, server.tenant("Other").await.id);
    let calls = (0..400).map(|index| {
        let server = if index % 2 == 0 { &server } else { &another };
        let entry = Entry {
            error: (index % 5 == 0).then(|| "not_found".to_owned()),
            ..call(if index % 3 == 0 { other } else { acme }, &format!("tool_{index}"))
        };
        async move {
            match index % 4 < 2 {
                true => record(server, entry).await,
                false => record_with_change(server, entry).await,
            }
        }
    });
    join_all(calls).await;
    for (tenant, records) in [(acme, 266), (other, 134)] {
        expect_well(verify(&server, tenant).await, records);
    }
    let database = server.database().await;
    assert_eq!(number(&database, "SELECT count(DISTINCT tool) FROM mcp_audit_log").await, 400);
    assert_eq!(number(&database, COUNT).await, 400);
    assert_eq!(
        number(&database, "SELECT count(*) FROM audit_head").await,
        6,
        "of three writers and two tenants"
    );
    assert_eq!(number(&database, "SELECT CAST(sum(position) AS bigint) FROM audit_head").await, 400);
}

#[tokio::test]
async fn a_change_that_is_undone_leaves_no_record_of_its_call() {
    let server = Server::start().await;
    let tenant = server.tenant("Acme").await.id;
    let app = &server.service.app;
    let log = app.audit.clone();
    let undone = app.database.write(tenant, move |tx| {
        Box::pin(async move {
            log.record_in(tx, call(tenant, "claim_work")).await?;
            Err::<(), _>(Error::invalid("on purpose"))
        })
    });
    assert_eq!(undone.await.unwrap_err().code, Code::InvalidRequest);
    assert_eq!(number(&server.database().await, COUNT).await, 0);
}

#[tokio::test]
async fn a_call_is_never_recorded_in_another_tenants_transaction() {
    let server = Server::start().await;
    let (acme, other) = (server.tenant("Acme").await.id, server.tenant("Other").await.id);
    let app = &server.service.app;
    let log = app.audit.clone();
    let foreign = app
        .database
        .write(acme, move |tx| Box::pin(async move { log.record_in(tx, call(other, "claim_work")).await }));
    assert_eq!(foreign.await.unwrap_err().code, Code::Internal);
}

#[tokio::test]
async fn what_a_caller_says_of_itself_is_kept_short_and_on_one_line() {
    let server = Server::start().await;
    let tenant = server.tenant("Acme").await.id;
    let long = "x\n\0\u{1b}".repeat(10_000);
    let entry = Entry { user_agent: Some(long.clone()), error: Some(long.clone()), ..call(tenant, &long) };
    record(&server, Entry { result: Outcome::Failure, ..entry }).await;
    let longest = "SELECT max(length(tool) + length(error) + length(user_agent)) FROM mcp_audit_log";
    let database = server.database().await;
    let sum = format!("SELECT CAST(({longest}) AS bigint)");
    assert_eq!(number(&database, &sum).await, 800);
}

#[tokio::test]
async fn a_call_that_cannot_be_recorded_is_an_error_and_the_next_ones_go_on_where_the_chain_is() {
    let server = Server::start().await;
    let tenant = server.tenant("Acme").await.id;
    record(&server, call(tenant, "before")).await;
    let (database, log) = (server.database().await, server.service.app.audit.clone());
    sabotage::refuse_inserts(&database, "mcp_audit_log", "on purpose").await;
    let refused = join_all((0..20).map(|_| log.record(call(tenant, "refused")))).await;
    assert!(refused.iter().all(Result::is_err), "none of them is answered as if it were recorded");
    sabotage::mend(&database, "mcp_audit_log").await;
    join_all((0..20).map(|_| record(&server, call(tenant, "after")))).await;
    assert_eq!(expect_well(verify(&server, tenant).await, 21).chains, 1);
}

#[tokio::test]
async fn one_bad_call_harms_no_other_that_came_with_it() {
    let server = Server::start().await;
    let (acme, other) = (server.tenant("Acme").await.id, server.tenant("Other").await.id);
    let (database, log) = (server.database().await, server.service.app.audit.clone());
    // What nobody should be able to bring about, since text is cleaned: one row that the database does not take.
    sabotage::refuse_inserts_when(&database, "mcp_audit_log", "NEW.tool = 'bad'", "on purpose").await;
    let calls = (0..30).map(|index| {
        let tenant = if index % 2 == 0 { acme } else { other };
        log.record(call(tenant, if index == 11 { "bad" } else { "good" }))
    });
    let outcomes = join_all(calls).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 1);
    expect_well(verify(&server, acme).await, 15);
    expect_well(verify(&server, other).await, 14);
}

/// Where a process of its own records: the settings of its parent's place, and the tenant.
const RECORDS_IN: &str = "TRACKSIDE_TEST_RECORDS_IN";

/// The child of the test below: it records, and says so, until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_records_until_it_is_killed() {
    let Ok(place) = std::env::var(RECORDS_IN) else { return };
    let (tenant, environment): (TenantId, BTreeMap<String, String>) = serde_json::from_str(&place).unwrap();
    let config = Config::load(&Sources { environment, ..Sources::default() }).unwrap();
    let (clock, address) = (Clock::system(), config.listen);
    let app = App::open(config, clock.clone(), Ids::system(clock), address).await.unwrap();
    let lanes = (0..8).map(|lane| {
        let app = &app;
        async move {
            for index in 0.. {
                let (tool, log) = (format!("{}-{lane}-{index}", std::process::id()), app.audit.clone());
                let entry = call(tenant, &tool);
                let recorded = match index % 4 {
                    0 => {
                        let with_change = app
                            .database
                            .write(tenant, move |tx| Box::pin(async move { log.record_in(tx, entry).await }));
                        with_change.await
                    }
                    _ => log.record(entry).await,
                };
                recorded.unwrap();
                writeln!(std::io::stdout(), "recorded {tool}").unwrap();
            }
        }
    });
    join_all(lanes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_in_the_middle_of_a_burst_loses_no_record_and_leaves_whole_chains() {
    let server = Server::start().await;
    let tenant = server.tenant("Acme").await.id;
    let settings: BTreeMap<_, _> = server.place.settings().into_iter().collect();
    let place = serde_json::to_string(&(tenant.0, settings)).unwrap();
    let mut recorded = BTreeSet::new();
    for round in 1..=4 {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["audit::writing::a_process_records_until_it_is_killed", "--exact", "--nocapture"])
            .env(RECORDS_IN, &place)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let told = |line: String| Some(line.split_once("recorded ")?.1.to_owned());
        recorded.extend(lines.by_ref().filter_map(told).take(150 * round));
        process.kill().unwrap();
        recorded.extend(lines.filter_map(told));
        process.wait().unwrap();
    }
    let database = server.database().await;
    let tools = "SELECT tool FROM mcp_audit_log";
    let rows = database.query_all_raw(Statement::from_string(database.get_database_backend(), tools)).await;
    let stored: Vec<String> = rows.unwrap().iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    let unique: BTreeSet<_> = stored.iter().cloned().collect();
    assert_eq!(unique.len(), stored.len(), "each once");
    let lost: Vec<_> = recorded.difference(&unique).collect();
    assert!(recorded.len() >= 1_500 && lost.is_empty(), "of {} lost: {lost:?}", recorded.len());
    let verified = verify(&server, tenant).await;
    assert!(verified.findings.is_empty(), "{:#?}", verified.findings);
    // A server may still commit what a process had sent before it was killed.
    assert!(verified.records >= stored.len() as u64, "{} of {}", verified.records, stored.len());
    assert_eq!(verified.chains, 5, "one of each process, and one of changes");
}

#[test]
fn the_same_arguments_have_the_same_fingerprint_however_they_were_written() {
    let parse = |text| serde_json::from_str(text).unwrap();
    let one = fingerprint(&parse(r#"{"b": 1.0, "a": ["\u00e4", null]}"#));
    assert_eq!(one, fingerprint(&parse(r#"{"a":["ä",null],"b":1}"#)));
    assert_ne!(one, fingerprint(&parse(r#"{"a":["a",null],"b":1}"#)));
    let known = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    assert_eq!(hex::encode(fingerprint(&json!({}))), known, "SHA-256 of `{{}}`");
}
