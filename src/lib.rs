//! Trackside: project tracking for teams in which people and AI agents work side by side.
//!
//! # The way in
//! [`server`] accepts connections and hands requests to the route table in [`http`]. A route decodes, calls one
//! operation of a slice, and encodes. What is asked of the API passes [`admission`] first. AI agents call the tools
//! in the table of [`mcp`], which are the same operations. Operations take the [`app::App`] and the principal who
//! acts.
//!
//! # The slices
//! Each is a folder with the same file names: `mod.rs` (its story, operations and types), `api.rs` (routes),
//! `tools.rs` (what agents call), `store.rs` (the only code that knows its tables), `worker.rs` (its jobs).
//!
//! | Slice | What it is about |
//! |---|---|
//! | [`accounts`] | tenants, principals, API keys: who acts, and what they may do |
//! | [`projects`] | one repository each, its webhook secrets and configuration |
//! | [`webhooks`] | signed deliveries in: verify, store, process, replay |
//! | [`events`] | the log of each project, and the streams that follow it |
//! | [`artifacts`] | the documents of a repository that are tracked |
//! | [`conflicts`] | what clashes: documents that build on what changed or is gone |
//! | [`work`] | what there is to do, who does it, and that nobody else does it too |
//! | [`gates`] | what has to hold before a phase or a work item is complete |
//! | [`reservations`] | who is editing which files, and what was really touched |
//! | [`agents`] | who is at what: statuses from what is done, not only from what is said |
//! | [`runs`] | executions of CI pipelines, and what agents run |
//! | [`status`] | how a project stands, in one small answer |
//! | [`audit`] | the tool-call log: who called which tool, in chains that show every change |
//! | [`security`] | the security log: what happened to who may do what |
//! | [`limits`] | token buckets: how much one client may ask for |
//! | [`demo`] | sample projects at work, for whoever wants to see what all of this is |
//! | [`idempotency`] | writes that are sent again have one effect and the same answer |
//!
//! # The spine
//! [`config`] → [`installation`] → [`app`] → [`service`] put the service together; [`database`] holds
//! tenant-scoped transactions and the one writer; [`recent`] keeps what was read a moment ago;
//! [`redis`] is what several instances share; [`jobs`] does what
//! was promised, with its table in [`worker`], and [`due`] looks after what ends by itself; [`vault`] seals secrets, under the [`master_key`]; [`fetch`] asks other hosts, and
//! [`git`] reads repositories; [`error`] says what
//! can go wrong and [`problem`] how that looks over HTTP; [`wire`] how values look, [`rest`] what all routes share, and
//! [`pages`] what all pages do that are rendered here, and [`dashboard`] hosts the one that is built from `web/`;
//! [`body`] takes in what is sent, and [`sender`] tells who sends it; [`openapi`] completes
//! the routes' description; [`clock`] is where time and ids come from; [`operation`], [`metrics`] and [`logs`]
//! are for those who operate it; [`cli`] is the command line, [`samples`] what the demo plays, and [`front_doors`]
//! what a fuzzer knocks at.
//!
//! # What always holds
//! - A 2xx on a webhook is given after its commit has reached the disk.
//! - A change, its events and its jobs are one transaction; signals after it only wake somebody up.
//! - Every query begins with the tenant; what looks across tenants is a [`database::Door`].
//! - Nothing but [`clock`] asks for the time or for randomness.
//! - What `Display` of an [`error::Error`] says may be shown to anybody.

pub mod accounts;
pub mod admission;
pub mod agents;
pub mod app;
pub mod artifacts;
pub mod audit;
pub mod body;
pub mod cli;
pub mod clock;
pub mod config;
pub mod conflicts;
pub mod dashboard;
pub mod database;
pub mod demo;
pub mod due;
pub mod error;
pub mod events;
pub mod fetch;
pub mod front_doors;
pub mod gates;
pub mod git;
pub mod http;
pub mod idempotency;
pub mod installation;
pub mod jobs;
pub mod limits;
pub mod logs;
pub mod master_key;
pub mod mcp;
pub mod metrics;
pub mod openapi;
pub mod operation;
pub mod pages;
pub mod problem;
pub mod projects;
mod prose;
pub mod recent;
pub mod redis;
pub mod reservations;
pub mod rest;
pub mod runs;
pub mod samples;
pub mod security;
pub mod sender;
pub mod server;
pub mod service;
pub mod status;
pub mod vault;
pub mod webhooks;
pub mod wire;
pub mod work;
pub mod worker;
