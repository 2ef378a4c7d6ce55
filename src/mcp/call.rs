//! One call, from who calls to the answer: scope, token bucket, the work, the record, the answer.
//!
//! Tools are called, and so is whatever else tells something of a tenant: resources, prompts, subscriptions. None of
//! those is a door around limits or the record. Every call leaves exactly one record, which is on disk before its
//! answer: calls that are refused, limited, of no such tool, that panic and that nobody waits for any more, too (P6).
//! So a call is a task of its own, which goes on when its client has gone away, far enough to record that.

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

use super::{answer::refusal, text, tool::Row};
use crate::{
    accounts::{Principal, Scope},
    admission::Noted,
    app::App,
    audit::{Actor, Entry, Outcome},
    error::{Code, Error, Result, chain},
    limits::ToolUse,
    projects::ProjectId,
    sender::Sender,
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
        let asked = (row.call)(Arc::clone(&self.app), Arc::clone(&self.principal), arguments);
        let answered = self.run(Some(row.scope), async move { asked.await?.into_result() }).await;
        Ok(answered.unwrap_or_else(|error| refusal(&error)))
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
        let given_up = self.cancelled.child_token();
        let _give_up = given_up.clone().drop_guard();
        let task = tokio::spawn(self.recorded(scope, work, given_up).in_current_span());
        task.await.map_err(Error::internal)?
    }

    async fn recorded<T>(
        self,
        scope: Option<Scope>,
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
        let outcome = match self.app.audit.record(entry).await {
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

    /// Whatever is asked takes a token, also what is refused: who floods us is told to wait, and shows in the log.
    async fn admitted<T>(&self, scope: Option<Scope>, work: impl Future<Output = Result<T>>) -> Result<T> {
        let tool = if scope.is_some() { &self.tool } else { UNKNOWN }.to_owned();
        let used = ToolUse { client_id: self.principal.client.clone(), tool };
        self.noted.limit(self.app.limits.tools.take(&used).await)?;
        scope.map_or(Ok(()), |scope| self.principal.require_in(self.project, scope))?;
        work.await
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
        audit::{ToolCall, ToolCallFilter, list_tool_calls},
        clock::{Clock, Ids},
        config::{Config, Sources},
        mcp::{
            answer::Answer,
            tool::{Profile, Tool, row},
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

    /// Calls the tool; gives the code of its answer, and what was recorded.
    async fn trouble(panic: bool, given_up: CancellationToken) -> (Value, Vec<ToolCall>) {
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
            tool: Trouble::NAME.to_owned(),
            fingerprint: Default::default(),
            project: None,
            noted: Noted::default(),
            cancelled: given_up,
        };
        let row = Box::leak(Box::new(row::<Trouble>(Profile::Full)));
        let answer = call.tool(Some(row), json!({ "panic": panic })).await.expect("a known tool");
        let calls = list_tool_calls(&app, tenant, ToolCallFilter::default(), None, 10).await.expect("calls");
        app.database.close().await;
        (answer.structured_content.expect("a reason")["code"].clone(), calls)
    }

    #[tokio::test]
    async fn a_tool_that_panics_answers_an_error_and_is_recorded() {
        let (code, calls) = trouble(true, CancellationToken::new()).await;
        assert_eq!(code, "internal");
        let recorded: Vec<_> = calls.iter().map(|call| (call.tool.as_str(), call.error.as_deref())).collect();
        assert_eq!(recorded, [("trouble", Some("panicked"))]);
    }

    #[tokio::test]
    async fn a_call_that_nobody_waits_for_any_more_ends_and_is_recorded() {
        let gone = CancellationToken::new();
        gone.cancel();
        let (_, calls) = trouble(false, gone).await;
        let recorded: Vec<_> = calls.iter().map(|call| (call.tool.as_str(), call.error.as_deref())).collect();
        assert_eq!(recorded, [("trouble", Some("abandoned"))]);
    }
}
