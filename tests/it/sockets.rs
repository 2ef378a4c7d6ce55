//! The WebSocket: many logs on one connection, each every event since, once, in order.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sea_orm::prelude::Uuid;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use trackside::{accounts::NewKey, samples::Repository};

use crate::support::{Project, Server, Socket, any_key, dawn, eventually, socket::position, text};

async fn deliver(project: &Project, from: usize, count: usize) {
    let ping = Repository::new("acme/rocket", dawn()).ping();
    for index in from..from + count {
        project.deliver(&format!("d-{index}"), &ping).await.expect(202);
    }
}

#[tokio::test]
async fn one_socket_carries_the_events_of_many_projects_as_the_stream_would() {
    let server = Server::start().await;
    let first = server.project().await;
    let second = first.tenant.project("Second").await;
    deliver(&first, 0, 2).await;
    let mut socket = Socket::open(&first.client).await;
    socket.subscribe(&first, Some("0")).await;
    let subscribed = socket.control("subscribed").await;
    assert_eq!(subscribed["projectId"], first.id.as_str());
    assert!(text(&subscribed["id"]).ends_with(":0"));
    let mut stream = first.follow(Some("0")).await;
    for _ in 0..2 {
        let frame = socket.next().await.unwrap();
        assert_eq!(frame, stream.next().await.unwrap().data, "an event is what the stream's data is");
    }
    deliver(&second, 0, 3).await;
    second.settled().await;
    socket.subscribe(&second, None).await;
    let subscribed = socket.control("subscribed").await;
    assert!(text(&subscribed["id"]).ends_with(":3"), "without a position it begins now");
    deliver(&second, 3, 1).await;
    assert_eq!(socket.position(&second).await, 4);
    socket.unsubscribe(&second).await;
    assert_eq!(socket.control("unsubscribed").await["projectId"], second.id.as_str());
    deliver(&second, 4, 1).await;
    deliver(&first, 2, 1).await;
    assert_eq!(socket.position(&first).await, 3, "nothing comes of a project that was left");
    socket.subscribe(&second, Some(subscribed["id"].as_str().unwrap())).await;
    socket.control("subscribed").await;
    assert_eq!(socket.position(&second).await, 4, "what came since comes now");
    assert_eq!(socket.position(&second).await, 5);
}

