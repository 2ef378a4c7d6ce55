//! Trackside as its users meet it: a real server, a real database file, real HTTP.
//!
//! `support` is the language the tests are written in; the other files hold one slice or promise each.

#![cfg(test)]

mod access;
mod accounts;
mod agents;
mod audit;
mod browsers;
mod buckets;
mod canaries;
mod cli;
mod conventions;
mod copy;
mod corpus;
mod crash;
mod dashboard;
mod deliveries;
mod demo;
mod deploy;
mod drift;
mod events;
mod fetch;
mod front_doors;
mod gates;
mod graphs;
mod hosts;
mod instructions;
mod invitations;
mod join;
mod keys;
mod master_key;
mod mcp;
mod members;
mod oauth;
mod oidc;
mod operation;
mod operator;
mod own_documents;
mod postgres;
mod processing;
mod projects;
mod readers;
mod reading;
mod reconcile;
mod redis;
mod remote;
mod repositories;
mod reservations;
mod reset;
mod runs;
mod scans;
mod search;
mod security;
mod signin;
mod sockets;
mod status;
mod support;
mod tickets;
mod tidy;
mod tokens;
mod webhooks;
mod work;
mod workers;
