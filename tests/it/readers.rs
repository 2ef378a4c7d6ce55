//! P5 and P13 with many readers at once: those that stall are cut off, those that come back miss nothing.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use trackside::samples::Repository;

use crate::support::{EventStream, Project, Server, Socket, dawn, eventually};

/// Asks for a stream and never reads: the kernel's buffers fill, then the service lets go.
async fn stalled_stream(server: &Server, project: &Project) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.service.address).await.unwrap();
    let (path, key) = (project.path("/events/stream"), project.client.key.as_deref().unwrap());
    let request = format!("GET {path}?after=0 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn readers_that_stall_are_cut_off_and_those_beside_them_miss_nothing() {
    const EVENTS: i64 = 120; // of about 100 kB every other one: far more than the kernel keeps for anybody
    let server = Server::start().await;
    let project = server.project().await;
    let (mut streams, mut sockets) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        streams.push(stalled_stream(&server, &project).await);
        let mut socket = Socket::open(&project.client).await;
        socket.subscribe(&project, Some("0")).await;
        sockets.push(socket);
    }
    let open = &server.service.app.metrics.streams_open;
    eventually("all are open", async || open.get() == 10).await;
    let mut healthy = Vec::new();
    for _ in 0..3 {
        let mut stream = project.follow(Some("0")).await;
        healthy.push(tokio::spawn(async move {
            for position in 1..=EVENTS {
                assert_eq!(stream.next().await.unwrap().position(), position);
            }
            stream.next_frame().await.is_some_and(|frame| frame.comment.contains("shutting down"))
        }));
        let (mut socket, project) = (Socket::open(&project.client).await, project.clone());
        healthy.push(tokio::spawn(async move {
            socket.subscribe(&project, Some("0")).await;
            socket.control("subscribed").await;
            for position in 1..=EVENTS {
                assert_eq!(socket.position(&project).await, position);
            }
            socket.ended().await == Some(1012)
        }));
    }
    let large = json!({"ref": "refs/heads/main", "compare": "x".repeat(100_000)}).to_string().into_bytes();
    for index in 0..EVENTS / 2 {
        project.deliver_bytes(&format!("d-{index}"), "push", large.clone()).await.expect(202);
    }
    project.settled().await;
    eventually("the stalled are cut off, and nobody else", async || open.get() == 6).await;
    // What was sent to them was the log, as far as it went, and their connections have ended.
    for mut stream in streams {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(String::from_utf8_lossy(&rest).contains("delivery_received"));
    }
    let mut seen = Vec::new();
    for mut socket in sockets {
        socket.control("subscribed").await;
        let mut position = 0;
        while let Some(event) = socket.next().await {
            position += 1;
            assert_eq!(crate::support::socket::position(&event), position);
        }
        seen.push(position);
    }
    assert!(seen.iter().all(|seen| (1..EVENTS).contains(seen)), "{seen:?}");
    server.service.stop().await;
    for healthy in healthy {
        assert!(healthy.await.unwrap(), "it is told of the shutdown, which it lived to see");
    }
}

#[tokio::test]
async fn a_thousand_subscribers_that_come_back_at_once_each_get_every_event_once_in_order() {
    const SUBSCRIBERS: usize = 1_000;
    let server = Server::start_with(&[("TRACKSIDE_STREAMS_PER_PRINCIPAL", "0")]).await;
    let project = server.project().await;
    let ping = Repository::new("acme/rocket", dawn()).ping();
    let deliver = async |project: &Project, from: usize| {
        for index in from..from + 20 {
            project.deliver(&format!("d-{index}"), &ping).await.expect(202);
        }
    };
    deliver(&project, 0).await;
    let mut subscribers = Vec::new();
    for index in 0..SUBSCRIBERS {
        let project = project.clone();
        subscribers.push(tokio::spawn(async move {
            let mut stream = project.follow(Some("0")).await;
            for position in 1..=(index % 21) as i64 {
                assert_eq!(stream.next().await.unwrap().position(), position);
            }
            stream
        }));
    }
    let mut streams = Vec::new();
    for subscriber in subscribers {
        streams.push(subscriber.await.unwrap());
    }
    let open = &server.service.app.metrics.streams_open;
    eventually("all are open", async || open.get() == SUBSCRIBERS as i64).await;
    // Each remembers what it has seen, and all are cut off at once.
    let last_ids: Vec<_> = streams.iter().map(|stream| stream.last_id.clone().unwrap()).collect();
    drop(streams);
    let server = server.restart().await;
    let project = server.again(&project);
    deliver(&project, 20).await;
    let subscribers: Vec<_> = (0..SUBSCRIBERS)
        .zip(last_ids)
        .map(|(index, last_id)| {
            let project = project.clone();
            tokio::spawn(async move {
                let open = async |from: &str| {
                    EventStream::open(&project.client, &project.path("/events/stream"), Some(from)).await
                };
                let mut stream = open(&last_id).await;
                for position in (index % 21) as i64 + 1..=60 {
                    let event = loop {
                        match stream.next().await {
                            Some(event) => break event,
                            // Where a machine has too much to do, who is slow is cut off, and comes back again.
                            None => stream = open(stream.last_id.as_deref().unwrap_or(&last_id)).await,
                        }
                    };
                    assert_eq!(event.position(), position);
                }
            })
        })
        .collect();
    deliver(&project, 40).await;
    for subscriber in subscribers {
        subscriber.await.unwrap();
    }
}
