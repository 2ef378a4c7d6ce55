//! The stage: the doors through which what is played goes in, and what is told of it.

use std::sync::Arc;

use poem::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{cast::Agent, play::Playing};
use crate::{
    app::App,
    error::{Code, Error, Result},
    mcp,
    samples::Sample,
    sender::Sender,
    webhooks,
};

/// What the agents' program calls itself.
pub const PROGRAM: &str = concat!("trackside-demo/", env!("CARGO_PKG_VERSION"));

/// Something that was played.
pub enum Told<'a> {
    /// A delivery was posted, and accepted (202) or refused (401).
    Delivery {
        /// The project that it is for.
        project: &'a Playing,
        /// What it tells.
        sample: &'a Sample,
        /// Its host's id.
        delivery_id: &'a str,
        /// The status of the answer.
        status: u16,
        /// The answer.
        answer: &'a Value,
    },
    /// An agent called a tool.
    Act {
        /// The project that it is about.
        project: &'a Playing,
        /// Who called.
        agent: &'static str,
        /// Which tool.
        tool: &'static str,
        /// What for, on one line.
        about: &'a str,
        /// The code of the refusal, if it was refused.
        refused: Option<&'a str>,
    },
}

/// The doors of a service.
pub trait Doors: Sync {
    /// Posts a delivery to a project, as a Git host does; gives the status, 202 or 401, and the answer.
    fn post(
        &self,
        project: &Playing,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    ) -> impl Future<Output = Result<(u16, Value)>> + Send;

    /// Calls a tool, as an agent's client does; gives whether it did what it was asked, and its answer or refusal.
    fn call(
        &self,
        agent: &Agent,
        tool: &'static str,
        arguments: Value,
    ) -> impl Future<Output = Result<(bool, Value)>> + Send;

    /// Tells somebody what was played; an error ends the play.
    ///
    /// # Errors
    /// When nobody listens any more.
    fn tell(&self, told: &Told<'_>) -> Result<()>;
}

/// The doors of the service that this process is: the same operations, without a connection.
pub struct Inside(pub Arc<App>);

impl Doors for Inside {
    async fn post(
        &self,
        project: &Playing,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    ) -> Result<(u16, Value)> {
        let mut named = HeaderMap::new();
        for (name, value) in headers {
            named.insert(
                HeaderName::from_static(name),
                HeaderValue::from_str(&value).map_err(Error::internal)?,
            );
        }
        match webhooks::receive_posted(&self.0, project.source, project.id, &named, body.into()).await {
            Ok(status) => Ok((202, json!({ "status": status.as_str() }))),
            Err(error) if error.code == Code::InvalidSignature => {
                Ok((401, json!({ "detail": error.to_string() })))
            }
            Err(error) => Err(error),
        }
    }

    async fn call(&self, agent: &Agent, tool: &'static str, arguments: Value) -> Result<(bool, Value)> {
        let sender = Sender { ip: None, user_agent: Some(PROGRAM.to_owned()) };
        mcp::call_tool(&self.0, &agent.key, sender, tool, arguments).await
    }

    fn tell(&self, _: &Told<'_>) -> Result<()> {
        Ok(())
    }
}
