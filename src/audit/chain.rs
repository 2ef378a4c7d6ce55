//! Chains of records, and what proves that nobody else has written in them.
//!
//! The hash of a record is HMAC-SHA256 over the hash before it and every column, each with its length, so that no
//! two contents look alike. It is keyed (with a key derived from the master key), because anybody who can write to
//! the database could make a plain one: a record with a new time would pass for one that has come of age, and be
//! pruned under our own seal. Heads, checkpoints and registers are sealed with the same key; the first field of what
//! is sealed says what it is, and with which version of the encoding.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Record, ToolCall};
use crate::{
    database::TenantId,
    error::{Error, Result},
    vault::Vault,
};

/// A place in a chain: what the next record refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// 1, 2, 3 …; 0 before the first record.
    pub(super) position: i64,
    /// The hash of the record there.
    pub(super) hash: Vec<u8>,
}

impl Link {
    /// Before the first record.
    pub(super) fn start() -> Self {
        Self { position: 0, hash: vec![0; 32] }
    }
}

/// Both ends of a chain.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// The chain.
    pub(super) writer: Uuid,
    /// The newest record.
    pub(super) newest: Link,
    /// The seal of the newest record.
    pub(super) mac: Vec<u8>,
    /// The last record that was removed because of its age.
    pub(super) pruned: Link,
    /// The seal of that.
    pub(super) pruned_mac: Vec<u8>,
}

/// Which chains a tenant has.
#[derive(Clone, Debug)]
pub(super) struct Register {
    /// Their names, in ascending order.
    pub(super) writers: Vec<Uuid>,
    /// How many were taken out, because all of their records had come of age.
    pub(super) retired: i64,
    /// The digest of their heads, each over those before.
    pub(super) retired_hash: Vec<u8>,
    /// The seal of all that.
    pub(super) mac: Vec<u8>,
}

/// The key that seals.
#[derive(Clone)]
pub(super) struct Seals(Hmac<Sha256>);

impl Seals {
    pub(super) fn new(vault: &Vault) -> Result<Self> {
        let key = vault.key_for("trackside tool-call log");
        Ok(Self(Hmac::new_from_slice(&key).map_err(Error::internal)?))
    }

    /// The hash of a record.
    pub(super) fn record(&self, record: &Record) -> [u8; 32] {
        let Record { tenant, writer, position, previous_hash, hash: _, call } = record;
        let ToolCall { id, project, actor_kind, actor_id, actor_name, key, tool, scope, .. } = call;
        let ToolCall { arguments_hash, result, error, duration_us, called_at, ip, user_agent, .. } = call;
        self.begin("record 1")
            .bytes(previous_hash)
            .id(tenant.0)
            .id(*writer)
            .number(*position)
            .id(id.0)
            .optional(project.as_ref().map(|project| &project.0.as_bytes()[..]))
            .bytes(actor_kind.as_bytes())
            .id(actor_id.0)
            .bytes(actor_name.as_bytes())
            .optional(key.as_ref().map(|key| &key.0.as_bytes()[..]))
            .bytes(tool.as_bytes())
            .optional(scope.as_deref().map(str::as_bytes))
            .bytes(arguments_hash)
            .bytes(result.as_bytes())
            .optional(error.as_deref().map(str::as_bytes))
            .number(*duration_us)
            .number(called_at.timestamp_micros())
            .optional(ip.as_deref().map(str::as_bytes))
            .optional(user_agent.as_deref().map(str::as_bytes))
            .end()
    }

    /// A call as the next record of a chain.
    pub(super) fn append(&self, tenant: TenantId, writer: Uuid, before: Link, call: ToolCall) -> Record {
        let (position, previous_hash) = (before.position + 1, before.hash);
        let mut record = Record { tenant, writer, position, previous_hash, hash: Vec::new(), call };
        record.hash = self.record(&record).to_vec();
        record
    }

    /// Whether a record comes behind another, and is as it was written.
    pub(super) fn follows(&self, before: &Link, record: &Record) -> bool {
        record.position == before.position + 1
            && record.previous_hash == before.hash
            && record.hash == self.record(record)
    }

