//! Trackside as its users meet it: a real server, a real database file, real HTTP.
//!
//! `support` is the language the tests are written in; the other files hold one slice or promise each.

#![cfg(test)]

mod accounts;
mod cli;
mod corpus;
mod crash;
mod events;
mod hosts;
mod isolation;
mod operation;
mod processing;
mod projects;
mod support;
mod tidy;
mod webhooks;
