//! One call of a tool, from who calls to the answer: scope, token bucket, the operation, the record, the answer.
//!
//! Every call leaves exactly one record, which is on disk before its answer: calls that are refused, limited, of no
//! such tool, that panic and that nobody waits for any more, too (P6). So a call is a task of its own, which goes on
//! when its client has gone away, far enough to record that.

use std::{net::IpAddr, panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt as _;
use rmcp::{ErrorData, model::CallToolResult};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    TABLE,
    answer::{Answer, refusal},
    tool::Row,
};
use crate::{
    accounts::Principal,
    admission::Noted,
    app::App,
    audit::{self, Actor, Entry, Outcome},
    error::{Code, Error, Result, chain},
    limits::ToolUse,
    projects::ProjectId,
};

/// Where a request came from, as it is recorded.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    pub(super) ip: Option<IpAddr>,
    pub(super) user_agent: Option<String>,
}

/// Who calls what.
pub(super) struct Call {
    pub(super) app: Arc<App>,
    pub(super) principal: Arc<Principal>,
    pub(super) origin: Origin,
    pub(super) tool: String,
    pub(super) arguments: Value,
    /// Where what is left of the limit is noted for the HTTP answer.
    pub(super) noted: Noted,
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
    /// Carries the call out; gives what its client is told. It is given up, and recorded so, once the returned future
    /// is dropped or `cancelled` fires.
    ///
    /// # Errors
    /// A protocol error for a tool that does not exist.
    pub(super) async fn run(self, cancelled: CancellationToken) -> Result<CallToolResult, ErrorData> {
        let given_up = cancelled.child_token();
        let _give_up = given_up.clone().drop_guard();
        let row = TABLE.iter().find(|row| row.definition.name == self.tool);
        let task = tokio::spawn(self.answer(row, given_up).in_current_span());
        task.await.map_err(|error| ErrorData::internal_error(error.to_string(), None))?
    }

    async fn answer(
        self,
        row: Option<&'static Row>,
        given_up: CancellationToken,
    ) -> Result<CallToolResult, ErrorData> {
        let (began, at) = (Instant::now(), self.app.clock.now());
        let done = AssertUnwindSafe(self.do_it(row)).catch_unwind();
        let outcome = tokio::select! {
            biased;
            done = done => done.unwrap_or_else(|_| {
                let error = Error::internal("a tool panicked; its panic message is above in the log");
                Err(Failure { error, word: "panicked" })
            }),
            () = given_up.cancelled() => {
                let error = Error::new(Code::Gone, "the client went away");
                Err(Failure { error, word: "abandoned" })
            }
        };
        let outcome = outcome.and_then(|answer| answer.into_result().map_err(Failure::from));
        let entry = Entry { duration: began.elapsed(), at, ..self.entry(row, outcome.as_ref().err()) };
        let outcome = match self.app.audit.record(entry).await {
            Ok(()) => outcome,
            Err(error) => Err(error.into()), // nothing is answered that is not recorded
        };
        match outcome {
            Ok(result) => Ok(result),
            Err(Failure { error, .. }) => {
                if matches!(error.code, Code::Internal | Code::Unavailable) {
                    tracing::error!(tool = self.tool, error = %chain(&error), "a tool call failed");
                }
                match row {
                    Some(_) => Ok(refusal(&error)),
                    None => Err(ErrorData::invalid_params(error.to_string(), None)),
                }
            }
        }
    }

    async fn do_it(&self, row: Option<&Row>) -> Result<Answer, Failure> {
        let Some(row) = row else {
            let why = format!("there is no tool `{}`; tools/list names those there are", self.tool);
            return Err(Error::invalid(why).into());
        };
        self.principal.require(row.scope)?;
        let used = ToolUse { client_id: self.principal.key_prefix.clone(), tool: self.tool.clone() };
        self.noted.limit(self.app.limits.tools.take(&used).await)?;
        Ok((row.call)(Arc::clone(&self.app), Arc::clone(&self.principal), self.arguments.clone()).await?)
    }

    /// What is recorded, but for the times.
    fn entry(&self, row: Option<&Row>, failure: Option<&Failure>) -> Entry {
        let Principal { tenant, id, kind, name, key, .. } = &*self.principal;
        let named = self.arguments.get("projectId").and_then(|id| id.as_str()?.parse::<ProjectId>().ok());
        let is_reached = |project: &ProjectId| {
            self.principal.reaches(*project)
                && failure.is_none_or(|failure| failure.error.code != Code::NotFound)
        };
        Entry {
            tenant: *tenant,
            project: named.filter(is_reached),
            actor: Actor { kind: *kind, id: *id, name: name.clone() },
            key: Some(*key),
            tool: self.tool.clone(),
            scope: row.map(|row| row.scope),
            arguments: audit::fingerprint(&self.arguments),
            result: match failure.map(|failure| failure.error.code) {
                None => Outcome::Success,
                Some(Code::InsufficientScope) => Outcome::Unauthorized,
                Some(Code::RateLimited) => Outcome::RateLimited,
                Some(_) => Outcome::Failure,
            },
            error: failure.map(|failure| failure.word.to_owned()),
            duration: Default::default(),
            at: Default::default(),
            ip: self.origin.ip,
            user_agent: self.origin.user_agent.clone(),
        }
    }
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
        accounts::{NewKey, Role, Scope, authenticate, create_tenant, issue_key},
        audit::{ToolCall, ToolCallFilter, list_tool_calls},
        clock::{Clock, Ids},
        config::{Config, Sources},
        mcp::tool::{Profile, Tool, row},
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
            principal: Arc::new(principal),
            origin: Origin::default(),
            tool: Trouble::NAME.to_owned(),
            arguments: json!({ "panic": panic }),
            noted: Noted::default(),
        };
        let row = Box::leak(Box::new(row::<Trouble>(Profile::Full)));
        let answer = call.answer(Some(row), given_up).await.expect("a known tool");
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
