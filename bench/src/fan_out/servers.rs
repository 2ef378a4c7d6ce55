//! Those who tell: what a subscriber asks each of them, and how each is told of an event.

use reqwest::Client;
use scratch::redis::RedisServer;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use trackside::{
    clock::Clock,
    samples::{Repository, sign},
};

use super::{FRAME, Scene, Stage, bare::Bare};
use crate::{
    Result,
    child::{self, Contender, Endpoint, Kind, Target},
    nchan::Nchan,
};

/// Bytes that nchan puts around an event: its id and `data`.
const NCHAN: usize = "id: 1795390678:0\ndata: \n\n".len();
/// Bytes that Redis puts around it: that it is a message, and of which channel.
const REDIS: usize = "*3\r\n$7\r\nmessage\r\n$2\r\np0\r\n$329\r\n\r\n".len();

/// Who tells.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Teller {
    Trackside,
    Nchan,
    Redis,
    Bare,
}

impl Teller {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Trackside => "Trackside",
            Self::Nchan => "nginx + nchan",
            Self::Redis => "Redis pub/sub",
            Self::Bare => "a bare writer",
        }
    }
}

/// One of them, running; ends with its handle.
pub(super) enum Running {
    Trackside(Box<Trackside>),
    Nchan(Nchan, Client),
    Redis(PubSub),
    Bare(Bare, Client),
}

impl Running {
    pub(super) async fn start(teller: Teller, scene: &Scene, stage: &Stage) -> Result<Self> {
        Ok(match teller {
            Teller::Trackside => Self::Trackside(Box::new(Trackside::start(scene, stage).await?)),
            Teller::Nchan => {
                let nginx = stage.nginx.as_ref().ok_or("nginx is not installed")?;
                Self::Nchan(nginx.start().await?, Client::new())
            }
            Teller::Redis => Self::Redis(PubSub::start().await?),
            Teller::Bare => Self::Bare(Bare::start().await?, Client::new()),
        })
    }

    /// Where subscribers connect.
    pub(super) fn port(&self) -> u16 {
        match self {
            Self::Trackside(trackside) => trackside.other.port,
            Self::Nchan(nchan, _) => nchan.port,
            Self::Redis(redis) => redis.server.port(),
            Self::Bare(bare, _) => bare.port,
        }
    }

    /// What somebody asks who wants to hear of a project.
    pub(super) fn request(&self, project: usize) -> String {
        match self {
            Self::Trackside(trackside) => trackside.request(project),
            Self::Nchan(..) => format!(
                "GET /subscribe/{} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n",
                channel(project)
            ),
            Self::Redis(_) => format!("SUBSCRIBE {}\r\n", channel(project)),
            Self::Bare(..) => "GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        }
    }

    /// Has everybody told who follows a project.
    pub(super) async fn publish(&mut self, project: usize) -> Result<()> {
        match self {
            Self::Trackside(trackside) => trackside.publish(project).await,
            Self::Nchan(nchan, client) => {
                let url = format!("http://127.0.0.1:{}/publish/{}", nchan.port, channel(project));
                client.post(url).body(event(FRAME - NCHAN)).send().await?.error_for_status()?;
                Ok(())
            }
            Self::Redis(redis) => redis.publish(project).await,
            Self::Bare(bare, client) => {
                let url = format!("http://127.0.0.1:{}/", bare.port);
                client.post(url).send().await?.error_for_status()?;
                Ok(())
            }
        }
    }

    /// Memory of whoever the subscribers are connected to, where it is looked at.
    pub(super) fn memory_kib(&self) -> Result<Option<u64>> {
        match self {
            Self::Trackside(trackside) => trackside.other.resident_kib().map(Some),
            Self::Nchan(nchan, _) => nchan.tree.memory_kib().map(Some),
            Self::Redis(_) | Self::Bare(..) => Ok(None),
        }
    }
}

/// What a project is called where there are none.
fn channel(project: usize) -> String {
    format!("p{project}")
}

/// An event of now, in so many bytes.
pub(super) fn event(bytes: usize) -> String {
    let now = Clock::system().now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let event = format!("\"timestamp\":\"{now}\"");
    // The time stands at the end, as in Trackside's events.
    format!("{event:>bytes$}")
}

/// Two instances over one database and one Redis: one is posted to, and works; the other has the subscribers.
pub(super) struct Trackside {
    source: Target,
    other: Target,
    projects: Vec<Endpoint>,
    client: Client,
    ping: Vec<u8>,
    published: usize,
}

impl Trackside {
    async fn start(scene: &Scene, stage: &Stage) -> Result<Self> {
        let source = child::start(&Contender::new(Kind::Trackside, &stage.service), &stage.place).await?;
        let other = source.beside(&stage.service).await?;
        let mut projects = vec![source.endpoint()];
        while projects.len() < scene.projects {
            projects.push(source.new_project().await?);
        }
        let ping = Repository::new("northwind/ledger", Clock::system().now()).ping().bytes();
        Ok(Self { source, other, projects, client: Client::new(), ping, published: 0 })
    }

    fn request(&self, project: usize) -> String {
        let project = self.projects[project].project();
        let key = &self.source.key;
        format!(
            "GET /api/v1/projects/{project}/events/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n"
        )
    }

    /// Posts a webhook that becomes one event.
    async fn publish(&mut self, project: usize) -> Result<()> {
        let project = &self.projects[project];
        let post = self
            .client
            .post(format!("http://127.0.0.1:{}{}", self.source.port, project.path))
            .header("x-github-event", "ping")
            .header("x-github-delivery", format!("bench-{}", self.published))
            .header("x-hub-signature-256", sign(&project.secret, &self.ping));
        self.published += 1;
        post.body(self.ping.clone()).send().await?.error_for_status()?;
        Ok(())
    }
}

/// Redis as it is, and a connection that publishes.
pub(super) struct PubSub {
    server: RedisServer,
    publisher: TcpStream,
}

impl PubSub {
    async fn start() -> Result<Self> {
        let server = RedisServer::start(&["--maxclients", "10500", "--tcp-backlog", "4096"]).await?;
        let publisher = TcpStream::connect(("127.0.0.1", server.port())).await?;
        publisher.set_nodelay(true)?;
        Ok(Self { server, publisher })
    }

    async fn publish(&mut self, project: usize) -> Result<()> {
        let (channel, event, mut answer) = (channel(project), event(FRAME - REDIS), [0; 64]);
        let lengths = (channel.len(), event.len());
        let command =
            format!("*3\r\n$7\r\nPUBLISH\r\n${}\r\n{channel}\r\n${}\r\n{event}\r\n", lengths.0, lengths.1);
        self.publisher.write_all(command.as_bytes()).await?;
        let read = self.publisher.read(&mut answer).await?;
        match answer[..read].starts_with(b":") {
            true => Ok(()),
            false => Err(format!("Redis answers: {}", String::from_utf8_lossy(&answer[..read])).into()),
        }
    }
}