#[tokio::test]
async fn a_position_that_a_log_does_not_have_is_answered_by_a_reset_before_anything_else() {
    let server = Server::start().await;
    let project = server.project().await;
    deliver(&project, 0, 2).await;
    project.settled().await;
    for strange in ["01890000-0000-7000-8000-000000000000:1", "99"] {
        let mut socket = Socket::open(&project.client).await;
        socket.subscribe(&project, Some(strange)).await;
        let reset = socket.control("reset").await;
        assert!(reset["reason"].is_string() && text(&reset["id"]).ends_with(":2"), "{reset}");
        assert_eq!(socket.control("subscribed").await["id"], reset["id"]);
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_an_error_about_its_project_and_the_socket_lives_on() {
    let server = Server::start().await;
    let project = server.project().await;
    let foreign = server.tenant("Other").await.project("Foreign").await;
    let other = project.tenant.project("Other").await;
    let limited = NewKey { projects: Some(vec![project.id.parse().unwrap()]), ..any_key() };
    let limited = server.client(&server.key(project.tenant.id, limited).await);
    let mut socket = Socket::open(&limited).await;
    let missing = Project { id: Uuid::from_u128(1).to_string(), ..project.clone() };
    let mut refusals = Vec::new();
    for out_of_reach in [&foreign, &missing, &other] {
        socket.subscribe(out_of_reach, Some("0")).await;
        let mut error = socket.control("error").await;
        assert_eq!(error["projectId"], out_of_reach.id.as_str());
        assert_eq!(error["code"], "not_found");
        error.as_object_mut().unwrap().remove("projectId");
        refusals.push(error);
    }
    assert!(refusals.windows(2).all(|pair| pair[0] == pair[1]), "they cannot be told apart");
    socket.unsubscribe(&project).await;
    assert_eq!(socket.control("error").await["code"], "not_found");
    for bad in [
        Message::text("{"),
        Message::text("[]"),
        Message::binary(vec![123, 125]),
        Message::text(json!({"action": "pause", "projectId": project.id}).to_string()),
        Message::text(json!({"action": "subscribe", "projectId": "x"}).to_string()),
        Message::text(json!({"action": "subscribe", "projectId": project.id, "since": "0"}).to_string()),
        Message::text(json!({"action": "subscribe", "projectId": project.id, "after": "x"}).to_string()),
    ] {
        let about = bad.to_text().is_ok_and(|text| text.contains(&project.id));
        socket.send_raw(bad).await;
        let error = socket.control("error").await;
        assert_eq!((&error["code"], error.get("projectId").is_some()), (&json!("invalid_request"), about));
    }
    socket.subscribe(&project, Some("0")).await;
    socket.control("subscribed").await;
    socket.subscribe(&project, Some("0")).await;
    assert_eq!(socket.control("error").await["code"], "conflict");
    deliver(&project, 0, 1).await;
    assert_eq!(socket.position(&project).await, 1);
}

#[tokio::test]
async fn a_socket_follows_two_hundred_projects_and_no_more() {
    let server = Server::start().await;
    let tenant = server.tenant("Acme").await;
    let mut socket = Socket::open(&tenant.client).await;
    let mut projects = Vec::new();
    for index in 0..201 {
        projects.push(tenant.project(&format!("p-{index}")).await);
    }
    for project in &projects[..200] {
        socket.subscribe(project, Some("0")).await;
        socket.control("subscribed").await;
    }
    socket.subscribe(&projects[200], Some("0")).await;
    assert_eq!(socket.control("error").await["code"], "conflict");
    socket.unsubscribe(&projects[7]).await;
    socket.control("unsubscribed").await;
    socket.subscribe(&projects[200], Some("0")).await;
    socket.control("subscribed").await;
    deliver(&projects[200], 0, 1).await;
    assert_eq!(socket.position(&projects[200]).await, 1);
}

#[tokio::test]
async fn frames_that_are_too_large_too_many_or_no_frames_close_the_socket_with_a_code_that_says_so() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut large = Socket::open(&project.client).await;
    large.send_raw(Message::text("x".repeat(64 * 1024))).await;
    assert_eq!(large.control("error").await["code"], "invalid_request", "64 KiB are taken");
    large.send_raw(Message::text("x".repeat(64 * 1024 + 1))).await;
    assert_eq!(large.ended().await, Some(1009));
    let mut flood = Socket::open(&project.client).await;
    for _ in 0..1_100 {
        flood.send_raw(Message::Pong(Vec::new().into())).await;
    }
    assert_eq!(flood.ended().await, Some(1008));
    eventually("both are gone", async || server.service.app.metrics.streams_open.get() == 0).await;
}

#[tokio::test]
async fn a_socket_ends_with_the_key_it_was_opened_with() {
    let server = Server::start().await;
    let project = server.project().await;
    let until = dawn() + chrono::TimeDelta::hours(1);
    let expiring = server.key(project.tenant.id, NewKey { expires_at: Some(until), ..any_key() }).await;
    let mut expiring = Socket::open(&server.client(&expiring)).await;
    let made = json!({"name": "short", "role": "viewer"});
    let made = project.client.post("/api/v1/api-keys", made).await.expect(201).json;
    let mut revoked = Socket::open(&server.client(&text(&made["key"]))).await;
    let path = format!("/api/v1/api-keys/{}", text(&made["id"]));
    project.client.delete(&path).await.expect(200);
    for (socket, end) in [(&mut revoked, 0), (&mut expiring, 3_600)] {
        server.advance(end);
        assert_eq!(socket.control("error").await["code"], "unauthenticated");
        assert_eq!(socket.ended().await, Some(1008));
    }
    server.stranger().get("/api/v1/events/ws").await.refused(401, "unauthenticated");
    project.client.get("/api/v1/events/ws").await.refused(400, "invalid_request");
    project.client.post("/api/v1/events/ws", json!({})).await.refused(405, "method_not_allowed");
}

#[tokio::test]
async fn a_quiet_socket_is_pinged_and_one_that_does_not_answer_is_cut_off() {
    let server = Server::start_with(&[("TRACKSIDE_HEARTBEAT_SECONDS", "1")]).await;
    let project = server.project().await;
    let mut answers = Socket::open(&project.client).await;
    let silent = Socket::open(&project.client).await;
    let app = &server.service.app;
    assert_eq!(app.metrics.streams_open.get(), 2);
    answers.pinged(5).await;
    eventually("the silent one is cut off", async || app.metrics.streams_open.get() == 1).await;
    answers.subscribe(&project, None).await;
    answers.control("subscribed").await;
    drop(silent);
}

#[tokio::test]
async fn at_shutdown_sockets_are_told_when_to_come_back_and_resume_after_it() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut socket = Socket::open(&project.client).await;
    socket.subscribe(&project, None).await;
    let last = text(&socket.control("subscribed").await["id"]);
    let restarting = tokio::spawn(server.restart());
    let retry = socket.control("reconnect").await["retryMs"].as_u64().unwrap();
    assert!((500..=6_000).contains(&retry), "{retry}");
    assert_eq!(socket.ended().await, Some(1012));
    let server = restarting.await.unwrap();
    let project = server.again(&project);
    deliver(&project, 0, 1).await;
    let mut socket = Socket::open(&project.client).await;
    socket.subscribe(&project, Some(&last)).await;
    socket.control("subscribed").await;
    assert_eq!(socket.position(&project).await, 1);
}

