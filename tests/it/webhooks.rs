//! Signed deliveries: what is taken in, what is refused, and that neither can do harm.

use std::io::Write as _;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use proptest::prelude::*;
use serde_json::json;
use trackside::samples::{Repository, sign};

use crate::support::{Project, Server, any_key, dawn, number, text};

fn repository() -> Repository {
    Repository::new("acme/rocket", dawn())
}

/// Posts with these headers beside the ordinary ones, of which those with the same name are left out.
async fn post_with(project: &Project, headers: &[(&str, &str)], body: &[u8]) -> crate::support::Answer {
    let signature = sign(&project.secret, body);
    let ordinary = [
        ("content-type", "application/json"),
        ("x-github-event", "ping"),
        ("x-github-delivery", "d-1"),
        ("x-hub-signature-256", signature.as_str()),
    ];
    let mut all: Vec<_> =
        ordinary.into_iter().filter(|(name, _)| headers.iter().all(|(other, _)| other != name)).collect();
    all.extend(headers.iter().filter(|(_, value)| *value != "(absent)"));
    project.client.clone().without_key().post_bytes(&project.endpoint(), &all, body.to_vec()).await
}

#[tokio::test]
async fn a_signed_delivery_is_accepted_once_and_a_repetition_is_told_so() {
    let (project, _server) = Server::start().await.project_and_server().await;
    let push = repository().ping();
    let first = project.deliver("d-1", &push).await.expect(202).json;
    assert_eq!((&first["status"], &first["deliveryId"]), (&json!("accepted"), &json!("d-1")));
    let second = project.deliver("d-1", &push).await.expect(202).json;
    assert_eq!((&second["status"], &second["deliveryId"]), (&json!("duplicate"), &json!("d-1")));
    assert_eq!(project.events().await.len(), 1);
}

#[tokio::test]
async fn the_same_delivery_a_hundred_times_at_once_has_one_row_and_one_effect() {
    let server = Server::start().await;
    let project = server.project().await;
    let push = repository().push("main", &[]);
    let answers = join_all((0..100).map(|_| project.deliver("same", &push))).await;
    let statuses = answers.into_iter().map(|answer| text(&answer.expect(202).json["status"]));
    assert_eq!(statuses.filter(|status| status == "accepted").count(), 1);
    assert_eq!(project.event_names().await, ["push"]);
    assert_eq!(number(&server.database().await, "SELECT count(*) FROM webhook_event").await, 1);
}

#[tokio::test]
async fn the_same_delivery_id_in_another_project_is_another_delivery() {
    let server = Server::start().await;
    let tenant = server.tenant("Acme").await;
    let (a, b) = (tenant.project("A").await, tenant.project("B").await);
    for project in [a, b] {
        let receipt = project.deliver("d-1", &repository().ping()).await.expect(202).json;
        assert_eq!(receipt["status"], "accepted");
    }
}

#[tokio::test]
async fn no_signature_but_the_right_one_is_accepted() {
    let server = Server::start().await;
    let project = server.project().await;
    let body = repository().ping().bytes();
    let right = sign(&project.secret, &body);
    let upper = right.to_uppercase().replace("SHA256", "sha256");
    let wrong = sign("whsec_another", &body);
    for signature in
        ["(absent)", "", &wrong, &right[..70], &right[7..], &upper, &format!("{right}0"), "sha1=abc"]
    {
        let answer = post_with(&project, &[("x-hub-signature-256", signature)], &body).await;
        answer.refused(401, "invalid_signature");
    }
    let doubled = [("x-hub-signature-256", right.as_str()), ("x-hub-signature-256", right.as_str())];
    post_with(&project, &doubled, &body).await.refused(401, "invalid_signature");
    let mut changed = body.clone();
    changed[20] ^= 1;
    post_with(&project, &[("x-hub-signature-256", &right)], &changed).await.refused(401, "invalid_signature");
    assert_eq!(number(&server.database().await, "SELECT count(*) FROM webhook_event").await, 0);
    post_with(&project, &[("x-hub-signature-256", &right)], &body).await.expect(202);
}

