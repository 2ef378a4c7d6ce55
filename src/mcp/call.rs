//! One call, from who calls to the answer: scope, token bucket, the work, the record, the answer.
//!
//! Tools are called, and so is whatever else tells something of a tenant: resources, prompts, subscriptions. None of
//! those is a door around limits or the record. Every call leaves exactly one record, which is on disk before its
//! answer: calls that are refused, limited, of no such tool, that panic and that nobody waits for any more, too (P6).
//! So a call is a task of its own, which goes on when its client has gone away, far enough to record that. One that
//! changes something goes on to its end, and its record is written in the transaction of the change ([`CallRecord`]);
//! if that did not come about, the call is recorded as any other.

use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt as _;
use rmcp::{
    ErrorData,
    model::{CallToolResult, ErrorCode},
};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    answer::{Answer, noticing, refusal},
    text,
    tool::Row,
};
use crate::{
    accounts::{Principal, Scope},
    admission::Noted,
    agents::{self, ActivityOutcome},
    app::App,
    audit::{Actor, CallRecord, Entry, Outcome},
    error::{Code, Error, Result, chain},
    limits::ToolUse,
    projects::ProjectId,
    sender::Sender,
    work,
};

/// The protocol's error for what it has no error of its own for; the reason is in its data.
const REFUSED: ErrorCode = ErrorCode(-32000);
/// The one bucket of a client for all that does not exist, so that nobody makes buckets by making up names.
const UNKNOWN: &str = "unknown";
/// Characters of a made-up name that are told back.
const NAME: usize = 100;

/// Who calls what.
pub(super) struct Call {
    pub(super) app: Arc<App>,
    pub(super) principal: Arc<Principal>,
    pub(super) sender: Sender,
    /// The tool, or the method of the protocol if it is none.
    pub(super) tool: String,
    /// SHA-256 of its canonical arguments, which is what is recorded of them.
    pub(super) fingerprint: [u8; 32],
    /// The project that it is about, if it names one.
    pub(super) project: Option<ProjectId>,
    /// Where what is left of the limit is noted for the HTTP answer.
    pub(super) noted: Noted,
    /// Fires when nobody waits for the answer any more.
    pub(super) cancelled: CancellationToken,
}

/// What a call shows of who calls.
#[derive(Clone, Copy)]
enum Shows {
    /// That they are at work.
    Work,
    /// Nothing: a client that looks by itself, or a tool that does not exist.
    Nothing,
}

/// Why a call came to nothing, and that in a word for the record.
struct Failure {
    error: Error,
    word: &'static str,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let word = error.code.as_str();
        Self { error, word }
    }
}

/// Whether there is more to tell beside what came of a call.
fn is_of_use(outcome: &Result<Answer>) -> bool {
    let is_lost = |error: &Error| matches!(error.code, Code::NotFound | Code::Internal | Code::Unavailable);
    !outcome.as_ref().is_err_and(is_lost)
}

impl Call {
    /// Calls the tool of a row, or says that there is none; gives what its client is told.
    ///
    /// # Errors
    /// A protocol error for a tool that does not exist.
    pub(super) async fn tool(
        self,
        row: Option<&'static Row>,
        arguments: Value,
    ) -> Result<CallToolResult, ErrorData> {
        let Some(row) = row else {
            let name: String = text::visible(&self.tool).chars().take(NAME).collect();
            let why = format!("there is no tool `{name}`; tools/list names those there are");
            let error = self.unknown(Error::invalid(why)).await;
            return match error.code {
                Code::InvalidRequest => Err(protocol_error(&error)),
                _ => Ok(refusal(&error)),
            };
        };
        let record = if row.writes { self.record(row.scope) } else { CallRecord::none() };
        let asked = (row.call)(Arc::clone(&self.app), Arc::clone(&self.principal), record.clone(), arguments);
        let (app, principal, project) = (Arc::clone(&self.app), Arc::clone(&self.principal), self.project);
        let work = async move {
            let outcome = asked.await;
            let reached = project.filter(|project| principal.reaches(*project) && is_of_use(&outcome));
            let Some(project) = reached else { return outcome?.into_result() };
            let notices = work::notice::warning(&app, &principal, project).await.unwrap_or_else(|error| {
                tracing::warn!(error = %chain(&error), "nobody knows whether a caller is to be warned");
                Vec::new()
            });
            match outcome {
                Ok(answer) => answer.noticing(notices).into_result(),
                Err(error) => Err(noticing(error, notices)),
            }
        };
        let answered = self.run_tool(row.scope, record, work).await;
        Ok(answered.unwrap_or_else(|error| refusal(&error)))
    }

