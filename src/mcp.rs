//! The tool table: what AI agents can do here, over the Model Context Protocol (MCP).
//!
//! A tool is an operation of a slice with a name, a few arguments and a small answer; the slice's `tools.rs` has it,
//! and the operation behind it is the one behind the REST route. Whatever a tool does, a call passes `call.rs`: scope,
//! token bucket, the operation, and then the answer. What tools show, `resources.rs` gives addresses, `prompts.rs` puts
//! into what a person asks for, and `listen.rs` tells the changes of; all of that are calls too. Speaking the protocol is the affair of the official SDK, `rmcp`
//! (`server.rs`), mounted at `/mcp` (`http.rs`) or on standard input and output.
//!
//! Five tools can also be called as clients of an older protocol do ([`invoke`]); they are not in the table, and no
//! client of this protocol sees them.

mod answer;
mod call;
mod http;
mod invoke;
mod listen;
mod prompts;
mod resources;
mod server;
mod text;
mod tool;

use std::sync::LazyLock;

use self::tool::{Profile, Row, row, writing_row};
pub use self::{
    answer::{Answer, Fields, More, page},
    http::{mount, mount_handler},
    server::serve_stdio,
    tool::{Tool, WritingTool},
};
pub(crate) use self::{
    invoke::{mount_invoke, mount_list, show_health},
    server::call_tool,
};
use crate::{
    agents::ListAgents,
    artifacts::{GetArtifact, ScanRepository, SearchArtifacts},
    conflicts::{ListConflicts, ResolveConflict},
    events::ListChanges,
    gates::{ListGates, SubmitGate},
    projects::ListProjects,
    reservations::{CheckPaths, ReleasePaths, ReservePaths},
    runs::{GetRun, ListRuns},
    status::GetProjectStatus,
    work::{ClaimWork, FinishWork, ListWork, ReleaseWork, UpdateWork},
};

/// Every tool, in the order in which clients see them.
static TABLE: LazyLock<Vec<Row>> = LazyLock::new(|| {
    use Profile::{Core, Full};
    vec![
        row::<ListProjects>(Core),
        row::<GetProjectStatus>(Core),
        row::<ListChanges>(Core),
        row::<SearchArtifacts>(Core),
        row::<GetArtifact>(Core),
        row::<ListWork>(Full),
        writing_row::<ClaimWork>(Core),
        writing_row::<UpdateWork>(Core),
        writing_row::<FinishWork>(Core),
        writing_row::<ReleaseWork>(Full),
        row::<CheckPaths>(Full),
        writing_row::<ReservePaths>(Full),
        writing_row::<ReleasePaths>(Full),
        row::<ListConflicts>(Full),
        writing_row::<ResolveConflict>(Full),
        row::<ListGates>(Full),
        writing_row::<SubmitGate>(Full),
        writing_row::<ScanRepository>(Full),
        row::<ListRuns>(Full),
        row::<GetRun>(Full),
        row::<ListAgents>(Full),
    ]
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_tools_costs_an_agent_little() {
        let tokens = |profile| {
            let tools: Vec<_> =
                TABLE.iter().filter(|row| row.is_in(profile)).map(|row| &row.definition).collect();
            let json = serde_json::to_string(&tools).expect("tools are JSON");
            tiktoken_rs::o200k_base_singleton().encode_ordinary(&json).len()
        };
        assert!(tokens(Profile::Full) <= 4_000, "{} tokens", tokens(Profile::Full));
        assert!(tokens(Profile::Core) <= 1_300, "{} tokens", tokens(Profile::Core));
    }

    #[test]
    fn names_are_what_every_client_takes() {
        let mut seen = std::collections::BTreeSet::new();
        for row in TABLE.iter() {
            let name = &*row.definition.name;
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert!(seen.insert(name), "{name} is there twice");
        }
        assert!(TABLE.len() <= 25);
    }
}
