//! P6: every tool call has one record, durable before its answer, in chains that show every change.

mod reading;
mod retention;
mod summary;
mod tampering;
mod writing;

use std::{net::IpAddr, time::Duration};

use serde_json::json;
use trackside::{
    accounts::{PrincipalId, PrincipalKind, Scope},
    audit::{self, Actor, Entry, Outcome, Verified},
    database::TenantId,
};

use crate::support::{Server, dawn};

/// A call that went well.
pub(crate) fn call(tenant: TenantId, tool: &str) -> Entry {
    Entry {
        tenant,
        project: None,
        actor: Actor {
            kind: PrincipalKind::ServiceAccount,
            id: PrincipalId(uuid::Uuid::from_u128(7)),
            name: "agent".to_owned(),
        },
        key: None,
        tool: tool.to_owned(),
        scope: Some(Scope::ProjectsRead),
        arguments: audit::fingerprint(&json!({"limit": 1, "after": "x"})),
        result: Outcome::Success,
        error: None,
        duration: Duration::from_micros(1_500),
        at: dawn(),
        ip: Some(IpAddr::from([127, 0, 0, 1])),
        user_agent: Some("agent/1.0".to_owned()),
    }
}

/// Records a call by itself.
pub(crate) async fn record(server: &Server, entry: Entry) {
    server.service.app.audit.record(entry).await.unwrap();
}

/// Records a call in a transaction of its own.
pub(crate) async fn record_with_change(server: &Server, entry: Entry) {
    let log = server.service.app.audit.clone();
    let write = server
        .service
        .app
        .database
        .write(entry.tenant, move |tx| Box::pin(async move { log.record_in(tx, entry).await }));
    write.await.unwrap();
}

/// What verifying a tenant shows.
pub(crate) async fn verify(server: &Server, tenant: TenantId) -> Verified {
    audit::verify(&server.service.app, tenant).await.unwrap()
}

/// Sees that all is well, with so many records.
#[track_caller]
pub(crate) fn expect_well(verified: Verified, records: u64) -> Verified {
    assert!(verified.findings.is_empty(), "{:#?}", verified.findings);
    assert_eq!(verified.records, records);
    verified
}
