//! A subscriber, as a browser's EventSource is one.

use futures::StreamExt as _;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::time::timeout;

use super::{Client, PATIENCE};

type Bytes = futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>;

/// An open event stream.
pub(crate) struct EventStream {
    bytes: Bytes,
    buffer: String,
    /// What an EventSource would send as `Last-Event-ID` when it reconnects.
    pub(crate) last_id: Option<String>,
    /// What it would wait before, in milliseconds.
    pub(crate) retry: Option<u64>,
}

/// One frame of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Frame {
    pub(crate) event: String,
    pub(crate) data: Value,
    pub(crate) comment: String,
}

impl EventStream {
    pub(crate) async fn open(client: &Client, path: &str, after: Option<&str>) -> Self {
        let mut request = client.request(Method::GET, path);
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        Self { last_id: after.map(Into::into), ..Self::answering(request).await }
    }

    /// The stream that answers a request.
    pub(crate) async fn answering(request: RequestBuilder) -> Self {
        // A stream outlives the client's usual patience.
        let response = request.timeout(PATIENCE * 10).send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { bytes: response.bytes_stream().boxed(), buffer: String::new(), last_id: None, retry: None }
    }

    /// The next frame of any kind; none when the stream has ended.
    pub(crate) async fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some((raw, rest)) = self.buffer.split_once("\n\n") {
                let (raw, rest) = (raw.to_owned(), rest.to_owned());
                self.buffer = rest;
                return Some(self.read(&raw));
            }
            let chunk = timeout(PATIENCE, self.bytes.next()).await.expect("something on the stream")?.ok()?;
            self.buffer.push_str(std::str::from_utf8(&chunk).expect("frames are cut at characters"));
        }
    }

    /// The next event; none when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let next = async {
            loop {
                let frame = self.next_frame().await?;
                if !frame.event.is_empty() {
                    return Some(frame);
                }
            }
        };
        timeout(PATIENCE, next).await.expect("an event on the stream")
    }

    /// Reads past the greeting, after which the stream is live.
    pub(crate) async fn greeted(mut self) -> Self {
        while self.last_id.is_none() {
            self.next_frame().await.expect("a greeting");
        }
        self
    }

    fn read(&mut self, raw: &str) -> Frame {
        let mut frame = Frame::default();
        for line in raw.lines() {
            match line.split_once(':').map(|(field, value)| (field, value.trim_start())) {
                Some(("", comment)) => frame.comment = comment.to_owned(),
                Some(("id", id)) => self.last_id = Some(id.to_owned()),
                Some(("event", event)) => frame.event = event.to_owned(),
                Some(("data", data)) => frame.data = serde_json::from_str(data).expect("data is JSON"),
                Some(("retry", retry)) => self.retry = Some(retry.parse().expect("a number")),
                _ => panic!("not a line of a stream: {line}"),
            }
        }
        frame
    }
}

impl Frame {
    /// The position within its log.
    pub(crate) fn position(&self) -> i64 {
        let id = self.data["id"].as_str().expect("an event has an id");
        id.rsplit_once(':').expect("logId:position").1.parse().expect("a number")
    }
}
