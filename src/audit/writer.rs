//! Writing records: many calls by one transaction, or one call in the transaction of its change.
//!
//! The group commit is the only writer of its chains, so it knows their ends without asking: hashes are made before
//! the transaction begins, which then is one insert and one update of the heads. After a failure nobody knows whether
//! it was committed. The end of the chain is read anew then, and whatever is recorded already is not recorded again.
//!
//! A head that does not fit its seal is left as it is, for [`verify`](super::verify) to find, and another chain is
//! begun: calls go on, and nothing that somebody has changed gets a seal of ours.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use parking_lot::Mutex;
use uuid::Uuid;

use super::{
    Entry, ToolCall, ToolCallId,
    chain::{Head, Link, Seals},
    store,
};
use crate::{
    clock::Ids,
    database::{Database, Door, TenantId, Tx},
    error::{Error, Result},
    vault::Vault,
};

/// The names that a tenant's chain of changes may have: the first one, unless its head does not fit its seal, then the
/// next one. No other chain has a name among these, because ids begin with the time.
pub(super) const SHARED: std::ops::Range<u128> = 0..64;

/// A call that waits to be recorded.
pub(super) struct Pending {
    tenant: TenantId,
    call: ToolCall,
}

/// A chain of this process.
#[derive(Clone)]
struct Chain {
    writer: Uuid,
    /// Where it ends; none after a failure, when nobody knows.
    newest: Option<Link>,
}

/// Writes the chains of one process.
pub(super) struct Writer {
    database: Database,
    ids: Ids,
    pub(super) seals: Seals,
    chains: Mutex<HashMap<TenantId, Chain>>,
    /// The calls of the newest batch, until it is known to be committed: the group commit comes again with each.
    doubtful: Mutex<HashSet<ToolCallId>>,
}

impl Writer {
    pub(super) fn new(database: Database, vault: &Vault, ids: Ids) -> Result<Self> {
        Ok(Self {
            database,
            ids,
            seals: Seals::new(vault)?,
            chains: Mutex::default(),
            doubtful: Mutex::default(),
        })
    }

    /// Names a call, once: by that name it is known should its record be written a second time.
    pub(super) fn pending(&self, entry: Entry) -> Pending {
        let (tenant, id) = (entry.tenant, ToolCallId(self.ids.uuid()));
        Pending { tenant, call: ToolCall::new(id, entry) }
    }

    /// Records a batch. Batches come one after the other.
    pub(super) async fn commit(&self, batch: Vec<Arc<Pending>>) -> Result<Vec<()>> {
        let tenants: BTreeSet<TenantId> = batch.iter().map(|pending| pending.tenant).collect();
        let comes_again = self.doubt(&batch);
        let mut ends = HashMap::new();
        let mut known = HashSet::new();
        for tenant in tenants {
            let (writer, newest) = match self.chain(tenant) {
                Some(Chain { writer, newest: Some(newest) }) if !comes_again => (writer, newest),
                unsure => {
                    let calls = batch.iter().filter(|pending| pending.tenant == tenant);
                    let calls = calls.map(|pending| pending.call.id).collect();
                    let (head, recorded) = self.open(tenant, unsure.map(|chain| chain.writer), calls).await?;
                    known.extend(recorded);
                    (head.writer, head.newest)
                }
            };
            // Until the commit is known to have succeeded.
            self.remember(tenant, Chain { writer, newest: None });
            ends.insert(tenant, (writer, newest));
        }
        let mut records = Vec::with_capacity(batch.len());
        for pending in batch.iter().filter(|pending| !known.contains(&pending.call.id)) {
            let Some((writer, end)) = ends.get_mut(&pending.tenant) else { continue };
            let record = self.seals.append(pending.tenant, *writer, end.clone(), pending.call.clone());
            *end = Link { position: record.position, hash: record.hash.clone() };
            records.push(record);
        }
        let heads = ends.iter().map(|(tenant, (writer, end))| {
            let mac = self.seals.newest(*tenant, *writer, end).to_vec();
            (*tenant, *writer, end.clone(), mac)
        });
        let heads = heads.collect();
        self.database
            .write_batch(Door::AuditWriter, |batch| Box::pin(store::append(batch, records, heads)))
            .await?;
        for (tenant, (writer, end)) in ends {
            self.remember(tenant, Chain { writer, newest: Some(end) });
        }
        if !comes_again {
            self.doubtful.lock().clear();
        }
        Ok(vec![(); batch.len()])
    }

