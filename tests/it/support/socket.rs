//! A client of the WebSocket, as a dashboard is one.

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{net::TcpSocket, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _, http::Response},
};

use super::{Client, PATIENCE, Project};

/// An open socket.
pub(crate) struct Socket {
    frames: WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>,
    /// The pings that came so far.
    pub(crate) pings: usize,
    /// The code with which the service closed it.
    pub(crate) closed: Option<u16>,
}

const PATH: &str = "/api/v1/events/ws";

impl Socket {
    /// Opens one with the client's key.
    pub(crate) async fn open(client: &Client) -> Self {
        Self::try_open(client, "").await.expect("a socket")
    }

    /// Opens one, or gives what was answered instead.
    pub(crate) async fn try_open(client: &Client, query: &str) -> Result<Self, Response<Option<Vec<u8>>>> {
        let mut request =
            client.address("ws", &format!("{PATH}{query}")).into_client_request().expect("a request");
        if let Some(key) = &client.key {
            let value = format!("Bearer {key}").parse().expect("a header");
            request.headers_mut().insert("authorization", value);
        }
        let address = client.address("http", "").replacen("http://", "", 1).parse().expect("an address");
        // A small buffer, so that one that does not read is soon known not to.
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a buffer");
        let stream = socket.connect(address).await.expect("a connection");
        match timeout(PATIENCE, client_async(request, MaybeTlsStream::Plain(stream)))
            .await
            .expect("an answer")
        {
            Ok((frames, _)) => Ok(Self { frames, pings: 0, closed: None }),
            Err(Error::Http(response)) => Err(*response),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.send_raw(Message::text(frame.to_string())).await;
    }

    /// Sends any frame; whoever has been hung up on does not notice.
    pub(crate) async fn send_raw(&mut self, message: Message) {
        let _ = self.frames.send(message).await;
    }

    pub(crate) async fn subscribe(&mut self, project: &Project, after: Option<&str>) {
        self.send(json!({"action": "subscribe", "projectId": project.id, "after": after})).await;
    }

    pub(crate) async fn unsubscribe(&mut self, project: &Project) {
        self.send(json!({"action": "unsubscribe", "projectId": project.id})).await;
    }

    /// The next frame; none when the socket has been closed.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        let next = async {
            loop {
                match self.frames.next().await? {
                    Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).expect("JSON")),
                    Ok(Message::Ping(_)) => self.pings += 1,
                    Ok(Message::Close(frame)) => self.closed = frame.map(|frame| frame.code.into()),
                    Ok(other) => panic!("an unexpected frame: {other:?}"),
                    Err(_) => return None,
                }
            }
        };
        // Pings alone do not keep a test waiting.
        timeout(PATIENCE, next).await.expect("something on the socket")
    }

    /// The next frame, which has to be a control frame of this type.
    pub(crate) async fn control(&mut self, kind: &str) -> Value {
        let frame = self.next().await.expect("a frame");
        assert_eq!(frame["type"], kind, "{frame}");
        assert!(frame.get("event").is_none(), "{frame}");
        frame
    }

    /// The position of the next frame, which has to be an event of this project.
    pub(crate) async fn position(&mut self, project: &Project) -> i64 {
        let frame = self.next().await.expect("a frame");
        assert_eq!(frame["projectId"], project.id.as_str(), "{frame}");
        position(&frame)
    }

    /// Reads a ping at least.
    pub(crate) async fn pinged(&mut self, times: usize) {
        while self.pings < times {
            match timeout(PATIENCE, self.frames.next()).await.expect("something on the socket") {
                Some(Ok(Message::Ping(_))) => self.pings += 1,
                other => panic!("not a ping: {other:?}"),
            }
        }
    }

    /// Reads on until the service has closed it; gives the code.
    pub(crate) async fn ended(&mut self) -> Option<u16> {
        while self.next().await.is_some() {}
        self.closed
    }
}

/// The position of an event.
pub(crate) fn position(event: &Value) -> i64 {
    assert!(event.get("type").is_none(), "not an event: {event}");
    let id = event["id"].as_str().expect("an event has an id");
    id.rsplit_once(':').expect("logId:position").1.parse().expect("a number")
}
