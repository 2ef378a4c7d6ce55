//! What is read while a database grows, each as often as it takes to know how long it takes, over one kept-alive
//! connection.

use std::time::{Duration, Instant};

use chrono::DateTime;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use trackside::{clock::oldest_id_of, wire::Page};

use super::fill::Filled;
use crate::{Result, child::Target, load::within};

/// How often each is asked.
pub(super) const TIMES: usize = 200;
/// How often it is asked before that.
const LEAD: usize = 20;
/// What is searched for: rare and frequent words, phrases and beginnings, as they stand in an address.
const QUERIES: [&str; 5] =
    ["launch", "orbit%20telemetry", "%22before%20the%20launch%22", "telem%2A", "module%20651"];

/// Something that is read of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Deliveries,
    DeepDeliveries,
    Events,
    DeepEvents,
    WorkItems,
    Search,
    Status,
}

impl Read {
    pub(super) const ALL: [Self; 7] = [
        Self::Deliveries,
        Self::DeepDeliveries,
        Self::Events,
        Self::DeepEvents,
        Self::WorkItems,
        Self::Search,
        Self::Status,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Deliveries => "deliveries, first page",
            Self::DeepDeliveries => "deliveries, a page in the middle",
            Self::Events => "events, first page",
            Self::DeepEvents => "events, a page in the middle",
            Self::WorkItems => "work items, first page",
            Self::Search => "search",
            Self::Status => "status",
        }
    }

    /// Where it is asked, in turns, behind the project.
    fn paths(self, filled: &Filled) -> Result<Vec<String>> {
        Ok(match self {
            Self::Deliveries => vec!["/deliveries".to_owned()],
            Self::DeepDeliveries => {
                let middle = filled.start + i64::try_from(filled.deliveries / 2)?;
                let middle = DateTime::from_timestamp_millis(middle).ok_or("a time out of range")?;
                vec![format!("/deliveries?cursor={}", Page::cursor(&oldest_id_of(middle)))]
            }
            Self::Events => vec!["/events".to_owned()],
            Self::DeepEvents => {
                // Of 20 deliveries 17 are the project's, and each has two events.
                let middle = i64::try_from(filled.deliveries / 20 * 17)?;
                vec![format!("/events?cursor={}", Page::cursor(&middle))]
            }
            Self::WorkItems => vec!["/work-items".to_owned()],
            Self::Search => QUERIES.map(|query| format!("/artifacts/search?limit=20&query={query}")).to_vec(),
            Self::Status => vec!["/status".to_owned()],
        })
    }

    /// Asks for it over and over; gives how long it took, from the shortest to the longest: half of them, and 95 of 100.
    pub(super) async fn measure(self, target: &Target, filled: &Filled) -> Result<[Duration; 2]> {
        let project = format!("/api/v1/projects/{}", filled.project);
        let paths = self.paths(filled)?;
        let requests: Vec<_> =
            paths.iter().map(|path| request(target, "GET", &format!("{project}{path}"), "")).collect();
        let mut lane = Lane::connect(target.port).await?;
        let mut latencies = Vec::with_capacity(TIMES);
        for turn in 0..LEAD + TIMES {
            if self == Self::Status {
                // A status is kept for a moment, unless something happens in its project.
                let change = format!(r#"{{"name": "bench {turn}"}}"#);
                lane.ask(&request(target, "PATCH", &project, &change)).await?;
            }
            let began = Instant::now();
            lane.ask(&requests[turn % requests.len()]).await?;
            if turn >= LEAD {
                latencies.push(began.elapsed());
            }
        }
        latencies.sort();
        Ok([within(&latencies, 0.5)?, within(&latencies, 0.95)?])
    }
}

fn request(target: &Target, method: &str, path: &str, body: &str) -> Vec<u8> {
    let Target { port, key, .. } = target;
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A kept-alive connection.
struct Lane {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Lane {
    async fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(64 * 1024) })
    }

    /// Asks, and reads the whole answer, which must be a good one.
    async fn ask(&mut self, request: &[u8]) -> Result<()> {
        self.answer.clear();
        self.stream.write_all(request).await?;
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err("the connection ended before the answer".into());
            }
            let Some(end) = self.answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let (head, body) = self.answer.split_at(end + 4);
            let head = std::str::from_utf8(head)?;
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() < length.unwrap_or(0) {
                continue;
            }
            return match head.starts_with("HTTP/1.1 200") {
                true => Ok(()),
                false => Err(format!("not read: {head}{}", String::from_utf8_lossy(body)).into()),
            };
        }
    }
}
