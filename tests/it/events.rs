//! The log and its streams: every event since, once, in order, or an explicit reset.

use std::time::Duration;

use proptest::prelude::*;
use rand::{SeedableRng as _, rngs::StdRng};
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use trackside::samples::Repository;

use crate::support::{Project, Server, dawn, eventually, number, text};

async fn deliver(project: &Project, from: usize, count: usize) {
    let ping = Repository::new("acme/rocket", dawn()).ping();
    for index in from..from + count {
        project.deliver(&format!("d-{index}"), &ping).await.expect(202);
    }
}

/// The rows of each page of a list.
async fn pages(project: &Project, query: &str) -> Vec<Vec<Value>> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = project.path(&format!("/events?{query}{cursor}"));
        let page = project.client.get(&path).await.expect(200).json;
        pages.push(page["items"].as_array().unwrap().clone());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn positions_are_one_two_three_and_ids_name_their_log() {
    let server = Server::start().await;
    let project = server.project().await;
    deliver(&project, 0, 5).await;
    let events = project.events().await;
    let log = text(&events[0]["id"]).split_once(':').unwrap().0.to_owned();
    let ids: Vec<_> = events.iter().map(|event| text(&event["id"])).collect();
    assert_eq!(ids, (1..=5).map(|position| format!("{log}:{position}")).collect::<Vec<_>>());
    assert!(events.iter().all(|event| event["projectId"] == project.id.as_str()));
    assert_eq!(events[0]["timestamp"], "2026-01-01T06:00:00Z");
}

