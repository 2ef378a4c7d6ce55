//! The tool-call log over REST: as pages of JSON, or all of it as CSV.

use std::{borrow::Cow, io, sync::Arc};

use bytes::Bytes;
use futures::{Stream, stream};
use poem::{
    Body, IntoResponse, Request, Response,
    http::{HeaderMap, header},
    web::Data,
};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    registry::{MetaMediaType, MetaResponses, Registry},
    types::Type,
};

use super::{Format, Outcome, ToolCall, ToolCallFilter, ToolCallId, Window, out::SummaryOut};
use crate::{
    accounts::{Caller, KeyId, Principal, PrincipalId, scope},
    app::App,
    database::TenantId,
    error::{Error, Result, chain},
    projects::ProjectId,
    rest::{Listed, Tag},
    wire::{Page, Timestamp, example},
};

/// Rows of an export that are in memory at once.
const ROWS: u64 = 500;
const CSV: &str = "text/csv";

/// Routes of the tool-call log.
pub struct AuditApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Audit")]
impl AuditApi {
    /// List tool calls
    ///
    /// Who called which tool, with what outcome, newest first; of all projects that the key reaches. With
    /// `format=csv`, or `Accept: text/csv`, everything that fits from the cursor on, as one file.
    #[oai(path = "/tool-calls", method = "get", operation_id = "list_tool_calls")]
    async fn list_tool_calls(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::AuditRead>,
        request: &Request,
        /// Only calls of this principal.
        actor: Query<Option<PrincipalId>>,
        /// Only calls of this tool.
        tool: Query<Option<String>>,
        /// Only calls with this outcome.
        result: Query<Option<Outcome>>,
        /// Only calls from then on.
        from: Query<Option<Timestamp>>,
        /// Only calls before then.
        until: Query<Option<Timestamp>>,
        /// How to write it (json if not given).
        format: Query<Option<Format>>,
        /// Rows of a page at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<ToolCalls> {
        let filter = filter(actor.0, tool.0, result.0, from.0, until.0);
        let asked = Asked { project: None, filter, format: format.0.unwrap_or(accepted(request.headers())) };
        asked.answer(&app, &caller.principal, &Page::parse(limit.0, cursor.0.as_deref())?).await
    }

    /// List tool calls about a project
    ///
    /// Who called which tool for it, with what outcome, newest first. With `format=csv`, or `Accept: text/csv`,
    /// everything that fits from the cursor on, as one file.
    #[oai(
        path = "/projects/:project_id/tool-calls",
        method = "get",
        operation_id = "list_project_tool_calls"
    )]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the request")]
    async fn list_project_tool_calls(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::AuditRead>,
        request: &Request,
        /// The project.
        project_id: Path<ProjectId>,
        /// Only calls of this principal.
        actor: Query<Option<PrincipalId>>,
        /// Only calls of this tool.
        tool: Query<Option<String>>,
        /// Only calls with this outcome.
        result: Query<Option<Outcome>>,
        /// Only calls from then on.
        from: Query<Option<Timestamp>>,
        /// Only calls before then.
        until: Query<Option<Timestamp>>,
        /// How to write it (json if not given).
        format: Query<Option<Format>>,
        /// Rows of a page at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<ToolCalls> {
        let filter = filter(actor.0, tool.0, result.0, from.0, until.0);
        let project = Some(project_id.0);
        let asked = Asked { project, filter, format: format.0.unwrap_or(accepted(request.headers())) };
        asked.answer(&app, &caller.principal, &Page::parse(limit.0, cursor.0.as_deref())?).await
    }

    /// Summarize tool calls about a project
    ///
    /// How many calls there were in the last while, how they ended, how long they took, and what is left in the token
    /// buckets of who called, as far as this instance knows. At most the newest 10,000 calls of the window count;
    /// percentiles are by the nearest rank. Calls that were refused count too, with the little time that they took.
    #[oai(
        path = "/projects/:project_id/tool-calls/summary",
        method = "get",
        operation_id = "summarize_tool_calls"
    )]
    async fn summarize_tool_calls(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::AuditRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// How many seconds to look back, 60 to 86400 (3600 if not given).
        #[oai(name = "windowSeconds")]
        window_seconds: Query<Option<u64>>,
    ) -> Result<Json<SummaryOut>> {
        let window = Window::parse(window_seconds.0)?;
        let summary = super::summarize_tool_calls(&app, &caller.principal, project_id.0, window).await?;
        Ok(Json(SummaryOut::new(window, summary)))
    }
}

