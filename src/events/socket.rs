//! The WebSocket: the logs of many projects on one connection, each with a position of its own.
//!
//! A client subscribes to projects and unsubscribes from them ([`ActionIn`]); it is sent events, exactly as
//! server-sent events carry them, and between them answers ([`ControlOut`]), which have a `type` and no `event`.
//! Each subscription is a [`Cursor`], so that what holds for a stream holds for each: every event behind its
//! position once, in order, or an explicit `reset`.
//!
//! One task serves a socket: a listener that parses what comes in, a writer that acts on it and sends, and beside
//! them whatever may end both. A client that answers no ping, reads nothing, falls behind or sends too much is cut
//! off; it comes back, subscribes behind the last ids it saw, and misses nothing. At shutdown it is told when.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{
    FutureExt as _, SinkExt as _, StreamExt as _,
    future::{AbortHandle, Abortable, Aborted, BoxFuture},
    stream::{FuturesUnordered, SplitSink, SplitStream},
};
use poem::{
    Request, Response, Upgraded, handler,
    http::{StatusCode, header},
    web::Data,
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error as SocketError, Message, Utf8Bytes,
        error::ProtocolError,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};
use tracing::Instrument as _;

use super::{
    cursor::{Cursor, Lost, OpenStream, RESET, retry_ms},
    follow::Frame,
    wire::{ActionIn, Asked, ControlOut},
};
use crate::{
    accounts::{Access, Principal, Scope, authenticate_stream},
    app::App,
    error::{Code, Error, Result},
    projects,
    server::Hold,
    wire::ProjectId,
};

/// Projects that one socket may follow.
const MAX_SUBSCRIPTIONS: usize = 200;
/// The largest frame, and message, that a client may send.
const MAX_BYTES: usize = 64 * 1024;
/// Frames that a client may send in [`FLOOD_WINDOW`]: each of its subscriptions, several times over.
const FLOOD: u32 = 1_000;
const FLOOD_WINDOW: Duration = Duration::from_secs(10);
/// Actions that are read ahead of the one that is being acted on.
const READ_AHEAD: usize = 16;
/// Bytes that are gathered before they are written.
const WRITE_BUFFER: usize = 64 * 1024;
const READ_BUFFER: usize = 4 * 1024;
/// How long a client has to take leave.
const FAREWELL: Duration = Duration::from_secs(1);

type Socket = WebSocketStream<Upgraded>;

/// Opens a WebSocket: `GET /api/v1/events/ws`.
#[handler]
pub(crate) async fn open_socket(app: Data<&Arc<App>>, request: &Request) -> Result<Response> {
    let principal = authenticate_stream(&app, request).await?;
    let accept = accept(request).ok_or_else(|| {
        Error::invalid("this path speaks WebSocket, version 13; for plain HTTP there is /events/stream")
    })?;
    let upgrade = request.take_upgrade().map_err(Error::internal)?;
    let open = OpenStream::new(&app, principal.id)?;
    let hold = request.extensions().get::<Hold>().cloned();
    let app = Arc::clone(&app);
    let serving = async move {
        match upgrade.await {
            Ok(stream) => serve(app, principal, stream).await,
            Err(error) => tracing::debug!(%error, "a socket was not opened"),
        }
        drop((open, hold));
    };
    tokio::spawn(serving.in_current_span());
    Ok(Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .finish())
}

/// The answer to a client's key (RFC 6455, 4.2), if it asks for a WebSocket.
fn accept(request: &Request) -> Option<String> {
    let has = |name, word: &str| {
        let values = request.headers().get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(word))
    };
    let asks = has(header::UPGRADE, "websocket")
        && has(header::CONNECTION, "upgrade")
        && has(header::SEC_WEBSOCKET_VERSION, "13");
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY)?;
    asks.then(|| derive_accept_key(key.as_bytes()))
}

/// Why a socket ends.
enum End {
    /// The client said so.
    Closed,
    /// The connection broke, or nothing can be sent any more.
    Gone,
    /// The client answered no ping.
    Silent,
    /// The client read nothing for too long.
    Stalled,
    /// The client reads, and too slowly.
    Behind,
    /// A log could not be read.
    Unreadable,
    /// The key has ended, or a project was taken from it.
    Access,
    /// The service stops.
    Shutdown,
    /// The client sent too many frames.
    Flood,
    /// The client sent too large a frame.
    TooLarge,
    /// The client sent text that is not UTF-8.
    NotText,
    /// The client does not speak the protocol.
    Protocol,
}