/// What a client of the socket knows of one project.
#[derive(Default)]
struct Known {
    /// Whether it has been told that it is subscribed.
    is_subscribed: bool,
    /// Whether it has asked for the opposite and has not been answered.
    is_asking: bool,
    last: Option<String>,
    seen: i64,
    events: i64,
}

impl Known {
    /// Takes in a frame about this project, and checks that it may come now.
    fn take(&mut self, frame: &Value) {
        match frame["type"].as_str() {
            Some("subscribed") => {
                assert!(self.is_asking && !self.is_subscribed, "{frame}");
                let id = text(&frame["id"]);
                self.seen = id.rsplit_once(':').unwrap().1.parse().unwrap();
                assert!(self.last.as_ref().is_none_or(|last| *last == id), "it begins where it was asked to");
                (self.is_subscribed, self.is_asking, self.last) = (true, false, Some(id));
            }
            Some("unsubscribed") => {
                assert!(self.is_asking && self.is_subscribed, "{frame}");
                (self.is_subscribed, self.is_asking) = (false, false);
            }
            Some(_) => panic!("{frame}"),
            None => {
                assert!(self.is_subscribed, "an event of a project that was left: {frame}");
                assert_eq!(position(frame), self.seen + 1, "no gap, no repetition, no disorder");
                (self.seen, self.last, self.events) =
                    (self.seen + 1, Some(text(&frame["id"])), self.events + 1);
            }
        }
    }
}

#[tokio::test]
async fn whatever_a_client_does_it_sees_every_position_of_what_it_follows_once_in_order() {
    const EVENTS: usize = 300;
    let server = Server::start().await;
    let tenant = server.tenant("Acme").await;
    let mut projects = Vec::new();
    for name in ["a", "b", "c"] {
        projects.push(tenant.project(name).await);
    }
    let feeding: Vec<_> = projects
        .iter()
        .map(|project| {
            let project = project.clone();
            tokio::spawn(async move { deliver(&project, 0, EVENTS).await })
        })
        .collect();
    let mut random = StdRng::seed_from_u64(5);
    let mut known: [Known; 3] = Default::default();
    let mut socket = Socket::open(&tenant.client).await;
    let mut steps = 0;
    while steps < 600 || known.iter().any(|known| known.seen < EVENTS as i64) {
        steps += 1;
        let which = random.random_range(0..3);
        let (project, about) = (&projects[which], &mut known[which]);
        match random.random_range(0..20) {
            0..4 if !about.is_asking && !about.is_subscribed => {
                // From where it left off as a rule, sometimes from now or from the beginning.
                let after = match random.random_range(0..8) {
                    0 => None,
                    1 => Some("0".to_owned()),
                    _ => about.last.clone().or(Some("0".to_owned())),
                };
                if after.is_none() || after.as_deref() == Some("0") {
                    about.last = None;
                }
                socket.subscribe(project, after.as_deref()).await;
                about.is_asking = true;
            }
            4 if !about.is_asking && about.is_subscribed => {
                socket.unsubscribe(project).await;
                about.is_asking = true;
            }
            5 if random.random_bool(0.2) => {
                socket = Socket::open(&tenant.client).await;
                for known in &mut known {
                    (known.is_subscribed, known.is_asking) = (false, false);
                }
            }
            _ => {
                let follows = known
                    .iter()
                    .any(|known| known.is_asking || (known.is_subscribed && known.seen < EVENTS as i64));
                if follows {
                    let frame = socket.next().await.expect("the socket stays open");
                    let id = text(&frame["projectId"]);
                    let which = projects.iter().position(|project| project.id == id).unwrap();
                    known[which].take(&frame);
                }
            }
        }
    }
    for feeding in feeding {
        feeding.await.unwrap();
    }
    assert!(known.iter().all(|known| known.events > 0));
}

#[tokio::test]
async fn a_socket_counts_among_the_open_connections() {
    let server = Server::start_with(&[("TRACKSIDE_MAX_CONNECTIONS", "1")]).await;
    let tenant = server.tenant("Acme").await;
    let mut first = Socket::open(&tenant.client).await;
    let second = tokio::spawn(async move { Socket::open(&tenant.client).await });
    for _ in 0..200 {
        first.send(json!({})).await;
        first.control("error").await;
    }
    assert!(!second.is_finished(), "it waits for a place");
    drop(first);
    second.await.unwrap();
}
