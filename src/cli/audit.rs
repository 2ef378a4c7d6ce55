//! `trackside audit`: has anybody changed what the tool-call log says?

use std::{process::ExitCode, sync::Arc};

use anstream::println;
use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    TenantArg, manage,
    say::{GREEN, RED, RESET},
};
use crate::{
    accounts::{self, Tenant},
    app::App,
    audit::{self, Finding, Verified},
    error::Result,
    wire::Timestamp,
};

#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// See that no record of a tool call was changed, removed or put elsewhere; exit code 1 if one was
    Verify {
        /// The tenant, by name or id [default: all]
        #[arg(long)]
        tenant: Option<String>,
    },
}

pub(super) async fn run(app: &Arc<App>, command: AuditCommand, json: bool) -> Result<ExitCode> {
    let AuditCommand::Verify { tenant } = command;
    let tenants = match tenant {
        None => accounts::list_tenants(app).await?,
        named => vec![manage::find_tenant(app, &TenantArg { tenant: named }).await?],
    };
    let (mut is_well, mut shown) = (true, Vec::new());
    for tenant in tenants {
        let verified = audit::verify(app, tenant.id).await?;
        is_well &= verified.findings.is_empty();
        if json { shown.push(document(&tenant, &verified)) } else { tell(&tenant, &verified) }
    }
    if json {
        println!("{:#}", Value::Array(shown));
    }
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(tenant: &Tenant, verified: &Verified) {
    let Verified { chains, records, pruned, retired, digest, findings } = verified;
    let name = &tenant.name;
    for finding in findings {
        println!("{RED}✗{RESET} {name}: {}", words(finding));
    }
    if findings.is_empty() {
        println!(
            "{GREEN}✓{RESET} {name}: all is well: {records} records in {chains} chains; {pruned} older ones and \
             {retired} whole chains have come of age; digest {digest}"
        );
    }
}

/// A finding on one line.
fn words(finding: &Finding) -> String {
    let Finding { writer, position, record, called_at, what } = finding;
    let place = [
        writer.map(|writer| format!("chain {writer}")),
        position.map(|position| format!("position {position}")),
        record.map(|record| format!("record {record}")),
        called_at.map(|time| format!("called at {}", Timestamp(time))),
    ];
    let place: Vec<_> = place.into_iter().flatten().collect();
    if place.is_empty() { what.clone() } else { format!("{}: {what}", place.join(", ")) }
}

fn document(tenant: &Tenant, verified: &Verified) -> Value {
    let findings = verified.findings.iter().map(|finding| {
        json!({
            "writer": finding.writer,
            "position": finding.position,
            "record": finding.record.map(|record| record.0),
            "calledAt": finding.called_at,
            "what": finding.what,
        })
    });
    json!({
        "tenant": {"id": tenant.id.0, "name": tenant.name},
        "chains": verified.chains,
        "records": verified.records,
        "pruned": verified.pruned,
        "retired": verified.retired,
        "digest": verified.digest,
        "findings": findings.collect::<Vec<_>>(),
    })
}