impl From<SocketError> for End {
    fn from(error: SocketError) -> Self {
        match error {
            SocketError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => Self::Stalled,
            SocketError::ConnectionClosed | SocketError::AlreadyClosed => Self::Closed,
            SocketError::Capacity(_) => Self::TooLarge,
            SocketError::Utf8(_) => Self::NotText,
            SocketError::Protocol(
                ProtocolError::ResetWithoutClosingHandshake | ProtocolError::SendAfterClosing,
            ) => Self::Gone,
            SocketError::Protocol(_) => Self::Protocol,
            _ => Self::Gone,
        }
    }
}

impl From<Lost> for End {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Behind => Self::Behind,
            Lost::Unreadable => Self::Unreadable,
        }
    }
}

async fn serve(app: Arc<App>, principal: Arc<Principal>, stream: Upgraded) {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(Some(MAX_BYTES))
        .max_frame_size(Some(MAX_BYTES));
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let (mut sink, mut incoming) = socket.split();
    let (asking, asked) = mpsc::channel(READ_AHEAD);
    // It may subscribe to whatever its principal reached at the opening, so it relies on all of that.
    let access = Access::new(&app, &principal, [Scope::EventsRead], None);
    let heartbeat = app.config.heartbeat;
    let writer = Writer {
        app: Arc::clone(&app),
        principal,
        subscriptions: HashMap::new(),
        reading: FuturesUnordered::new(),
    };
    // Whatever ends first ends all; frames that are under way stay whole in the socket's buffer.
    let end = tokio::select! {
        end = listen(&mut incoming, asking, heartbeat) => end,
        end = writer.run(&mut sink, asked, heartbeat) => end,
        () = access.ended() => End::Access,
        () = app.shutdown.cancelled() => End::Shutdown,
    };
    if matches!(end, End::Silent | End::Stalled | End::Behind) {
        app.metrics.streams_cut.inc();
    }
    if let Ok(socket) = sink.reunite(incoming) {
        let _ = timeout(FAREWELL, take_leave(socket, end, &app)).await;
    }
}

/// Reads what the client sends, until there is a reason to end.
async fn listen(incoming: &mut SplitStream<Socket>, asking: mpsc::Sender<Asked>, heartbeat: Duration) -> End {
    let (mut window, mut frames) = (Instant::now(), 0);
    loop {
        // A ping goes out each heartbeat: whoever is silent for three has not answered one for two.
        let message = match timeout(heartbeat * 3, incoming.next()).await {
            Err(_) => return End::Silent,
            Ok(None) => return End::Closed,
            Ok(Some(Err(error))) => return error.into(),
            Ok(Some(Ok(message))) => message,
        };
        if window.elapsed() > FLOOD_WINDOW {
            (window, frames) = (Instant::now(), 0);
        }
        frames += 1;
        if frames > FLOOD {
            return End::Flood;
        }
        let asked = match message {
            Message::Text(text) => ActionIn::parse(&text),
            Message::Binary(_) => Err(Box::new((Error::invalid("send JSON as text, not as binary"), None))),
            Message::Close(_) => return End::Closed,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        if asking.send(asked).await.is_err() {
            return End::Gone;
        }
    }
}

/// What became of waiting for a subscription's next frames.
type Step = (ProjectId, Cursor, Result<Vec<Frame>, Lost>);

/// Acts on what is asked, and sends.
struct Writer {
    app: Arc<App>,
    principal: Arc<Principal>,
    subscriptions: HashMap<ProjectId, AbortHandle>,
    reading: FuturesUnordered<BoxFuture<'static, Result<Step, Aborted>>>,
}

impl Writer {
    async fn run(
        mut self,
        sink: &mut SplitSink<Socket, Message>,
        mut asked: mpsc::Receiver<Asked>,
        heartbeat: Duration,
    ) -> End {
        let mut pings = interval_at(Instant::now() + heartbeat, heartbeat);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let sent = tokio::select! {
                Some(asked) = asked.recv() => {
                    let answers = self.answer(asked).await;
                    send_all(sink, answers.iter().map(ControlOut::message)).await
                }
                Some(step) = self.reading.next() => match step {
                    Ok((project, cursor, Ok(frames))) => {
                        let sent = send_all(sink, frames.iter().map(event)).await;
                        self.read_on(project, cursor);
                        sent
                    }
                    Ok((_, _, Err(lost))) => return lost.into(),
                    Err(Aborted) => Ok(()), // unsubscribed
                },
                _ = pings.tick() => sink.send(Message::Ping(Bytes::new())).await,
            };
            if let Err(error) = sent {
                return error.into();
            }
        }
    }

    async fn answer(&mut self, asked: Asked) -> Vec<ControlOut> {
        let (outcome, project) = match asked {
            Ok(ActionIn::Subscribe { project_id, after }) => {
                (self.subscribe(project_id, after).await, Some(project_id))
            }
            Ok(ActionIn::Unsubscribe { project_id }) => (self.unsubscribe(project_id), Some(project_id)),
            Err(refused) => {
                let (error, project) = *refused;
                (Err(error), project)
            }
        };
        outcome.unwrap_or_else(|error| vec![ControlOut::error(&error, project)])
    }

    async fn subscribe(&mut self, project: ProjectId, after: Option<String>) -> Result<Vec<ControlOut>> {
        let from = after.as_deref().map(str::parse).transpose()?;
        projects::reach(&self.app, &self.principal, project).await?;
        if self.subscriptions.contains_key(&project) {
            let why =
                "this socket follows that project already; unsubscribe first to follow it from elsewhere";
            return Err(Error::new(Code::Conflict, why));
        }
        if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            let why = format!(
                "a socket follows at most {MAX_SUBSCRIPTIONS} projects; unsubscribe from one, or open another socket"
            );
            return Err(Error::new(Code::Conflict, why));
        }
        let follower = self.app.followers.follow(self.principal.tenant, project, from).await?;
        let (cursor, is_reset) = Cursor::new(follower, from);
        let (project_id, id) = (project.to_string(), cursor.id().to_string());
        self.read_on(project, cursor);
        let subscribed = ControlOut::Subscribed { project_id: project_id.clone(), id: id.clone() };
        if is_reset {
            // First, so that nobody takes the new position over who has not heard of the gap.
            return Ok(vec![ControlOut::Reset { project_id, reason: RESET, id }, subscribed]);
        }
        Ok(vec![subscribed])
    }

    fn unsubscribe(&mut self, project: ProjectId) -> Result<Vec<ControlOut>> {
        let reading = self.subscriptions.remove(&project).ok_or_else(|| Error::not_found("subscription"))?;
        reading.abort();
        Ok(vec![ControlOut::Unsubscribed { project_id: project.to_string() }])
    }

    /// Waits for the next frames of a subscription, beside all others.
    fn read_on(&mut self, project: ProjectId, mut cursor: Cursor) {
        let (handle, registration) = AbortHandle::new_pair();
        let database = self.app.database.clone();
        let reading = async move {
            let frames = cursor.next(&database).await;
            (project, cursor, frames)
        };
        self.subscriptions.insert(project, handle);
        self.reading.push(Abortable::new(reading, registration).boxed());
    }
}

