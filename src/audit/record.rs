//! The record of a call that changes something, on its way into the transaction of the change (P6).
//!
//! Whoever serves the call makes the record and hands it to the operation; the operation writes it, last, in the
//! transaction in which it changes what it changes. So neither is ever without the other: a record that cannot be
//! written undoes the change, and a change that fails takes the record with it. Who served the call then sees that
//! nothing was recorded, and records the failure by itself.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::time::Instant;

use super::{AuditLog, Entry};
use crate::{database::Tx, error::Result};

/// The record of a call that changes something. What does not come from a tool call, such as a request over REST, has
/// none, and to write that does nothing. A clone is another handle to the same.
#[derive(Clone)]
pub struct CallRecord(Option<Arc<Unwritten>>);

struct Unwritten {
    log: AuditLog,
    entry: Entry,
    began: Instant,
    is_committed: Arc<AtomicBool>,
}

impl CallRecord {
    /// The record of no call.
    pub fn none() -> Self {
        Self(None)
    }

    /// The record of a call that begins now; its entry says how it will have ended if it is ever written: well.
    pub fn new(log: AuditLog, entry: Entry) -> Self {
        let (began, is_committed) = (Instant::now(), Arc::default());
        Self(Some(Arc::new(Unwritten { log, entry, began, is_committed })))
    }

    /// Writes it in the transaction of what the call changes. To be called last in it, and once, because others of the
    /// tenant that change something by a tool wait from here to the commit.
    ///
    /// # Errors
    /// The database's, and `internal` for a call of another tenant than the transaction's: the change must not be kept.
    pub async fn write(&self, tx: &Tx<'_>) -> Result<()> {
        Self::write_all(tx, std::iter::once(self)).await
    }

    /// The same for calls that change something together, in their order.
    ///
    /// # Errors
    /// Those of [`CallRecord::write`].
    pub async fn write_all(tx: &Tx<'_>, records: impl Iterator<Item = &Self>) -> Result<()> {
        let records: Vec<_> = records.filter_map(|record| record.0.as_deref()).collect();
        let Some(first) = records.first() else { return Ok(()) };
        let ended = |it: &&Unwritten| Entry { duration: it.began.elapsed(), ..it.entry.clone() };
        first.log.record_all_in(tx, records.iter().map(ended).collect()).await?;
        let committed: Vec<_> = records.iter().map(|record| Arc::clone(&record.is_committed)).collect();
        tx.after_commit(move || committed.iter().for_each(|it| it.store(true, Ordering::Release)));
        Ok(())
    }

    /// Whether it is that of a call.
    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Whether it was written, and what it was written with was committed.
    pub fn is_committed(&self) -> bool {
        self.0.as_ref().is_some_and(|record| record.is_committed.load(Ordering::Acquire))
    }
}