    /// The seal of a chain's newest record.
    pub(super) fn newest(&self, tenant: TenantId, writer: Uuid, link: &Link) -> [u8; 32] {
        self.begin("head 1").id(tenant.0).id(writer).number(link.position).bytes(&link.hash).end()
    }

    /// The seal of a chain's checkpoint.
    pub(super) fn checkpoint(&self, tenant: TenantId, writer: Uuid, link: &Link) -> [u8; 32] {
        self.begin("checkpoint 1").id(tenant.0).id(writer).number(link.position).bytes(&link.hash).end()
    }

    /// The seal of a tenant's register.
    pub(super) fn register(&self, tenant: TenantId, register: &Register) -> [u8; 32] {
        let Register { writers, retired, retired_hash, mac: _ } = register;
        let encoded = self.begin("register 1").id(tenant.0).number(*retired).bytes(retired_hash);
        writers.iter().fold(encoded, |encoded, writer| encoded.id(*writer)).end()
    }

    /// The head of a chain without records.
    pub(super) fn new_head(&self, tenant: TenantId, writer: Uuid) -> Head {
        let start = Link::start();
        let mac = self.newest(tenant, writer, &start).to_vec();
        let pruned_mac = self.checkpoint(tenant, writer, &start).to_vec();
        Head { writer, newest: start.clone(), mac, pruned: start, pruned_mac }
    }

    /// The register of a tenant without chains.
    pub(super) fn new_register(&self, tenant: TenantId) -> Register {
        let empty = Register { writers: vec![], retired: 0, retired_hash: vec![0; 32], mac: vec![] };
        Register { mac: self.register(tenant, &empty).to_vec(), ..empty }
    }

    /// A register with one more chain.
    pub(super) fn with(&self, tenant: TenantId, mut register: Register, writer: Uuid) -> Register {
        if let Err(place) = register.writers.binary_search(&writer) {
            register.writers.insert(place, writer);
        }
        Register { mac: self.register(tenant, &register).to_vec(), ..register }
    }

    /// A register in which a chain is no more than part of a digest.
    pub(super) fn without(&self, tenant: TenantId, mut register: Register, head: &Head) -> Register {
        register.writers.retain(|writer| *writer != head.writer);
        register.retired += 1;
        let digest = Sha256::new_with_prefix(&register.retired_hash).chain_update(head.writer);
        let digest = digest.chain_update(head.newest.position.to_be_bytes()).chain_update(&head.newest.hash);
        register.retired_hash = digest.finalize().to_vec();
        Register { mac: self.register(tenant, &register).to_vec(), ..register }
    }

    /// Whether a head's newest record is the one that was sealed.
    pub(super) fn fits_newest(&self, tenant: TenantId, head: &Head) -> bool {
        self.newest(tenant, head.writer, &head.newest)[..] == head.mac
    }

    /// Whether a head's checkpoint is the one that was sealed.
    pub(super) fn fits_checkpoint(&self, tenant: TenantId, head: &Head) -> bool {
        self.checkpoint(tenant, head.writer, &head.pruned)[..] == head.pruned_mac
    }

    /// Whether a register is as it was sealed.
    pub(super) fn fits_register(&self, tenant: TenantId, register: &Register) -> bool {
        self.register(tenant, register)[..] == register.mac
    }

    fn begin(&self, what: &str) -> Encoding {
        Encoding(self.0.clone()).bytes(what.as_bytes())
    }
}

/// Fields one after the other, each behind its length, so that none can pass for a part of its neighbour.
struct Encoding(Hmac<Sha256>);

impl Encoding {
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    fn id(self, id: Uuid) -> Self {
        self.bytes(id.as_bytes())
    }

    fn number(self, number: i64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    /// Nothing differs from an empty text.
    fn optional(self, bytes: Option<&[u8]>) -> Self {
        match bytes {
            None => self.bytes(b"0"),
            Some(bytes) => self.bytes(b"1").bytes(bytes),
        }
    }

    fn end(self) -> [u8; 32] {
        self.0.finalize().into_bytes().into()
    }
}