async fn send_all(
    sink: &mut SplitSink<Socket, Message>,
    messages: impl Iterator<Item = Message>,
) -> Result<(), SocketError> {
    for message in messages {
        sink.feed(message).await?;
    }
    sink.flush().await
}

fn event(frame: &Frame) -> Message {
    Message::Text(Utf8Bytes::try_from(frame.json()).unwrap_or_default()) // JSON is UTF-8
}

/// Says why the socket ends, and waits for the client to have heard it: closing on what it still sends would
/// throw away what it has not yet read.
async fn take_leave(mut socket: Socket, end: End, app: &App) -> Result<(), SocketError> {
    let (code, reason) = match end {
        End::Closed => return socket.flush().await,
        End::Gone | End::Silent | End::Stalled => return Ok(()),
        End::Behind => (CloseCode::Again, "too far behind; come back with the last ids you saw"),
        End::Unreadable => (CloseCode::Error, "a log could not be read; come back with the last ids you saw"),
        End::Access => {
            (CloseCode::Policy, "the key behind this socket has ended, or reaches less than it did")
        }
        End::Shutdown => (CloseCode::Restart, "the service is shutting down"),
        End::Flood => (CloseCode::Policy, "too many frames at once"),
        End::TooLarge => (CloseCode::Size, "a frame may have 64 KiB at most"),
        End::NotText => (CloseCode::Invalid, "text has to be UTF-8"),
        End::Protocol => (CloseCode::Protocol, "this is not the WebSocket protocol"),
    };
    let last_word = match end {
        End::Access => Some(ControlOut::error(&Error::new(Code::Unauthenticated, reason), None)),
        End::Shutdown => Some(ControlOut::Reconnect { retry_ms: retry_ms(&app.ids) }),
        _ => None,
    };
    if let Some(last_word) = last_word {
        socket.feed(last_word.message()).await?;
    }
    socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await?;
    if matches!(end, End::TooLarge | End::NotText | End::Protocol) {
        // What follows cannot be told apart into frames any more.
        tokio::io::copy(socket.get_mut(), &mut tokio::io::sink()).await?;
    }
    while let Some(Ok(_)) = socket.next().await {}
    Ok(())
}