#[tokio::test]
async fn the_list_takes_the_same_position_as_the_stream() {
    let server = Server::start().await;
    let project = server.project().await;
    deliver(&project, 0, 5).await;
    let events = project.events().await;
    let after = text(&events[2]["id"]);
    assert_eq!(project.all(&format!("/events?after={after}")).await, events[3..]);
    assert_eq!(project.all("/events?after=4").await, events[4..]);
    assert_eq!(project.all("/events?after=5").await, [] as [serde_json::Value; 0]);
    for bad in ["6", "-1", "x", "a:b", "01890000-0000-7000-8000-000000000000:1", "%2B1"] {
        let path = project.path(&format!("/events?after={bad}"));
        project.client.get(&path).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_log_is_read_either_way_page_by_page() {
    let server = Server::start().await;
    let project = server.project().await;
    deliver(&project, 0, 7).await;
    let events = project.events().await;
    let newest_first: Vec<_> = events.iter().rev().cloned().collect();
    assert_eq!(pages(&project, "limit=3&order=asc").await.concat(), events);
    let back = pages(&project, "limit=3&order=DESC").await;
    assert_eq!((back.iter().map(Vec::len).collect::<Vec<_>>(), back.concat()), (vec![3, 3, 1], newest_first));
    let since = text(&events[4]["id"]);
    let back = pages(&project, &format!("limit=1&order=desc&after={since}")).await;
    assert_eq!(back.concat(), [events[6].clone(), events[5].clone()], "no further back than that");
    assert_eq!(pages(&project, "order=desc&after=7").await.concat(), [] as [Value; 0]);
    for bad in ["order=sideways", "order=desc&after=8", "name=coffee", "name=push&name=coffee"] {
        project.client.get(&project.path(&format!("/events?{bad}"))).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_log_is_narrowed_to_events_of_some_names() {
    let server = Server::start().await;
    let project = server.project().await;
    deliver(&project, 0, 3).await;
    project.settled().await;
    project.client.patch(&project.path(""), json!({"name": "Second"})).await.expect(200);
    deliver(&project, 3, 2).await;
    let events = project.events().await;
    let of = |names: &[&str]| {
        let named = events.iter().filter(|event| names.iter().any(|name| event["event"] == *name));
        named.cloned().collect::<Vec<_>>()
    };
    let changed = pages(&project, "name=project_changed").await.concat();
    assert_eq!((changed.len(), &changed), (1, &of(&["project_changed"])));
    let both = "name=project_changed&name=Delivery_Received&limit=2";
    assert_eq!(pages(&project, both).await.concat(), of(&["project_changed", "delivery_received"]));
    let mut back = pages(&project, &format!("{both}&order=desc")).await.concat();
    back.reverse();
    assert_eq!(back, of(&["project_changed", "delivery_received"]));
    assert_eq!(pages(&project, "name=run_started").await.concat(), [] as [Value; 0]);
}

#[tokio::test]
async fn a_name_that_is_rare_in_a_long_log_is_found_over_several_pages() {
    let server = Server::start().await;
    let project = server.project().await;
    deliver(&project, 0, 1).await;
    let rare = project.events().await;
    let database = server.database().await;
    database
        .execute_unprepared(
            "BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) \
             INSERT INTO event (project_id, position, tenant_id, name, payload, created_at) \
             SELECT project_id, position + i, tenant_id, 'push', '{}', '2026-01-01T00:00:00+00:00' \
             FROM event_head, n; UPDATE event_head SET position = position + 6000; COMMIT",
        )
        .await
        .unwrap();
    let none = Vec::new();
    let forth = pages(&project, "name=delivery_received").await;
    assert_eq!(forth, [rare.clone(), none.clone()], "a page leads on where it stopped to look");
    let back = pages(&project, "name=delivery_received&order=desc").await;
    assert_eq!(back, [none, rare]);
}

#[tokio::test]
async fn a_stream_without_a_position_begins_now_and_one_from_zero_at_the_beginning() {
    let server = Server::start().await;
    let project = server.project().await;
    deliver(&project, 0, 3).await;
    project.settled().await;
    let mut now = project.follow(None).await.greeted().await;
    let mut all = project.follow(Some("0")).await;
    deliver(&project, 3, 1).await;
    assert_eq!(now.next().await.unwrap().position(), 4);
    for position in 1..=4 {
        assert_eq!(all.next().await.unwrap().position(), position);
    }
    let listed = project.events().await;
    let by_query = format!("/events/stream?after={}", text(&listed[2]["id"]));
    let mut by_query =
        crate::support::EventStream::open(&project.client, &project.path(&by_query), None).await;
    assert_eq!(by_query.next().await.unwrap().data, listed[3], "a frame holds what the list holds");
}

#[tokio::test]
async fn a_position_that_this_log_does_not_have_is_answered_by_a_reset() {
    let server = Server::start().await;
    let project = server.project().await;
    deliver(&project, 0, 2).await;
    project.settled().await;
    for (round, strange) in ["01890000-0000-7000-8000-000000000000:1", "99"].into_iter().enumerate() {
        let mut stream = project.follow(Some(strange)).await;
        let reset = stream.next().await.unwrap();
        assert_eq!(reset.event, "reset");
        assert_eq!(stream.last_id.as_deref(), reset.data["id"].as_str());
        let head = 2 + round as i64;
        assert!(text(&reset.data["id"]).ends_with(&format!(":{head}")));
        let mut resumed = project.follow(stream.last_id.as_deref()).await;
        deliver(&project, 2 + round, 1).await;
        for stream in [&mut stream, &mut resumed] {
            let next = stream.next().await.unwrap();
            assert_eq!(
                (next.event.as_str(), next.position()),
                ("delivery_received", head + 1),
                "it goes on from there"
            );
        }
    }
    let path = project.path("/events/stream?after=nonsense");
    project.client.get(&path).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_quiet_stream_carries_heartbeats() {
    let server = Server::start_with(&[("TRACKSIDE_HEARTBEAT_SECONDS", "1")]).await;
    let project = server.project().await;
    let mut stream = project.follow(None).await.greeted().await;
    for _ in 0..2 {
        assert_eq!(stream.next_frame().await.unwrap().comment, "heartbeat");
    }
}

#[tokio::test]
async fn an_event_that_another_process_wrote_is_late_by_a_second_at_most() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut stream = project.follow(None).await.greeted().await;
    let elsewhere = server.database().await;
    elsewhere
        .execute_unprepared(
            "BEGIN; UPDATE event_head SET position = position + 1; \
             INSERT INTO event (project_id, position, tenant_id, name, payload, created_at) \
             SELECT project_id, position, tenant_id, 'push', '{}', '2026-01-01T00:00:00+00:00' FROM event_head; COMMIT",
        )
        .await
        .unwrap();
    assert_eq!(stream.next().await.unwrap().position(), 1);
}

#[tokio::test]
async fn a_subscriber_that_comes_and_goes_two_hundred_times_sees_every_event_once_in_order() {
    let server = Server::start().await;
    let project = server.project().await;
    const EVENTS: i64 = 1_000;
    let feeding = tokio::spawn({
        let project = project.clone();
        async move { deliver(&project, 0, EVENTS as usize).await }
    });
    let mut random = StdRng::seed_from_u64(20);
    let (mut seen, mut last_id, mut visits) = (0, Some("0".to_owned()), 0);
    while seen < EVENTS || visits < 200 {
        let mut stream = project.follow(last_id.as_deref()).await;
        visits += 1;
        for _ in 0..random.random_range(0..12) {
            if seen == EVENTS {
                break;
            }
            let frame = stream.next().await.expect("the stream stays open");
            seen += 1;
            assert_eq!(frame.position(), seen, "no gap, no repetition, no disorder");
        }
        // An EventSource that saw no event resumes from the greeting's id, or from what it had.
        last_id = stream.last_id.clone().or(last_id);
    }
    feeding.await.unwrap();
    assert!(visits >= 200);
}

#[tokio::test]
async fn many_subscribers_see_the_same_events_in_the_same_order() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut streams = Vec::new();
    for _ in 0..100 {
        streams.push(project.follow(Some("0")).await);
    }
    deliver(&project, 0, 50).await;
    for mut stream in streams {
        for position in 1..=50 {
            assert_eq!(stream.next().await.unwrap().position(), position);
        }
    }
}

#[tokio::test]
async fn a_reader_that_stalls_is_cut_off_while_others_go_on_and_it_misses_nothing() {
    let server = Server::start().await;
    let project = server.project().await;
    // It asks for the stream and never reads: the kernel's buffers fill, then the service lets go.
    let key = project.client.key.clone().unwrap();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stalled = socket.connect(server.service.address).await.unwrap();
    let request = format!(
        "GET {}?after=0 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n",
        project.path("/events/stream")
    );
    stalled.write_all(request.as_bytes()).await.unwrap();
    let open = &server.service.app.metrics.streams_open;
    eventually("the stream is open", async || open.get() == 1).await;

    let mut other = project.follow(Some("0")).await;
    let large = json!({"ref": "refs/heads/main", "compare": "x".repeat(100_000)}).to_string().into_bytes();
    for index in 0..60 {
        project.deliver_bytes(&format!("d-{index}"), "push", large.clone()).await.expect(202);
        for position in [2 * index + 1, 2 * index + 2] {
            assert_eq!(other.next().await.unwrap().position(), position, "nobody waits for the stalled one");
        }
    }
    eventually("the stalled stream is cut off", async || open.get() == 1).await;
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stalled.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "the connection has ended");
    assert!(String::from_utf8_lossy(&rest).contains("delivery_received"), "what was sent was the log");
}

#[tokio::test]
async fn at_shutdown_streams_are_told_when_to_come_back_and_end() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut stream = project.follow(None).await.greeted().await;
    let stopping = tokio::spawn(server.service.stop());
    let mut farewell = None;
    while let Some(frame) = stream.next_frame().await {
        farewell = Some(frame.comment);
    }
    assert!(farewell.is_some_and(|words| words.contains("shutting down")), "the last frame says so");
    assert!(stream.retry.is_some_and(|retry| (500..=6_000).contains(&retry)), "{:?}", stream.retry);
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_log_without_gaps_holds_as_many_events_as_its_head_says() {
    let server = Server::start().await;
    let project = server.project().await;
    deliver(&project, 0, 40).await;
    project.settled().await;
    let database = server.database().await;
    let head = number(&database, "SELECT position FROM event_head").await;
    assert_eq!(head, number(&database, "SELECT count(*) FROM event").await);
    assert_eq!(head, number(&database, "SELECT max(position) FROM event").await);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_sent_as_a_position_is_understood_or_refused(after in "[ -~]{0,50}") {
        thread_local! {
            static STAGE: (tokio::runtime::Runtime, Server, Project) = {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                let server = runtime.block_on(Server::start());
                let project = runtime.block_on(server.project());
                (runtime, server, project)
            };
        }
        STAGE.with(|(runtime, _, project)| {
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("after", &after).finish();
            let answer = runtime.block_on(project.client.get(&project.path(&format!("/events?{query}"))));
            assert!(matches!(answer.status, 200 | 400), "{}", answer.body);
        });
    }
}