    /// Does `work` as the call of a tool, which shows that its caller is at work; `record` is what [`Self::record`] gave
    /// for a tool that changes something, and none for others.
    ///
    /// # Errors
    /// Those of [`Self::run`].
    pub(super) async fn run_tool<T: Send + 'static>(
        self,
        scope: Scope,
        record: CallRecord,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.run_with(Some(scope), record, Shows::Work, work).await
    }

    /// Refuses what does not exist, and records that; gives `why`, or what else was in the way.
    pub(super) async fn unknown(self, why: Error) -> Error {
        let Err(error) = self.run::<Infallible>(None, async { Err(why) }).await;
        error
    }

    /// Does `work` as this call, if its caller is within the limit and has `scope`; what does not exist has none. It is
    /// given up, and recorded so, once the returned future is dropped or `cancelled` fires.
    ///
    /// # Errors
    /// Those of `work`, `insufficient_scope`, `rate_limited`, and `unavailable` when the call cannot be recorded.
    pub(super) async fn run<T: Send + 'static>(
        self,
        scope: Option<Scope>,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.run_with(scope, CallRecord::none(), Shows::Nothing, work).await
    }

    /// The same for work that writes the call's record itself, if there is one: that is never given up half-way.
    async fn run_with<T: Send + 'static>(
        self,
        scope: Option<Scope>,
        record: CallRecord,
        shows: Shows,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let given_up = if record.is_some() { CancellationToken::new() } else { self.cancelled.child_token() };
        let _give_up = (!record.is_some()).then(|| given_up.clone().drop_guard());
        let task = tokio::spawn(self.recorded(scope, record, shows, work, given_up).in_current_span());
        task.await.map_err(Error::internal)?
    }

    async fn recorded<T>(
        self,
        scope: Option<Scope>,
        record: CallRecord,
        shows: Shows,
        work: impl Future<Output = Result<T>>,
        given_up: CancellationToken,
    ) -> Result<T> {
        let (began, at) = (Instant::now(), self.app.clock.now());
        let done = AssertUnwindSafe(self.admitted(scope, work)).catch_unwind();
        let outcome = tokio::select! {
            biased;
            done = done => match done {
                Ok(outcome) => outcome.map_err(Failure::from),
                Err(_) => {
                    let error = Error::internal("a tool panicked; its panic message is above in the log");
                    Err(Failure { error, word: "panicked" })
                }
            },
            () = given_up.cancelled() => {
                let error = Error::new(Code::Gone, "the client went away");
                Err(Failure { error, word: "abandoned" })
            }
        };
        let entry = Entry { duration: began.elapsed(), at, ..self.entry(scope, outcome.as_ref().err()) };
        if let Shows::Work = shows {
            self.show(&entry);
        }
        let recorded = if record.is_committed() { Ok(()) } else { self.app.audit.record(entry).await };
        let outcome = match recorded {
            Ok(()) => outcome.map_err(|failure| failure.error),
            Err(error) => Err(error), // nothing is answered that is not recorded
        };
        if let Err(error) = &outcome
            && matches!(error.code, Code::Internal | Code::Unavailable)
        {
            tracing::error!(tool = self.tool, error = %chain(error), "a tool call failed");
        }
        outcome
    }

    /// Shows who works on a project by the tools that they call; who was let in by neither scope nor limit did nothing.
    fn show(&self, entry: &Entry) {
        let outcome = match entry.result {
            Outcome::Success => ActivityOutcome::Success,
            Outcome::Failure => ActivityOutcome::Failure,
            Outcome::Unauthorized | Outcome::RateLimited => return,
        };
        if let Some(project) = entry.project {
            agents::seen(&self.app, &self.principal, project, &entry.tool, outcome);
        }
    }

    /// Whatever is asked takes a token, also what is refused: who floods us is told to wait, and shows in the log.
    async fn admitted<T>(&self, scope: Option<Scope>, work: impl Future<Output = Result<T>>) -> Result<T> {
        let tool = if scope.is_some() { &self.tool } else { UNKNOWN }.to_owned();
        let used = ToolUse { client_id: self.principal.client.clone(), tool };
        self.noted.limit(self.app.limits.tools.take(&used).await)?;
        scope.map_or(Ok(()), |scope| self.principal.require_in(self.project, scope))?;
        work.await
    }

    /// The record of this call, for work that writes it where it changes something.
    pub(super) fn record(&self, scope: Scope) -> CallRecord {
        let entry = Entry { at: self.app.clock.now(), ..self.entry(Some(scope), None) };
        CallRecord::new(self.app.audit.clone(), entry)
    }

    /// What is recorded, but for the times.
    fn entry(&self, scope: Option<Scope>, failure: Option<&Failure>) -> Entry {
        let Principal { tenant, id, kind, name, .. } = &*self.principal;
        let is_reached = |project: &ProjectId| {
            self.principal.reaches(*project)
                && failure.is_none_or(|failure| failure.error.code != Code::NotFound)
        };
        Entry {
            tenant: *tenant,
            project: self.project.filter(is_reached),
            actor: Actor { kind: *kind, id: *id, name: name.clone() },
            key: self.principal.key(),
            tool: self.tool.clone(),
            scope,
            arguments: self.fingerprint,
            result: match failure.map(|failure| failure.error.code) {
                None => Outcome::Success,
                Some(Code::InsufficientScope) => Outcome::Unauthorized,
                Some(Code::RateLimited) => Outcome::RateLimited,
                Some(_) => Outcome::Failure,
            },
            error: failure.map(|failure| failure.word.to_owned()),
            duration: Default::default(),
            at: Default::default(),
            ip: self.sender.ip,
            user_agent: self.sender.user_agent.clone(),
        }
    }
}