fn filter(
    actor: Option<PrincipalId>,
    tool: Option<String>,
    result: Option<Outcome>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
) -> ToolCallFilter {
    let (from, until) = (from.map(|Timestamp(time)| time), until.map(|Timestamp(time)| time));
    ToolCallFilter { projects: None, actor, tool, result, from, until }
}

/// What a client would rather have, by its header.
fn accepted(headers: &HeaderMap) -> Format {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let first = accept.split([',', ';']).next().unwrap_or_default().trim();
    if first.eq_ignore_ascii_case(CSV) { Format::Csv } else { Format::Json }
}

/// What a request asks for.
struct Asked {
    project: Option<ProjectId>,
    filter: ToolCallFilter,
    format: Format,
}

impl Asked {
    async fn answer(
        self,
        app: &Arc<App>,
        principal: &Principal,
        page: &Page<ToolCallId>,
    ) -> Result<ToolCalls> {
        let (tenant, after) = (principal.tenant, page.after);
        let filter = super::within(app, principal, self.project, self.filter).await?;
        if self.format == Format::Csv {
            return Ok(ToolCalls::Csv(Body::from_bytes_stream(export(
                Arc::clone(app),
                tenant,
                filter,
                after,
            ))));
        }
        let rows = super::list_tool_calls(app, tenant, filter, after, page.limit + 1).await?;
        Ok(ToolCalls::Page(Listed(page.cut(rows, |call| call.id, ToolCallOut::from))))
    }
}

/// 200 with tool calls: a page of JSON, or a file.
enum ToolCalls {
    Page(Listed<ToolCallOut>),
    Csv(Body),
}

impl IntoResponse for ToolCalls {
    fn into_response(self) -> Response {
        match self {
            Self::Page(page) => page.into_response(),
            Self::Csv(body) => Response::builder()
                .content_type("text/csv; charset=utf-8")
                .header(header::CONTENT_DISPOSITION, "attachment; filename=\"tool-calls.csv\"")
                .body(body),
        }
    }
}

impl ApiResponse for ToolCalls {
    fn meta() -> MetaResponses {
        let mut meta = Listed::<ToolCallOut>::meta();
        for response in &mut meta.responses {
            response.content.push(MetaMediaType { content_type: CSV, schema: String::schema_ref() });
        }
        meta
    }

    fn register(registry: &mut Registry) {
        Listed::<ToolCallOut>::register(registry);
    }
}

/// A tool call as it was recorded.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "ToolCall", example)]
struct ToolCallOut {
    /// The record's id.
    id: ToolCallId,
    /// When the tool was called.
    called_at: Timestamp,
    /// The tool's name, as it was given.
    tool: String,
    /// `success`, `failure`, `unauthorized` or `rate_limited`.
    result: String,
    /// What went wrong, in short.
    error: Option<String>,
    /// How long it took, in microseconds.
    duration_us: i64,
    /// The project that it was about.
    project_id: Option<ProjectId>,
    /// What kind of actor called: `user` or `service_account`.
    actor_kind: String,
    /// The principal that called.
    actor_id: PrincipalId,
    /// The name it had then.
    actor_name: String,
    /// The API key that it called with.
    key_id: Option<KeyId>,
    /// The scope that the tool needs.
    scope: Option<String>,
    /// SHA-256 of the arguments in canonical form (RFC 8785), in hexadecimal.
    arguments_hash: String,
    /// Where it was called from.
    ip: Option<String>,
    /// What called, by its own words.
    user_agent: Option<String>,
}