    /// Whether a batch is of calls that may be recorded already; a new one is doubtful from now on.
    fn doubt(&self, batch: &[Arc<Pending>]) -> bool {
        let mut doubtful = self.doubtful.lock();
        let comes_again = batch.iter().any(|pending| doubtful.contains(&pending.call.id));
        if !comes_again {
            *doubtful = batch.iter().map(|pending| pending.call.id).collect();
        }
        comes_again
    }

    fn chain(&self, tenant: TenantId) -> Option<Chain> {
        self.chains.lock().get(&tenant).cloned()
    }

    fn remember(&self, tenant: TenantId, chain: Chain) {
        self.chains.lock().insert(tenant, chain);
    }

    /// The head of this process's chain for a tenant, which is begun if there is none (any more) that can be gone on
    /// with; and those of the calls that are recorded already.
    async fn open(
        &self,
        tenant: TenantId,
        writer: Option<Uuid>,
        calls: Vec<ToolCallId>,
    ) -> Result<(Head, HashSet<ToolCallId>)> {
        let (seals, new) = (self.seals.clone(), self.ids.uuid());
        self.database
            .write(tenant, move |tx| {
                Box::pin(async move {
                    let known = store::known(tx, calls).await?;
                    if let Some(writer) = writer
                        && let Some(head) = store::hold_head(tx, writer).await?
                        && fits(&seals, tenant, &head)
                    {
                        return Ok((head, known));
                    }
                    Ok((begin(tx, &seals, new).await?, known))
                })
            })
            .await
    }

    /// Records a call in somebody's transaction.
    pub(super) async fn record_all_in(&self, tx: &Tx<'_>, entries: Vec<Entry>) -> Result<()> {
        let mut head = shared(tx, &self.seals).await?;
        let (tenant, mut records) = (tx.tenant(), Vec::with_capacity(entries.len()));
        for entry in entries {
            let Pending { call, .. } = self.pending(entry);
            let record = self.seals.append(tenant, head.writer, head.newest.clone(), call);
            head.newest = Link { position: record.position, hash: record.hash.clone() };
            records.push(record);
        }
        let mac = self.seals.newest(tenant, head.writer, &head.newest).to_vec();
        store::insert_records(tx, records).await?;
        store::move_head(tx, head.writer, head.newest, mac).await
    }
}

/// The head of the tenant's chain of changes, which nobody else moves until the transaction ends.
async fn shared(tx: &Tx<'_>, seals: &Seals) -> Result<Head> {
    for writer in SHARED.map(Uuid::from_u128) {
        let head = match store::hold_head(tx, writer).await? {
            Some(head) => head,
            None => begin(tx, seals, writer).await?,
        };
        if fits(seals, tx.tenant(), &head) {
            return Ok(head);
        }
    }
    Err(Error::internal("no head of the tool-call log fits its seal; see: trackside audit verify"))
}

/// Begins a chain, unless somebody has just begun it; gives its head.
async fn begin(tx: &Tx<'_>, seals: &Seals, writer: Uuid) -> Result<Head> {
    let tenant = tx.tenant();
    let register = store::hold_register(tx, seals.new_register(tenant)).await?;
    if let Some(head) = store::hold_head(tx, writer).await? {
        return Ok(head);
    }
    let head = seals.new_head(tenant, writer);
    store::insert_head(tx, head.clone()).await?;
    if seals.fits_register(tenant, &register) {
        store::change_register(tx, seals.with(tenant, register, writer)).await?;
    } else {
        tracing::error!(%tenant, "the register of the tool-call log was changed; see: trackside audit verify");
    }
    Ok(head)
}

