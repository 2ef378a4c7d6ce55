//! A small HTTP client for a running service: what `demo`, `trigger` and `tail` speak through.
//!
//! It speaks plain HTTP. These commands belong beside the service, behind its TLS proxy; a TLS stack would be the
//! largest thing in the binary for the one command that is used from elsewhere. An `https` address is refused
//! with advice.

use std::{fmt, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

use crate::{
    config::{Config, from_here},
    error::{Code, Error, Result},
};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may take to begin.
const ANSWER: Duration = Duration::from_secs(60);
/// A stream that says nothing for longer than this is dead: no heartbeat can be set further apart than 300 s.
const SILENCE: Duration = Duration::from_secs(310);

/// How commands are told where the service is that take an address.
const URL: &str = "say with --url where it is";

/// Where a service is.
#[derive(Clone, Debug)]
pub(super) struct Server {
    host: String,
    port: u16,
    /// What a proxy puts in front of every path.
    prefix: String,
    /// How the caller says that it is elsewhere.
    how: &'static str,
}

impl Server {
    /// The service at an address of this machine.
    pub(super) fn at(address: SocketAddr) -> Self {
        let address = from_here(address);
        let how = "say with --host and --port (HOST and PORT) where it listens";
        Self { host: address.ip().to_string(), port: address.port(), prefix: String::new(), how }
    }

    /// The service at `url` or, without one, where the settings say that it is: its public address if that is
    /// one this client can speak to, else the address it listens on.
    ///
    /// # Errors
    /// An address that is none, or one with `https`.
    pub(super) fn find(config: &Config, url: Option<&str>) -> Result<Self> {
        match (url, &config.public_url) {
            (Some(url), _) => Self::parse(url),
            (None, Some(url)) if url.starts_with("http://") => Self::parse(url),
            (None, _) => Ok(Self { how: URL, ..Self::at(config.listen) }),
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let bad = |why: &str| Error::invalid(format!("--url is `{text}`: {why}"));
        let url = url::Url::parse(text).map_err(|_| bad("use an address such as http://127.0.0.1:8080"))?;
        match (url.scheme(), url.host_str()) {
            ("http", Some(host)) => Ok(Self {
                host: host.trim_matches(['[', ']']).to_owned(),
                port: url.port().unwrap_or(80),
                prefix: url.path().trim_end_matches('/').to_owned(),
                how: URL,
            }),
            ("https", _) => Err(bad(
                "this command speaks plain http only; run it on the machine of the service, with the address \
                 it listens on, such as http://127.0.0.1:8080",
            )),
            _ => Err(bad("use an address such as http://127.0.0.1:8080")),
        }
    }

    /// Sends one request on a connection of its own and gives back the answer's head; its body follows.
    ///
    /// # Errors
    /// `unavailable` when nothing answers, or not in time.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: Vec<u8>,
    ) -> Result<Response<Incoming>> {
        let silent = |cause: Box<dyn std::error::Error + Send + Sync>| {
            let words = format!(
                "nothing answers at {self}; start the service with `trackside serve`, or {}",
                self.how
            );
            Error::new(Code::Unavailable, words).because(cause)
        };
        let connect = timeout(CONNECT, TcpStream::connect((self.host.as_str(), self.port)));
        let stream =
            connect.await.map_err(|slow| silent(slow.into()))?.map_err(|error| silent(error.into()))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| silent(error.into()))?;
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.prefix));
        request = request.header(header::HOST, self.authority());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Error::invalid(format!("the request to {self} cannot be written: {error}")))?;
        let late = |_| {
            let words = format!("{self} took the request and did not answer within {} s", ANSWER.as_secs());
            Error::new(Code::Unavailable, words)
        };
        let answer = timeout(ANSWER, sender.send_request(request)).await.map_err(late)?;
        answer.map_err(|error| silent(error.into()))
    }

    fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{host}:{}", self.port)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.prefix)
    }
}

/// The status and the JSON of an answer; null for a body that is not JSON.
pub(super) async fn read(answer: Response<Incoming>) -> (StatusCode, Value) {
    let status = answer.status();
    let body =
        answer.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// An answer that is not the one that was hoped for, with the service's own words.
pub(super) fn refused(status: StatusCode, problem: &Value) -> Error {
    let detail = problem["detail"].as_str().unwrap_or("it did not say why");
    let code = if status.is_server_error() { Code::Unavailable } else { Code::InvalidRequest };
    Error::new(code, format!("the service answered {}: {detail}", status.as_u16()))
}

/// A frame of an event stream; see the HTML standard, "server-sent events".
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) id: Option<String>,
    pub(super) event: String,
    pub(super) data: String,
    pub(super) retry_ms: Option<u64>,
}

impl Frame {
    fn parse(text: &str) -> Self {
        let mut frame = Self::default();
        for line in text.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => frame.id = Some(value.to_owned()),
                "event" => value.clone_into(&mut frame.event),
                "data" => frame.data.push_str(value),
                "retry" => frame.retry_ms = value.parse().ok(),
                _ => {}
            }
        }
        frame
    }
}

/// An open event stream.
pub(super) struct Frames {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Frames {
    /// Reads the frames of an answer.
    pub(super) fn of(answer: Response<Incoming>) -> Self {
        Self { body: answer.into_body(), buffer: Vec::new() }
    }

    /// The next frame; none when the stream has ended.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
                let frame = Frame::parse(&String::from_utf8_lossy(&self.buffer[..end]));
                self.buffer.drain(..end + 2);
                return Some(frame);
            }
            let chunk = timeout(SILENCE, self.body.frame()).await.ok()??.ok()?.into_data().ok()?;
            self.buffer.extend_from_slice(&chunk);
        }
    }

    /// Whether everything that has come was taken out.
    pub(super) fn is_drained(&self) -> bool {
        self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_and_put_together_again() {
        for url in ["http://127.0.0.1:8080", "http://[::1]:9000", "http://trackside.internal:80/base"] {
            assert_eq!(Server::parse(url).expect("an address").to_string(), url);
        }
        assert_eq!(Server::at(([0, 0, 0, 0], 8080).into()).to_string(), "http://127.0.0.1:8080");
        for url in ["https://trackside.example.org", "127.0.0.1:8080", "ftp://x", ""] {
            assert!(Server::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_frame_is_read_field_by_field() {
        let frame = Frame::parse("retry: 2000\nid: a:1\n: a comment\nevent: push\ndata: {}");
        let expected =
            Frame { id: Some("a:1".into()), event: "push".into(), data: "{}".into(), retry_ms: Some(2000) };
        assert_eq!(frame, expected);
    }
}