example!(ToolCallOut, {
    "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "calledAt": "2026-11-21T09:00:00Z",
    "tool": "claim_work",
    "result": "failure",
    "error": "already_claimed",
    "durationUs": 1840,
    "projectId": "01936f8e-4a10-7d55-8c1e-2f3a4b5c6d7e",
    "actorKind": "service_account",
    "actorId": "01936f8e-3c20-7b11-9a2d-1e2f3a4b5c6d",
    "actorName": "developer-1",
    "keyId": "01936f8e-3c21-7e90-a4b3-5c6d7e8f9a0b",
    "scope": "work.write",
    "argumentsHash": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    "ip": "192.0.2.7",
    "userAgent": "claude-code/2.1"
});

impl From<ToolCall> for ToolCallOut {
    fn from(call: ToolCall) -> Self {
        Self {
            id: call.id,
            called_at: Timestamp(call.called_at),
            tool: call.tool,
            result: call.result,
            error: call.error,
            duration_us: call.duration_us,
            project_id: call.project,
            actor_kind: call.actor_kind,
            actor_id: call.actor_id,
            actor_name: call.actor_name,
            key_id: call.key,
            scope: call.scope,
            arguments_hash: hex::encode(call.arguments_hash),
            ip: call.ip,
            user_agent: call.user_agent,
        }
    }
}

/// The columns of an export, named as in JSON.
const COLUMNS: [&str; 15] = [
    "id",
    "calledAt",
    "tool",
    "result",
    "error",
    "durationUs",
    "projectId",
    "actorKind",
    "actorId",
    "actorName",
    "keyId",
    "scope",
    "argumentsHash",
    "ip",
    "userAgent",
];

impl ToolCallOut {
    fn cells(self) -> [String; COLUMNS.len()] {
        [
            self.id.to_string(),
            self.called_at.to_string(),
            self.tool,
            self.result,
            self.error.unwrap_or_default(),
            self.duration_us.to_string(),
            self.project_id.map(|id| id.to_string()).unwrap_or_default(),
            self.actor_kind,
            self.actor_id.to_string(),
            self.actor_name,
            self.key_id.map(|id| id.to_string()).unwrap_or_default(),
            self.scope.unwrap_or_default(),
            self.arguments_hash,
            self.ip.unwrap_or_default(),
            self.user_agent.unwrap_or_default(),
        ]
    }
}

/// Where an export stands.
enum Progress {
    Begin,
    Behind(Option<ToolCallId>),
    Done,
}

/// Everything that fits, a few hundred rows at a time. A failure breaks the answer off, so that nobody takes what
/// there is of it for all.
fn export(
    app: Arc<App>,
    tenant: TenantId,
    filter: ToolCallFilter,
    after: Option<ToolCallId>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::try_unfold(Progress::Begin, move |progress| {
        let (app, filter) = (Arc::clone(&app), filter.clone());
        async move {
            let after = match progress {
                Progress::Begin => {
                    let header = written([COLUMNS.map(str::to_owned)])?;
                    return Ok(Some((header, Progress::Behind(after))));
                }
                Progress::Behind(after) => after,
                Progress::Done => return Ok(None),
            };
            let rows = super::list_tool_calls(&app, tenant, filter, after, ROWS).await.map_err(|error| {
                tracing::error!(error = %chain(&error), "an export of the tool-call log was broken off");
                io::Error::other(error)
            })?;
            let Some(last) = rows.last().map(|call| call.id) else { return Ok(None) };
            let is_full = rows.len() as u64 == ROWS;
            let next = if is_full { Progress::Behind(Some(last)) } else { Progress::Done };
            Ok(Some((written(rows.into_iter().map(|call| ToolCallOut::from(call).cells()))?, next)))
        }
    })
}

/// Rows as comma-separated values.
fn written(rows: impl IntoIterator<Item = [String; COLUMNS.len()]>) -> io::Result<Bytes> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row.iter().map(|cell| harmless(cell).into_owned()))?;
    }
    writer.into_inner().map(Bytes::from).map_err(|error| io::Error::other(Error::internal(error.to_string())))
}

/// A cell that no spreadsheet takes for a formula: tools and user agents are named by whoever calls.
fn harmless(cell: &str) -> Cow<'_, str> {
    match cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{cell}").into(),
        false => cell.into(),
    }
}
