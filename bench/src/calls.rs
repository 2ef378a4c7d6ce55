//! The load of tool calls: over kept-alive connections, as fast as they are answered or at a pace.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::sleep_until,
};

use crate::{
    Result,
    load::{LEAD, Measured},
};

/// Bytes of the largest answer.
const ANSWER: usize = 128 * 1024;

/// A revision of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revision {
    /// The one before sessions were given up.
    Older,
    /// The newest.
    Newest,
}

impl Revision {
    /// Its date.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Older => "2025-11-25",
            Self::Newest => "2026-07-28",
        }
    }
}

/// One call, ready to be sent over and over.
#[derive(Clone)]
pub(crate) struct Call {
    port: u16,
    request: Arc<Vec<u8>>,
    /// How the answer says why it is a refusal, where that is the good one.
    refusal: Option<String>,
}

/// When a lane's first call is due, and the time between two.
type Pace = (Instant, Duration);
/// One answer: when it came, and how long it took.
type Answer = (Instant, Duration);

impl Call {
    /// A call as a client of that revision sends it.
    pub(crate) fn new(port: u16, key: &str, tool: &str, arguments: Value, revision: Revision) -> Self {
        let (mut params, version) = (json!({"name": tool, "arguments": arguments}), revision.name());
        let mut headers = format!("mcp-protocol-version: {version}\r\n");
        if revision == Revision::Newest {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": version,
                "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            headers.push_str(&format!("mcp-method: tools/call\r\nmcp-name: {tool}\r\n"));
        }
        if !key.is_empty() {
            headers.push_str(&format!("authorization: Bearer {key}\r\n"));
        }
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
        let request = format!(
            "POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nuser-agent: bench/1\r\n\
             accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n{headers}\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        Self { port, request: Arc::new(request.into_bytes()), refusal: None }
    }

    /// The same call, which is to be refused for a reason.
    pub(crate) fn refused(self, code: &str) -> Self {
        Self { refusal: Some(format!("\"code\":\"{code}\"")), ..self }
    }

    /// Calls once, to see whether it works.
    pub(crate) async fn once(&self) -> Result<()> {
        let mut stream = self.connect().await?;
        stream.write_all(&self.request).await?;
        self.read_answer(&mut stream, &mut vec![0; ANSWER]).await
    }

    /// Calls for `time` and a little before, each connection as soon as it is answered or, all of them together,
    /// `rate` times a second; every answer but a good one is an error.
    pub(crate) async fn run(
        &self,
        connections: usize,
        rate: Option<f64>,
        time: Duration,
    ) -> Result<Measured> {
        let began = Instant::now();
        let until = began + LEAD + time;
        let mut lanes = JoinSet::new();
        for lane in 0..connections {
            let every = rate.map(|rate| Duration::from_secs_f64(connections as f64 / rate));
            let pace = every.map(|every| (began + every.mul_f64(lane as f64 / connections as f64), every));
            let call = self.clone();
            lanes.spawn(async move { call.lane(pace, until).await });
        }
        let lanes = lanes.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
        let answers: Vec<Answer> = lanes.into_iter().flatten().collect();
        let took = began.elapsed();
        let counted = answers.iter().filter(|(at, _)| (began + LEAD..until).contains(at));
        let latencies = counted.map(|(_, latency)| *latency).collect();
        let measured = Measured::of(latencies, time, (None, None))?;
        Ok(Measured { acknowledged: answers.len() as u64, took, ..measured })
    }

    async fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// One connection's calls. A call that is late because the one before took long counts from when it was due.
    async fn lane(&self, pace: Option<Pace>, until: Instant) -> Result<Vec<Answer>> {
        let (mut stream, mut buffer, mut answers) = (self.connect().await?, vec![0; ANSWER], Vec::new());
        for turn in 0.. {
            let mut begins = Instant::now();
            if let Some((first, every)) = pace {
                let due = first + every * turn;
                if due > begins {
                    sleep_until(due.into()).await;
                    begins = Instant::now();
                } else {
                    begins = due;
                }
            }
            if begins >= until {
                break;
            }
            stream.write_all(&self.request).await?;
            self.read_answer(&mut stream, &mut buffer).await?;
            answers.push((Instant::now(), begins.elapsed()));
        }
        Ok(answers)
    }

    /// Reads one whole answer, which must be a tool's result, or the refusal that it is to be.
    async fn read_answer(&self, stream: &mut TcpStream, buffer: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        loop {
            let read = stream.read(&mut buffer[filled..]).await?;
            filled += read;
            let text = String::from_utf8_lossy(&buffer[..filled]);
            if read == 0 {
                return Err(format!("the connection ended before the answer: {text}").into());
            }
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if !length.map_or(body.ends_with("0\r\n\r\n"), |length: usize| body.len() >= length) {
                continue;
            }
            let is_result = head.starts_with("http/1.1 200") && body.contains("\"result\"");
            let is_refusal = body.contains("\"isError\":true");
            let is_good = self.refusal.as_ref().map_or(!is_refusal, |why| is_refusal && body.contains(why));
            if !is_result || !is_good {
                return Err(format!("not the result: {text}").into());
            }
            return Ok(());
        }
    }
}
