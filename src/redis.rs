//! Redis or Valkey, which several instances share: one connection for commands, one that hears messages.
//!
//! Nothing rests on Redis being there. It carries hints that somebody may lose, and buckets that each instance
//! also has for itself, so whoever asks it must know what to do without an answer. For that an answer comes
//! soon or not at all: a command has 50 ms, none is sent while there is no connection, and after one that
//! failed a single command every half second finds out whether the next may be sent.
//!
//! Connecting goes on in the background and for ever, also when a server that became a replica refuses to write:
//! a start neither fails nor waits, and an operator reads in the log what is wrong.
//!
//! Architecture invariant: no other file knows the client library, so that it can be replaced here.

use std::{sync::Arc, time::Duration};

use fred::{
    prelude::{
        Builder, Client, ClientLike, Config, ErrorKind, EventInterface, FredResult, PubsubInterface,
        ReconnectPolicy,
    },
    types::{CustomCommand, InfoKind, Message, RespVersion, config::ReconnectError, scripts::Script},
};
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    task::JoinSet,
    time::{Instant, interval, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    config::SecretUrl,
    error::{Error, Result},
};

/// How long a command may take; whoever asks goes on without an answer then.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long nothing is sent after a command that failed.
const PAUSE: Duration = Duration::from_millis(500);
/// How often a quiet connection is tried, and how long it has to show that it lives.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long connecting may take, and each step of it.
const CONNECT: Duration = Duration::from_secs(2);
/// The first and the longest pause between two attempts to connect, and what is added at random; milliseconds.
const RECONNECT_MS: (u32, u32, u32) = (100, 5_000, 50);
/// Messages that may wait to be heard; more are missed, and whoever listens is told so.
const MESSAGES: usize = 4_096;

/// A handle to Redis; the connections end with the last one.
#[derive(Clone)]
pub struct Redis(Arc<Connections>);

struct Connections {
    commands: Client,
    subscriber: Client,
    /// Until when nothing is sent, once a command has failed.
    paused_until: Mutex<Option<Instant>>,
    /// Keep the connections; aborted with them.
    _tasks: JoinSet<()>,
}

impl Redis {
    /// Begins to connect, and returns at once.
    ///
    /// # Errors
    /// `invalid_request` for an address that no server could have.
    pub fn connect(url: &SecretUrl) -> Result<Self> {
        let (commands, subscriber) = (client(url)?, client(url)?);
        let mut tasks = JoinSet::new();
        tasks.spawn(stay_connected(commands.clone()));
        tasks.spawn(stay_connected(subscriber.clone()));
        tasks.spawn(report(commands.clone()));
        tasks.spawn(detect_silence(commands.clone()));
        tasks.spawn(detect_silence(subscriber.clone()));
        Ok(Self(Arc::new(Connections {
            commands,
            subscriber,
            paused_until: Mutex::default(),
            _tasks: tasks,
        })))
    }

    /// Whether commands are sent: there is a connection, and the last command did not fail.
    pub fn is_up(&self) -> bool {
        self.0.commands.is_connected() && self.paused_until().is_none()
    }

    /// Whether there is a connection that hears messages.
    pub fn hears(&self) -> bool {
        self.0.subscriber.is_connected()
    }

    /// Asks for a sign of life; gives the time it took.
    ///
    /// # Errors
    /// `unavailable` when it does not answer in time.
    pub async fn ping(&self) -> Result<Duration> {
        let began = Instant::now();
        self.send(self.0.commands.ping::<()>(None)).await?;
        Ok(began.elapsed())
    }

    /// Publishes messages, given with their channels, in this order.
    ///
    /// # Errors
    /// `unavailable` when it does not take them in time; some may have been published.
    pub async fn publish(&self, messages: Vec<(String, String)>) -> Result<()> {
        let pipeline = self.0.commands.pipeline();
        for (channel, text) in messages {
            let _: () = pipeline.publish(channel, text).await.map_err(away)?; // only put in line
        }
        self.send(pipeline.last::<()>()).await
    }

    /// Runs a script on one key, loading it if need be.
    ///
    /// # Errors
    /// `unavailable` when there is no answer in time; it may have run.
    pub async fn run(&self, script: &Lua, key: String, argument: u32) -> Result<Vec<i64>> {
        self.send(script.0.evalsha_with_reload(&self.0.commands, key, argument)).await
    }

