//! The log over REST and as server-sent events.

use std::sync::Arc;

use poem::{Body, IntoResponse, Response, web::Data};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Path, Query},
    payload::{Json, Payload},
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef},
};
use secrecy::ExposeSecret as _;

use super::{Event, EventFilter, EventName, EventOrder, Position, cursor::OpenStream, stream};
use crate::{
    accounts::{self, Access, Caller, Scope, StreamCaller, Ticket, scope},
    app::App,
    error::Result,
    projects::{self, ProjectId},
    rest::{Listed, Tag},
    wire::{List, Page, Timestamp, example},
};

/// Routes of the event log.
pub struct EventsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Events")]
impl EventsApi {
    /// List events
    ///
    /// A project's log, oldest first, or newest first with `order=desc`. `after` takes the same event id as the stream
    /// does, so that a client can read the log and follow it with one position.
    ///
    /// With `name`, given once or several times, only events of these names; no more than 5,000 events are looked at
    /// for one page, so that it may hold fewer rows than `limit`, or none, and still have a `nextCursor` to go on with.
    #[oai(path = "/projects/:project_id/events", method = "get", operation_id = "list_events")]
    async fn list_events(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::EventsRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The id of an event, or a position; events behind it are listed. Without it the list begins at the first.
        after: Query<Option<String>>,
        /// Which way to read (asc if not given).
        order: Query<Option<EventOrder>>,
        /// Only events of this name; give it several times for several.
        name: Query<Option<Vec<EventName>>>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before, read the same way.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<EventOut>> {
        let page = Page::<i64>::parse(limit.0, cursor.0.as_deref())?;
        let after = after.0.as_deref().map(str::parse::<Position>).transpose()?;
        let order = order.0.unwrap_or(EventOrder::Asc);
        let filter = EventFilter { after, names: name.0.unwrap_or_default(), order };
        let (events, next) = super::list_events(&app, &caller.principal, project_id.0, filter, page).await?;
        let next_cursor = next.map(|position| Page::<i64>::cursor(&position));
        Ok(Listed(List { items: events.into_iter().map(EventOut::from).collect(), next_cursor }))
    }

    /// Follow events
    ///
    /// Server-sent events: every frame carries `id`, `event` and `data` (the event as JSON). Send the last id you
    /// saw as `Last-Event-ID` or `?after=` to get everything since, once, in order; `event: reset` says that this
    /// log cannot serve that position. Without either the stream begins now. A quiet stream carries a comment
    /// every 15 seconds. Clients that cannot send headers use a ticket (`POST /api/v1/stream-tickets`).
    ///
    /// For many projects at once there is a WebSocket, `GET /api/v1/events/ws`, with the same positions and the same
    /// guarantees. Send `{"action": "subscribe", "projectId": "…", "after": "…"}`, where `after` is as above, or
    /// `{"action": "unsubscribe", "projectId": "…"}`. You get every event as the JSON that stands in `data` here, and
    /// beside them frames that have a `type`, which events do not: `subscribed` (with the `id` it starts behind),
    /// `unsubscribed`, `reset` (with `reason` and `id`), `error` (with `code` and `detail`) and, when the service
    /// stops, `reconnect` (with `retryMs`).
    #[oai(path = "/projects/:project_id/events/stream", method = "get", operation_id = "stream_events")]
    async fn stream_events(
        &self,
        app: Data<&Arc<App>>,
        caller: StreamCaller,
        /// The project.
        project_id: Path<ProjectId>,
        /// The last event id that was seen, as browsers send it by themselves.
        #[oai(name = "Last-Event-ID")]
        last_event_id: Header<Option<String>>,
        /// The same for clients that cannot send headers; `0` is the beginning. The header wins.
        after: Query<Option<String>>,
    ) -> Result<EventStream> {
        let from = last_event_id.0.or(after.0).as_deref().map(str::parse::<Position>).transpose()?;
        let project = projects::reach(app.0, &caller.principal, project_id.0).await?;
        let open = OpenStream::new(&app, caller.principal.id)?;
        let follower = app.followers.follow(caller.principal.tenant, project.id, from).await?;
        let app = Arc::clone(app.0);
        let access = Access::new(&app, &caller.principal, [Scope::EventsRead], Some(vec![project.id]));
        let events = stream::subscribe(app, follower, from, access, open);
        Ok(EventStream(Body::from_bytes_stream(events)))
    }

    /// Make a stream ticket
    ///
    /// For clients that cannot send headers, such as a browser's `EventSource` and `WebSocket`: send it as `?ticket=`
    /// to the event stream or the WebSocket, nowhere else. It has to be used within 30 seconds; from then on it stays
    /// good for reconnects until the key it was made with ends, or the service restarts: after a 401, make a new one.
    /// It may do what its key, or the token that is shown for it, may do with events, never more.
    #[oai(path = "/stream-tickets", method = "post", operation_id = "create_stream_ticket")]
    async fn create_stream_ticket(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::EventsRead>,
    ) -> Result<CreatedTicket> {
        let ticket = accounts::issue_ticket(&app, &caller.principal).await?;
        Ok(CreatedTicket::Made(Json(ticket.into()), "no-store".to_owned()))
    }
}

/// A ticket that was just made.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "StreamTicket")]
struct TicketOut {
    /// The ticket, shown this once.
    ticket: String,
    /// Until when it has to be used for the first time.
    expires_at: Timestamp,
}

impl From<Ticket> for TicketOut {
    fn from(ticket: Ticket) -> Self {
        Self { ticket: ticket.text.expose_secret().to_owned(), expires_at: ticket.expires_at.into() }
    }
}

/// 201 with a ticket. It has no address: nobody can look it up.
#[derive(ApiResponse)]
enum CreatedTicket {
    /// It was made.
    #[oai(status = 201)]
    Made(
        Json<TicketOut>,
        /// Nobody may keep the answer.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

/// One event of a project's log.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Event", example)]
pub struct EventOut {
    /// `{logId}:{position}`: pass it as `Last-Event-ID` or `after`.
    id: String,
    /// What it tells of, such as `push`.
    event: String,
    /// The project it happened in.
    project_id: ProjectId,
    /// When it was recorded.
    timestamp: Timestamp,
    /// What happened; its fields depend on `event`.
    payload: serde_json::Value,
}

example!(EventOut, {
    "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3d:42",
    "event": "artifact_updated",
    "projectId": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "timestamp": "2026-11-21T09:00:00Z",
    "payload": {"path": "docs/prd.md", "kind": "prd"}
});

impl From<Event> for EventOut {
    fn from(event: Event) -> Self {
        Self {
            id: event.id.to_string(),
            event: event.name,
            project_id: event.project,
            timestamp: event.timestamp.into(),
            payload: event.payload,
        }
    }
}

/// A `text/event-stream` body.
struct EventStream(Body);

impl Payload for EventStream {
    const CONTENT_TYPE: &'static str = "text/event-stream";

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")))
    }
}

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        Response::builder()
            .content_type(Self::CONTENT_TYPE)
            .header("cache-control", "no-store")
            .header("x-accel-buffering", "no") // nginx must not hold frames back
            .body(self.0)
    }
}

impl ApiResponse for EventStream {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType { content_type: Self::CONTENT_TYPE, schema: Self::schema_ref() }];
        let response = MetaResponse {
            description: "The stream; it stays open.",
            status: Some(200),
            status_range: None,
            content,
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(_: &mut poem_openapi::registry::Registry) {}
}