fn fits(seals: &Seals, tenant: TenantId, head: &Head) -> bool {
    let fits = seals.fits_newest(tenant, head);
    if !fits {
        let writer = head.writer;
        tracing::error!(%tenant, %writer, "a head of the tool-call log was changed; see: trackside audit verify");
    }
    fits
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use scratch::Scratch;

    use super::*;
    use crate::{
        accounts::{PrincipalId, PrincipalKind},
        audit::{Actor, Outcome},
        clock::Clock,
        config::{Config, Sources},
        database::Migrate,
    };

    /// A writer over a database of its own, and whom it writes for.
    struct Place {
        writer: Writer,
        tenant: TenantId,
        clock: Clock,
        _scratch: Scratch,
    }

    impl Place {
        async fn new() -> Self {
            let scratch = Scratch::new();
            let environment = scratch.settings().into_iter().collect();
            let config =
                Config::load(&Sources { environment, ..Sources::default() }).expect("valid settings");
            Database::migrate(&config.database, Migrate::Up).await.expect("migrated");
            let database = Database::open(&config).await.expect("open");
            let clock = Clock::system();
            let ids = Ids::system(clock.clone());
            let vault = Vault::new([0; 32], ids.clone()).expect("a key");
            let tenant = TenantId(ids.uuid());
            let writer = Writer::new(database, &vault, ids).expect("a key");
            Self { writer, tenant, clock, _scratch: scratch }
        }

        fn call(&self, tool: &str) -> Arc<Pending> {
            Arc::new(self.writer.pending(Entry {
                tenant: self.tenant,
                project: None,
                actor: Actor {
                    kind: PrincipalKind::User,
                    id: PrincipalId(self.writer.ids.uuid()),
                    name: "somebody".to_owned(),
                },
                key: None,
                tool: tool.to_owned(),
                scope: None,
                arguments: [0; 32],
                result: Outcome::Success,
                error: None,
                duration: Duration::ZERO,
                at: self.clock.now(),
                ip: None,
                user_agent: None,
            }))
        }

        fn chain(&self) -> Chain {
            self.writer.chain(self.tenant).expect("begun")
        }

        fn position(&self) -> Option<i64> {
            self.chain().newest.map(|newest| newest.position)
        }

        async fn is_recorded(&self, call: &Pending) -> bool {
            let calls = vec![call.call.id];
            let known = self.writer.database.read(self.tenant, |tx| Box::pin(store::known(tx, calls)));
            !known.await.expect("read").is_empty()
        }
    }

    #[tokio::test]
    async fn a_batch_that_was_committed_without_anybody_knowing_is_not_recorded_twice() {
        let place = Place::new().await;
        let writer = &place.writer;
        let (first, second) = (place.call("first"), place.call("second"));
        writer.commit(vec![Arc::clone(&first), Arc::clone(&second)]).await.expect("committed");
        // What a failure after the commit leaves behind, and how the group commit goes on.
        writer.remember(place.tenant, Chain { newest: None, ..place.chain() });
        writer.doubt(&[Arc::clone(&first), Arc::clone(&second)]);
        for again in [first, second, place.call("third")] {
            writer.commit(vec![again]).await.expect("committed");
        }
        assert_eq!(place.position(), Some(3));
    }

    #[tokio::test]
    async fn nothing_is_recorded_in_a_chain_whose_head_is_gone_and_another_chain_takes_it() {
        let place = Place::new().await;
        let writer = &place.writer;
        writer.commit(vec![place.call("first")]).await.expect("committed");
        writer.remember(place.tenant, Chain { writer: Uuid::from_u128(99), ..place.chain() });
        let second = place.call("second");
        writer.commit(vec![Arc::clone(&second)]).await.expect_err("there is no such head");
        assert!(!place.is_recorded(&second).await);
        writer.commit(vec![Arc::clone(&second)]).await.expect("committed");
        assert!(place.is_recorded(&second).await);
        assert_eq!(place.position(), Some(1));
    }
}