    /// Reads fields of hashes, in the order of the keys, all at once, and the microsecond at which that was by Redis's
    /// clock; what is not there is none.
    ///
    /// # Errors
    /// `unavailable` when there is no answer in time, or none that makes sense.
    pub async fn read_hashes(&self, keys: Vec<String>, fields: &[&str]) -> Result<(i64, Vec<Fields>)> {
        let pipeline = self.0.commands.pipeline();
        let mut commands = vec![("TIME", Vec::new())];
        for key in keys {
            let arguments = std::iter::once(key).chain(fields.iter().map(|field| (*field).to_owned()));
            commands.push(("HMGET", arguments.collect::<Vec<String>>()));
        }
        for (name, arguments) in commands {
            let command = CustomCommand::new_static(name, None::<u16>, false);
            let _: () = pipeline.custom(command, arguments).await.map_err(away)?; // only put in line
        }
        let mut answers = self.send(pipeline.all::<Vec<Fields>>()).await?.into_iter();
        let time = answers.next().unwrap_or_default();
        let part = |at: usize| time.get(at)?.as_deref()?.parse::<i64>().ok();
        let now_us = part(0).zip(part(1)).map(|(seconds, microseconds)| seconds * 1_000_000 + microseconds);
        let now_us = now_us.ok_or_else(|| away("it does not say what time it is"))?;
        Ok((now_us, answers.collect()))
    }

    /// What is heard from now on.
    pub fn listen(&self) -> Ear {
        Ear { messages: self.0.subscriber.message_rx(), connected: self.0.subscriber.reconnect_rx() }
    }

    /// Begins to hear channels; a connection made later hears nothing until it is told again.
    ///
    /// # Errors
    /// `unavailable` when Redis does not confirm it in time.
    pub async fn subscribe(&self, channels: Vec<String>) -> Result<()> {
        confirmed(self.0.subscriber.subscribe(channels)).await
    }

    /// Hears no more of channels.
    ///
    /// # Errors
    /// `unavailable` when Redis does not confirm it in time.
    pub async fn unsubscribe(&self, channels: Vec<String>) -> Result<()> {
        confirmed(self.0.subscriber.unsubscribe(channels)).await
    }

    /// Connects once and looks at what is there; gives a sentence about it.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub async fn examine(url: &SecretUrl) -> Result<String> {
        let client = client(url)?;
        let mut failures = client.error_rx();
        let _connection = AbortOnDropHandle::new(client.connect());
        let connected = async {
            tokio::select! {
                outcome = client.wait_for_connect() => outcome,
                Ok((error, _)) = failures.recv() => Err(error),
            }
        };
        let silent = |_| {
            Error::invalid(
                "it does not answer; see whether REDIS_URL names the right port, and whether it should begin with \
                 redis:// or, for TLS, with rediss://",
            )
        };
        timeout(CONNECT, connected).await.map_err(silent)?.map_err(advice)?;
        let about = timeout(CONNECT, client.info::<String>(None::<InfoKind>)).await.map_err(silent)?;
        let about = about.map_err(advice)?;
        let field = |name: &str| about.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let (version, role) = (field("redis_version:"), field("role:"));
        if version.split('.').next().and_then(|major| major.parse().ok()).is_none_or(|major: u32| major < 7) {
            return Err(Error::invalid(format!("its version is {version}; give one from 7 on, or Valkey")));
        }
        if role != "master" {
            return Err(Error::invalid(format!(
                "it is a {role} and takes no writes; let REDIS_URL lead to the primary"
            )));
        }
        Ok(format!("version {version} answers at {url}"))
    }

    /// Sends a command, if one may be sent now, and waits for its answer while that is worth it.
    async fn send<T>(&self, command: impl Future<Output = FredResult<T>>) -> Result<T> {
        if !self.may_send() {
            return Err(away("there is no connection, or the last command failed"));
        }
        let failure = match timeout(PATIENCE, command).await {
            Ok(Ok(answer)) => {
                *self.paused_until() = None;
                return Ok(answer);
            }
            Ok(Err(error)) => away(error),
            Err(_) => away("no answer in time"),
        };
        *self.paused_until() = Some(Instant::now() + PAUSE);
        Err(failure)
    }

    /// Whether a command may be sent; at the end of a pause that is one command only, which ends it or the next
    /// begins.
    fn may_send(&self) -> bool {
        if !self.0.commands.is_connected() {
            return false;
        }
        let mut paused_until = self.paused_until();
        match *paused_until {
            Some(until) if Instant::now() < until => false,
            Some(_) => {
                *paused_until = Some(Instant::now() + PAUSE);
                true
            }
            None => true,
        }
    }

    fn paused_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.paused_until.lock()
    }
}

/// Fields of a hash, in the order in which they were asked for; what is not there is none.
pub type Fields = Vec<Option<String>>;

/// A script that Redis runs as one step.
pub struct Lua(Script);

impl Lua {
    /// A script, by its text.
    pub fn new(text: &'static str) -> Self {
        Self(Script::from_lua(text))
    }
}

