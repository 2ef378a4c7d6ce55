//! Verifying: is every record there, as it was written, where it was written?
//!
//! A tenant is verified from one snapshot, so that what is recorded or pruned meanwhile does not matter, and page by
//! page. Of each chain the first link that is wrong is told; what comes behind it says nothing any more.

use std::collections::HashSet;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    Record, ToolCallId,
    chain::{Head, Link, Register, Seals},
    store,
};
use crate::{
    app::App,
    clock::Time,
    database::{TenantId, Tx},
    error::Result,
};

/// Records read by one query.
const PAGE: u64 = 1_000;

/// What verifying a tenant's chains has shown.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Chains that have a head.
    pub chains: u64,
    /// Records that were read.
    pub records: u64,
    /// Records that were removed because of their age, as the checkpoints of those chains say.
    pub pruned: u64,
    /// Chains all of whose records were.
    pub retired: i64,
    /// SHA-256 over all heads, in hexadecimal. Kept elsewhere, it shows that they were not set back together.
    pub digest: String,
    /// What is wrong; nothing, if all is well.
    pub findings: Vec<Finding>,
}

/// Something that is not as it was written.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The chain, if it is about one.
    pub writer: Option<Uuid>,
    /// The first position that is wrong, if it is about one.
    pub position: Option<i64>,
    /// The record there.
    pub record: Option<ToolCallId>,
    /// When its tool was called, as it says now.
    pub called_at: Option<Time>,
    /// What is wrong, in words.
    pub what: String,
}

impl Finding {
    fn new(what: impl Into<String>) -> Self {
        Self { writer: None, position: None, record: None, called_at: None, what: what.into() }
    }

    fn of(writer: Uuid, what: impl Into<String>) -> Self {
        Self { writer: Some(writer), ..Self::new(what) }
    }

    fn at(position: i64, writer: Uuid, what: impl Into<String>) -> Self {
        Self { position: Some(position), ..Self::of(writer, what) }
    }

    fn in_record(record: &Record, what: impl Into<String>) -> Self {
        let (id, called_at) = (record.call.id, record.call.called_at);
        Self {
            record: Some(id),
            called_at: Some(called_at),
            ..Self::at(record.position, record.writer, what)
        }
    }
}

/// Verifies the chains of a tenant.
///
/// # Errors
/// The database's; what it holds that cannot be read is a finding.
pub async fn verify(app: &App, tenant: TenantId) -> Result<Verified> {
    let seals = app.audit.seals().clone();
    app.database.read(tenant, |tx| Box::pin(async move { Check { tx, seals: &seals }.tenant().await })).await
}

struct Check<'a> {
    tx: &'a Tx<'a>,
    seals: &'a Seals,
}