/// The project that arguments name.
pub(super) fn named_project(arguments: &Value) -> Option<ProjectId> {
    arguments.get("projectId")?.as_str()?.parse().ok()
}

/// A refusal where the protocol has no other place for it than an error: something to act on, as tools give it.
pub(super) fn protocol_error(error: &Error) -> ErrorData {
    let code = match error.code {
        Code::NotFound => ErrorCode::RESOURCE_NOT_FOUND,
        Code::InvalidRequest => ErrorCode::INVALID_PARAMS,
        Code::Internal | Code::Unavailable => ErrorCode::INTERNAL_ERROR,
        _ => REFUSED,
    };
    ErrorData::new(code, error.to_string(), refusal(error).structured_content)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use schemars::JsonSchema;
    use scratch::Scratch;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::{
        accounts::{NewKey, Role, authenticate, create_tenant, issue_key},
        audit::{ToolCallFilter, list_tool_calls},
        clock::{Clock, Ids},
        config::{Config, Sources},
        mcp::{
            answer::Answer,
            tool::{Profile, Tool, WritingTool, row, writing_row},
        },
    };

    /// A tool that panics when it is told to, and else never answers.
    struct Trouble;

    #[derive(Deserialize, JsonSchema)]
    struct Arguments {
        panic: bool,
    }

    impl Tool for Trouble {
        const NAME: &'static str = "trouble";
        const TITLE: &'static str = "Trouble";
        const ABOUT: &'static str = "Makes trouble.";
        const SCOPE: Scope = Scope::ProjectsRead;
        type Arguments = Arguments;

        async fn call(_: Arc<App>, _: Arc<Principal>, asked: Arguments) -> Result<Answer> {
            assert!(!asked.panic, "as it was told");
            pending().await
        }
    }

    /// A tool that writes its record in a transaction, and can be told how that ends.
    struct Write;

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum End {
        Well,
        Undone,
        PanicsThen,
        FailsLater,
        WritesNothing,
    }

    #[derive(Deserialize, JsonSchema)]
    struct Ending {
        end: End,
    }

    impl WritingTool for Write {
        const NAME: &'static str = "write";
        const TITLE: &'static str = "Write";
        const ABOUT: &'static str = "Writes.";
        const SCOPE: Scope = Scope::ProjectsWrite;
        const DESTROYS: bool = true;
        const IS_IDEMPOTENT: bool = false;
        type Arguments = Ending;

        async fn call(
            app: Arc<App>,
            principal: Arc<Principal>,
            record: CallRecord,
            Ending { end }: Ending,
        ) -> Result<Answer> {
            let fails_later = matches!(end, End::FailsLater);
            let write = app.database.write(principal.tenant, move |tx| {
                Box::pin(async move {
                    if matches!(end, End::WritesNothing) {
                        return Ok(());
                    }
                    record.write(tx).await?;
                    match end {
                        End::Undone => Err(Error::invalid("undone")),
                        End::PanicsThen => panic!("as it was told"),
                        _ => Ok(()),
                    }
                })
            });
            write.await?;
            if fails_later {
                return Err(Error::invalid("it is written already"));
            }
            Ok(Answer::new(app.clock.now(), []))
        }
    }

    /// Calls a tool; gives the code of its answer, and what was recorded.
    async fn outcome(
        row: Row,
        arguments: Value,
        given_up: CancellationToken,
    ) -> (Value, Vec<(String, Option<String>)>) {
        let place = Scratch::new();
        let environment = place.settings().into_iter().collect();
        let config = Config::load(&Sources { environment, ..Sources::default() }).expect("settings");
        let clock = Clock::mock(chrono::DateTime::UNIX_EPOCH);
        let ids = Ids::seeded(clock.clone(), 1);
        let app = App::open(config, clock, ids, ([127, 0, 0, 1], 0).into()).await.expect("a service");
        let tenant = create_tenant(&app, "acme").await.expect("a tenant").id;
        let new = NewKey {
            name: "agent".into(),
            role: Role::Owner,
            scopes: None,
            projects: None,
            expires_at: None,
        };
        let (_, key) = issue_key(&app, tenant, new).await.expect("a key");
        let principal =
            authenticate(&app, secrecy::ExposeSecret::expose_secret(&key)).await.expect("its holder");
        let call = Call {
            app: Arc::clone(&app),
            principal,
            sender: Sender::default(),
            tool: row.definition.name.to_string(),
            fingerprint: Default::default(),
            project: None,
            noted: Noted::default(),
            cancelled: given_up,
        };
        let answer = call.tool(Some(Box::leak(Box::new(row))), arguments).await.expect("a known tool");
        let calls = list_tool_calls(&app, tenant, ToolCallFilter::default(), None, 10).await.expect("calls");
        app.database.close().await;
        let calls = calls.into_iter().map(|call| (call.result, call.error)).collect();
        (answer.structured_content.expect("an answer")["code"].clone(), calls)
    }

    fn failure(word: &str) -> Vec<(String, Option<String>)> {
        vec![("failure".to_owned(), Some(word.to_owned()))]
    }

    #[tokio::test]
    async fn a_tool_that_panics_answers_an_error_and_is_recorded() {
        let row = row::<Trouble>(Profile::Full);
        let (code, calls) = outcome(row, json!({ "panic": true }), CancellationToken::new()).await;
        assert_eq!((code, calls), (json!("internal"), failure("panicked")));
    }

    #[tokio::test]
    async fn a_call_that_nobody_waits_for_any_more_ends_and_is_recorded() {
        let gone = CancellationToken::new();
        gone.cancel();
        let (_, calls) = outcome(row::<Trouble>(Profile::Full), json!({ "panic": false }), gone).await;
        assert_eq!(calls, failure("abandoned"));
    }

    #[tokio::test]
    async fn a_call_that_changes_something_leaves_one_record_however_it_ends() {
        let success = || vec![("success".to_owned(), None)];
        for (end, code, recorded) in [
            ("well", Value::Null, success()),
            ("undone", json!("invalid_request"), failure("invalid_request")),
            ("panics_then", json!("internal"), failure("internal")),
            ("fails_later", json!("invalid_request"), success()),
            ("writes_nothing", Value::Null, success()),
        ] {
            let row = writing_row::<Write>(Profile::Full);
            let told = outcome(row, json!({ "end": end }), CancellationToken::new()).await;
            assert_eq!(told, (code, recorded), "{end}");
        }
    }

    #[tokio::test]
    async fn a_change_goes_on_to_its_end_though_nobody_waits_for_it_any_more() {
        let gone = CancellationToken::new();
        gone.cancel();
        let (code, calls) =
            outcome(writing_row::<Write>(Profile::Full), json!({ "end": "well" }), gone).await;
        assert_eq!((code, calls), (Value::Null, vec![("success".to_owned(), None)]));
    }
}