#[tokio::test]
async fn a_signature_is_checked_before_anything_is_said_of_the_content() {
    let server = Server::start().await;
    let project = server.project().await;
    let unsigned = [("x-hub-signature-256", "(absent)"), ("x-github-delivery", "(absent)")];
    post_with(&project, &unsigned, b"not json").await.refused(401, "invalid_signature");
    post_with(&project, &[("x-github-delivery", "(absent)")], b"{}").await.refused(400, "invalid_request");
    post_with(&project, &[], b"not json").await.refused(400, "invalid_request");
    post_with(&project, &[], b"").await.refused(400, "invalid_request");
    post_with(&project, &[], b"{} {}").await.refused(400, "invalid_request");
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_404_whatever_is_posted() {
    let server = Server::start().await;
    let project = server.project().await;
    let nobody = server.stranger();
    let paths = [
        format!("/webhooks/svn/{}", project.id),
        format!("/webhooks/GitHub/{}", project.id),
        "/webhooks/github/01890000-0000-7000-8000-000000000000".to_owned(),
        "/webhooks/github/not-an-id".to_owned(),
    ];
    for path in paths {
        nobody.post_bytes(&path, &[], b"{}".to_vec()).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_form_body_is_signed_as_it_came_and_read_from_its_payload_field() {
    let (project, _server) = Server::start().await.project_and_server().await;
    let json = repository().push("main", &[]).bytes();
    let form: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", std::str::from_utf8(&json).unwrap())
        .finish();
    let form_type = [("content-type", "application/x-www-form-urlencoded"), ("x-github-event", "push")];
    post_with(&project, &form_type, form.as_bytes()).await.expect(202);
    assert_eq!(project.event_names().await, ["push"]);
    let no_payload = [("content-type", "application/x-www-form-urlencoded"), ("x-github-delivery", "d-2")];
    post_with(&project, &no_payload, b"other=1").await.refused(400, "invalid_request");
}

#[tokio::test]
async fn hostile_json_is_stored_and_harms_nothing() {
    let (project, _server) = Server::start().await.project_and_server().await;
    let deep = format!("{{\"x\":{}1{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let long = format!("{{\"commits\":\"{}\"}}", "x".repeat(1_000_000));
    let bodies: [&[u8]; 6] = [
        deep.as_bytes(),
        br#"{"ref":"refs/heads/a\u0000b\ud800","commits":[{"message":"\u0000","added":["docs/prd\udfff.md"]}]}"#,
        b"{\"ref\":\"refs/heads/\xff\xfe\"}",
        b"null",
        br#"{"commits":{"not":"a list"}}"#,
        long.as_bytes(),
    ];
    for (index, body) in bodies.iter().enumerate() {
        let id = format!("d-{index}");
        let headers = [("x-github-event", "push"), ("x-github-delivery", id.as_str())];
        post_with(&project, &headers, body).await.expect(202);
    }
    project.settled().await;
    let failed = project.all("/deliveries?status=failed").await;
    let reasons: Vec<_> = failed.iter().map(|delivery| text(&delivery["lastError"])).collect();
    assert_eq!(failed.len(), 3, "what is not a push at all is parked, and says why: {reasons:?}");
    let is_short = |reason: &String| reason.len() < 400 && reason.contains("not what GitHub documents");
    assert!(reasons.iter().all(is_short), "{reasons:?}");
}

#[tokio::test]
async fn an_empty_or_unknown_event_is_stored_and_logged() {
    let (project, _server) = Server::start().await.project_and_server().await;
    for (id, event) in [("d-1", ""), ("d-2", "(absent)"), ("d-3", "moon_phase")] {
        post_with(&project, &[("x-github-event", event), ("x-github-delivery", id)], b"{}").await.expect(202);
    }
    let events = project.events().await;
    assert!(events.iter().all(|event| event["event"] == "delivery_received"));
    let types: Vec<_> = events.iter().map(|event| text(&event["payload"]["eventType"])).collect();
    assert_eq!(types, ["", "", "moon_phase"]);
}

#[tokio::test]
async fn a_body_of_32_mib_is_taken_and_one_of_33_is_not() {
    let server = Server::start().await;
    let project = server.project().await;
    let body_of = |mib: usize| format!("{{\"x\":\"{}\"}}", "a".repeat(mib * 1024 * 1024 - 8)).into_bytes();
    project.deliver_bytes("d-1", "ping", body_of(32)).await.expect(202);
    let before = resident_kib();
    project.deliver_bytes("d-2", "ping", body_of(33)).await.refused(413, "payload_too_large");
    // The client's own copy of the body is in this process too.
    assert!(resident_kib() - before < 3 * 33 * 1024, "memory stays flat");
    let listed = project.all("/deliveries").await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["bodyBytes"], 32 * 1024 * 1024);
}

/// Memory of this process, in KiB.
fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_body_without_a_length_is_cut_off_at_the_limit() {
    let server = Server::start().await;
    let project = server.project().await;
    let piece = bytes::Bytes::from(vec![b' '; 1024 * 1024]);
    let endless = futures::stream::iter((0..200).map(move |_| Ok::<_, std::io::Error>(piece.clone())));
    let request = project.client.request(reqwest::Method::POST, &project.endpoint());
    // The service stops reading at some point, so either its answer arrives or the connection ends.
    if let Ok(answer) = request.body(reqwest::Body::wrap_stream(endless)).send().await {
        assert_eq!(answer.status(), 413);
    }
    project.client.get("/health").await.expect(200);
}

#[tokio::test]
async fn while_a_secret_is_rotated_both_are_accepted_and_then_only_the_new_one() {
    let server = Server::start().await;
    let old = server.project().await;
    let rotate = old.path("/webhook-secret/rotate");
    let answer = old.client.post(&rotate, json!({"overlapSeconds": 60})).await.expect(200).json;
    let new = Project { secret: text(&answer["webhookSecret"]), ..old.clone() };
    let until: DateTime<Utc> = text(&answer["oldSecretExpiresAt"]).parse().unwrap();
    assert_eq!(until, dawn() + chrono::TimeDelta::seconds(60));
    old.deliver("d-1", &repository().ping()).await.expect(202);
    new.deliver("d-2", &repository().ping()).await.expect(202);
    server.advance(60);
    old.deliver("d-3", &repository().ping()).await.refused(401, "invalid_signature");
    new.deliver("d-4", &repository().ping()).await.expect(202);
    for seconds in [-1, 2_592_001] {
        old.client.post(&rotate, json!({"overlapSeconds": seconds})).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_delivery_shows_everything_that_came_but_credentials() {
    let (project, _server) = Server::start().await.project_and_server().await;
    let push = repository().push("main", &[]);
    let body = push.bytes();
    let headers = [
        ("x-github-event", "push"),
        ("authorization", "Bearer hush"),
        ("cookie", "hush"),
        ("x-extra", "kept"),
    ];
    post_with(&project, &headers, &body).await.expect(202);
    project.settled().await;
    let listed = project.all("/deliveries").await;
    assert_eq!(listed.len(), 1);
    let shown = project
        .client
        .get(&project.path(&format!("/deliveries/{}", text(&listed[0]["id"]))))
        .await
        .expect(200);
    assert!(!shown.body.contains("hush"), "credentials are not kept");
    assert_eq!(shown.json["body"].as_str().unwrap().as_bytes(), body, "byte for byte");
    let kept = shown.json["headers"].as_array().unwrap();
    assert!(kept.contains(&json!({"name": "x-extra", "value": "kept"})));
    let names: Vec<_> =
        shown.json["events"].as_array().unwrap().iter().map(|event| text(&event["event"])).collect();
    assert_eq!(names, ["delivery_received", "push"]);
    assert_eq!(shown.json["status"], "processed");
}

#[tokio::test]
async fn deliveries_are_listed_newest_first_page_by_page_and_by_status_and_event() {
    let server = Server::start().await;
    let project = server.project().await;
    for index in 0..25 {
        let event = if index % 5 == 0 { "star" } else { "watch" };
        project.deliver_bytes(&format!("d-{index}"), event, b"{}".to_vec()).await.expect(202);
        server.advance(1);
    }
    project.settled().await;
    let first = project.client.get(&project.path("/deliveries?limit=10")).await.expect(200).json;
    assert_eq!(first["items"].as_array().unwrap().len(), 10);
    let ids: Vec<_> = project.all("/deliveries").await.iter().map(|row| text(&row["deliveryId"])).collect();
    assert_eq!(ids, (0..25).rev().map(|index| format!("d-{index}")).collect::<Vec<_>>());
    assert_eq!(project.all("/deliveries?eventType=star").await.len(), 5);
    assert_eq!(project.all("/deliveries?status=PROCESSED").await.len(), 25);
    assert!(project.all("/deliveries?status=failed").await.is_empty());
    for bad in ["?limit=0", "?limit=201", "?cursor=nonsense", "?status=lost"] {
        project.client.get(&project.path(&format!("/deliveries{bad}"))).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_replay_processes_the_bytes_that_came_and_causes_nothing_twice() {
    let (project, _server) = Server::start().await.project_and_server().await;
    let mut repository = repository();
    let commit = trackside::samples::Commit { added: &["docs/prd.md"], ..Default::default() };
    let receipt = project.deliver("d-1", &repository.push("main", &[commit])).await.expect(202).json;
    let before = project.events().await;
    let replay = project.path(&format!("/deliveries/{}/replay", text(&receipt["id"])));
    let replayed = project.client.post(&replay, json!({})).await.expect(202).json;
    assert_eq!(replayed["status"], "pending");
    assert_eq!(project.events().await, before, "what it has already caused is not caused twice");

    // With a pattern that was not there before, the same bytes mean more.
    let config = json!({"artifactPaths": {"other": ["docs/**"]}});
    project.client.patch(&project.path(""), json!({"config": config})).await.expect(200);
    project.client.post(&replay, json!({})).await.expect(202);
    assert_eq!(
        project.event_names().await,
        ["push", "artifact_updated", "project_changed", "artifact_updated"]
    );
    let missing = project.path("/deliveries/01890000-0000-7000-8000-000000000000/replay");
    project.client.post(&missing, json!({})).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_viewer_sees_deliveries_and_may_not_replay_them() {
    let server = Server::start().await;
    let project = server.project().await;
    let receipt = project.deliver("d-1", &repository().ping()).await.expect(202).json;
    project.settled().await;
    let viewer = trackside::accounts::NewKey { role: trackside::accounts::Role::Viewer, ..any_key() };
    let viewer = server.client(&server.key(project.tenant.id, viewer).await);
    viewer.get(&project.path("/deliveries")).await.expect(200);
    let replay = project.path(&format!("/deliveries/{}/replay", text(&receipt["id"])));
    viewer.post(&replay, json!({})).await.refused(403, "insufficient_scope");
}

#[tokio::test]
async fn a_thousand_deliveries_at_once_share_few_transactions_and_none_is_lost() {
    let server = Server::start().await;
    let project = server.project().await;
    let ping = repository().ping();
    let ids: Vec<_> = (0..1000).map(|index| format!("d-{index}")).collect();
    let answers = join_all(ids.iter().map(|id| project.deliver(id, &ping))).await;
    assert!(answers.iter().all(|answer| answer.status == 202));
    assert_eq!(project.events().await.len(), 1000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_posted_the_service_answers_and_accepts_nothing_unsigned(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        signature in "(sha256=)?[0-9a-fA-F]{0,66}",
        event in "[ -~]{0,20}",
        content_type in "[ -~]{0,30}",
    ) {
        thread_local! {
            static STAGE: (tokio::runtime::Runtime, Server, Project) = {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                let server = runtime.block_on(Server::start());
                let project = runtime.block_on(server.project());
                (runtime, server, project)
            };
        }
        STAGE.with(|(runtime, _, project)| {
            let headers = [
                ("x-hub-signature-256", signature.as_str()),
                ("x-github-event", event.trim()),
                ("content-type", content_type.trim()),
            ];
            let answer = runtime.block_on(post_with(project, &headers, &body));
            assert_eq!(answer.status, 401, "{}", answer.body);
        });
    }
}

impl Server {
    /// A project, with the server that has to live as long.
    async fn project_and_server(self) -> (Project, Self) {
        (self.project().await, self)
    }
}

#[tokio::test]
async fn more_bodies_than_memory_is_set_aside_for_are_refused_and_told_when_to_come_back() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Server::start().await;
    let project = server.project().await;
    // Nine senders of 31 MiB each, none of whom comes to an end: together more than 256 MiB.
    let head =
        format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", project.endpoint(), 32 << 20);
    let mut senders = Vec::new();
    for _ in 0..9 {
        let mut sender = tokio::net::TcpStream::connect(server.service.address).await.unwrap();
        sender.write_all(head.as_bytes()).await.unwrap();
        senders.push(sender);
    }
    let body = vec![b' '; 31 << 20];
    let refused = futures::future::select_all(senders.iter_mut().map(|sender| {
        let body = &body;
        Box::pin(async move {
            let _ = sender.write_all(body).await;
            let mut answer = vec![0; 4096];
            let read = sender.read(&mut answer).await.unwrap_or(0);
            String::from_utf8_lossy(&answer[..read]).into_owned()
        })
    }));
    let (answer, _, _) =
        tokio::time::timeout(crate::support::PATIENCE, refused).await.expect("one is refused");
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after"), "{answer}");
    drop(senders);
    let ping = repository().ping();
    crate::support::eventually("there is room again", async || {
        project.deliver("d-1", &ping).await.status == 202
    })
    .await;
}

#[test]
fn a_half_sent_body_is_no_delivery() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start());
    let project = runtime.block_on(server.project());
    let mut socket = std::net::TcpStream::connect(server.service.address).unwrap();
    let head = format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{", project.endpoint());
    socket.write_all(head.as_bytes()).unwrap();
    drop(socket);
    runtime.block_on(project.client.get("/health")).expect(200);
    assert!(runtime.block_on(project.all("/deliveries")).is_empty());
}