impl Check<'_> {
    async fn tenant(&self) -> Result<Verified> {
        let (mut heads, mut findings) = (Vec::new(), Vec::new());
        for head in store::heads(self.tx).await? {
            match head {
                Ok(head) => heads.push(head),
                Err(why) => findings.push(Finding::new(format!("the head of a chain was changed: {why}"))),
            }
        }
        let register = self.register(&heads, &mut findings).await?;
        let mut verified = Verified {
            chains: heads.len() as u64,
            records: 0,
            pruned: 0,
            retired: register.as_ref().map_or(0, |register| register.retired),
            digest: digest(register.as_ref(), &heads),
            findings,
        };
        for head in &heads {
            let finding = self.chain(head, &mut verified).await?;
            verified.findings.extend(finding);
        }
        let known = heads.iter().map(|head| head.writer);
        let known = known.chain(register.into_iter().flat_map(|register| register.writers)).collect();
        self.strays(&known, &mut verified.findings).await?;
        Ok(verified)
    }

    /// Whether there are the chains that there should be.
    async fn register(&self, heads: &[Head], findings: &mut Vec<Finding>) -> Result<Option<Register>> {
        let register = match store::register(self.tx).await? {
            Some(Ok(register)) if self.seals.fits_register(self.tx.tenant(), &register) => register,
            Some(_) => {
                findings.push(Finding::new("the register of chains was changed"));
                return Ok(None);
            }
            None => {
                let lost = (!heads.is_empty()).then(|| Finding::new("the register of chains was removed"));
                findings.extend(lost);
                return Ok(None);
            }
        };
        let there: HashSet<Uuid> = heads.iter().map(|head| head.writer).collect();
        for writer in register.writers.iter().filter(|writer| !there.contains(writer)) {
            findings.push(Finding::of(*writer, "the head of this chain was removed"));
        }
        for head in heads.iter().filter(|head| register.writers.binary_search(&head.writer).is_err()) {
            findings
                .push(Finding::of(head.writer, "the head of this chain was inserted: no register knows it"));
        }
        Ok(Some(register))
    }

    /// The first thing that is wrong with a chain.
    async fn chain(&self, head: &Head, verified: &mut Verified) -> Result<Option<Finding>> {
        let (tenant, writer) = (self.tx.tenant(), head.writer);
        if !self.seals.fits_checkpoint(tenant, head) {
            let what = "the checkpoint of this chain, up to which old records were removed, was changed";
            return Ok(Some(Finding::at(head.pruned.position, writer, what)));
        }
        verified.pruned += u64::try_from(head.pruned.position).unwrap_or_default();
        let (mut before, mut after) = (head.pruned.clone(), None);
        loop {
            let page = store::records_after(self.tx, writer, after, PAGE).await?;
            let count = page.len() as u64;
            for record in page {
                let record = match record {
                    Ok(record) => record,
                    Err(why) => {
                        let what = format!("the record here was changed: {why}");
                        return Ok(Some(Finding::at(before.position + 1, writer, what)));
                    }
                };
                if let Some(finding) = self.record(&before, head, &record) {
                    return Ok(Some(finding));
                }
                verified.records += 1;
                after = Some(record.position);
                before = Link { position: record.position, hash: record.hash };
            }
            if count < PAGE {
                return Ok(self.end(&before, head));
            }
        }
    }

    /// What is wrong with a record that comes behind `before`.
    fn record(&self, before: &Link, head: &Head, record: &Record) -> Option<Finding> {
        let (expected, position) = (before.position + 1, record.position);
        let is_own = record.hash == self.seals.record(record);
        if position <= head.pruned.position {
            let what = "a record stands where old ones were removed: it was put back or inserted";
            return Some(Finding::in_record(record, what));
        }
        if position < expected {
            return Some(Finding::in_record(record, "there are two records in one place: one was inserted"));
        }
        if position > expected {
            let what = match position - expected {
                1 => "the record here was removed, or put elsewhere".to_owned(),
                count => format!("{count} records from here on were removed, or put elsewhere"),
            };
            return Some(Finding::at(expected, record.writer, what));
        }
        if !is_own {
            return Some(Finding::in_record(
                record,
                "this record was changed, or inserted, after it was written",
            ));
        }
        if record.previous_hash != before.hash {
            let what =
                "this record was written after another one than stands before it: that one was replaced";
            return Some(Finding::in_record(record, what));
        }
        None
    }

    /// What is wrong where a chain ends.
    fn end(&self, last: &Link, head: &Head) -> Option<Finding> {
        let writer = head.writer;
        if !self.seals.fits_newest(self.tx.tenant(), head) {
            return Some(Finding::at(head.newest.position, writer, "the head of this chain was changed"));
        }
        if last == &head.newest {
            return None;
        }
        Some(match head.newest.position - last.position {
            0 => Finding::at(last.position, writer, "the newest record is not the one that the head names"),
            missing @ 1.. => {
                let what =
                    format!("the chain was cut off: the newest {missing} records from here on were removed");
                Finding::at(last.position + 1, writer, what)
            }
            _ => {
                let what = "there are records behind the head: it was set back, or they were put there";
                Finding::at(head.newest.position + 1, writer, what)
            }
        })
    }

    /// Records of chains that there are not.
    async fn strays(&self, known: &HashSet<Uuid>, findings: &mut Vec<Finding>) -> Result<()> {
        let mut after = None;
        while let Some(writer) = store::next_writer(self.tx, after).await? {
            match writer {
                Ok(writer) if !known.contains(&writer) => {
                    let what = "there are records of this chain, and neither a head nor a register knows it: they were \
                                inserted, or all that knew it was removed";
                    findings.push(Finding::of(writer, what));
                    after = Some(writer);
                }
                Ok(writer) => after = Some(writer),
                Err(why) => {
                    findings.push(Finding::new(format!("the chain of a record was changed: {why}")));
                    // SQLite puts text and numbers before all that can be read.
                    if after.is_some() {
                        return Ok(());
                    }
                    after = Some(Uuid::nil());
                }
            }
        }
        Ok(())
    }
}

/// What all heads and the register say, in one line.
fn digest(register: Option<&Register>, heads: &[Head]) -> String {
    let mut digest = Sha256::new();
    if let Some(register) = register {
        digest.update(&register.mac);
    }
    for head in heads {
        digest.update(&head.mac);
        digest.update(&head.pruned_mac);
    }
    hex::encode(digest.finalize())
}
