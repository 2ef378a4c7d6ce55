//! `trackside mcp`: the tools for one agent that starts this process, over standard input and output.

use std::sync::Arc;

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    app::App,
    error::{Error, Result},
    mcp,
};

#[derive(Args)]
pub(super) struct McpArgs {
    /// The agent's API key
    #[arg(long, env = "TRACKSIDE_API_KEY", hide_env_values = true)]
    key: Option<SecretString>,
}

pub(super) async fn run(app: &Arc<App>, args: McpArgs) -> Result<()> {
    let key = args.key.filter(|key| !key.expose_secret().is_empty()).ok_or_else(|| {
        Error::invalid(
            "an API key is needed in TRACKSIDE_API_KEY; make one with: \
             trackside key create --name agent --role member",
        )
    })?;
    mcp::serve_stdio(Arc::clone(app), key).await
}