/// Hears what is said on the channels that are subscribed to.
pub struct Ear {
    messages: broadcast::Receiver<Message>,
    connected: broadcast::Receiver<fred::types::config::Server>,
}

/// What an [`Ear`] hears.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// A message.
    Message {
        /// Where it was said.
        channel: String,
        /// What was said.
        text: String,
    },
    /// Too much was said at once: some of it was missed.
    TooMuch,
    /// There is a new connection: it is subscribed to nothing, and what was said meanwhile was missed.
    Connected,
}

impl Ear {
    /// Waits for the next thing to hear; nothing more comes when the connections have ended.
    pub async fn next(&mut self) -> Option<Heard> {
        tokio::select! {
            biased;
            connected = self.connected.recv() => match connected {
                Ok(_) | Err(RecvError::Lagged(_)) => Some(Heard::Connected),
                Err(RecvError::Closed) => None,
            },
            message = self.messages.recv() => match message {
                Ok(message) => Some(Heard::Message {
                    channel: message.channel.to_string(),
                    text: message.value.into_string().unwrap_or_default(),
                }),
                Err(RecvError::Lagged(_)) => Some(Heard::TooMuch),
                Err(RecvError::Closed) => None,
            },
        }
    }
}

fn client(url: &SecretUrl) -> Result<Client> {
    let bad = |error: fred::error::Error| Error::invalid(format!("REDIS_URL: {}", error.details()));
    let mut config = Config::from_url(url.expose()).map_err(bad)?;
    config.fail_fast = false; // a first connection that fails is tried again, like any other
    config.version = RespVersion::RESP3; // a connection that hears messages can be asked for a sign of life
    let (first, longest, jitter) = RECONNECT_MS;
    let mut policy = ReconnectPolicy::new_exponential(0, first, longest, 2);
    policy.set_jitter(jitter);
    Builder::from_config(config)
        .with_connection_config(|connection| {
            connection.connection_timeout = CONNECT;
            connection.internal_command_timeout = CONNECT;
            connection.max_command_attempts = 1; // a bucket is not asked twice, nor a message sent twice
            connection.reconnect_errors =
                vec![ReconnectError::Loading, ReconnectError::MasterDown, ReconnectError::ReadOnly];
            connection.tcp.nodelay = Some(true);
        })
        .with_performance_config(|performance| performance.broadcast_channel_capacity = MESSAGES)
        .set_policy(policy)
        .build()
        .map_err(bad)
}

/// Connects, and again whenever the library gives up.
async fn stay_connected(client: Client) {
    loop {
        let ended = AbortOnDropHandle::new(client.connect()).await;
        let why = ended.map_or_else(|error| error.to_string(), |ended| format!("{ended:?}"));
        tracing::error!(why, "the connection to Redis was given up; it is tried again");
        sleep(Duration::from_millis(u64::from(RECONNECT_MS.1))).await;
    }
}

/// Says in the log when Redis goes away, why, and when it is back.
async fn report(client: Client) {
    let (mut failures, mut connected) = (client.error_rx(), client.reconnect_rx());
    let mut told: Option<ErrorKind> = None;
    loop {
        tokio::select! {
            failure = failures.recv() => match failure {
                Ok((error, _)) if told.as_ref() != Some(error.kind()) => {
                    told = Some(error.kind().clone());
                    tracing::warn!(
                        why = %advice(error),
                        "Redis is away: limits hold for each instance alone, and events may take a second"
                    );
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            connection = connected.recv() => match connection {
                Ok(_) | Err(RecvError::Lagged(_)) => {
                    told = None;
                    tracing::info!("connected to Redis");
                }
                Err(RecvError::Closed) => return,
            },
        }
    }
}

/// Cuts a connection that is there and does not answer, so that a new one is made.
async fn detect_silence(client: Client) {
    let mut beats = interval(HEARTBEAT);
    loop {
        beats.tick().await;
        if client.is_connected() && timeout(HEARTBEAT, client.ping::<()>(None)).await.is_err() {
            let _ = client.force_reconnection().await;
        }
    }
}

async fn confirmed(command: impl Future<Output = FredResult<()>>) -> Result<()> {
    timeout(HEARTBEAT, command).await.map_err(away)?.map_err(away)
}

fn away(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unavailable("Redis does not answer", PAUSE).because(why)
}

/// What went wrong, in words that help an operator.
fn advice(error: fred::error::Error) -> Error {
    let advice = match error.kind() {
        ErrorKind::Auth => "it refuses the user name or the password in REDIS_URL",
        ErrorKind::Tls => {
            "there is no TLS between us: see whether REDIS_URL should begin with redis:// or rediss://"
        }
        _ => "it cannot be reached at REDIS_URL",
    };
    Error::invalid(format!("{advice} ({})", error.details()))
}
