//! Who is acting, and with what rights.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use uuid::Uuid;

use super::{KeyId, PrincipalId, Role, Scope};
use crate::{
    clock::Time,
    database::TenantId,
    error::{Code, Error, Result},
    wire::{ProjectId, id_type, wire_enum},
};

id_type! {
    /// Names a session: a browser in which somebody is signed in.
    SessionId
}
id_type! {
    /// Names a grant: what somebody lets a client do on their behalf.
    GrantId
}

wire_enum! {
    /// What kind of actor a principal is.
    PrincipalKind {
        /// A person.
        User = "user",
        /// An agent, a CI job, a script.
        ServiceAccount = "service_account",
    }
}

wire_enum! {
    /// What a principal that is limited to some projects may do in one of them.
    Level {
        /// All that its role may.
        Editor = "editor",
        /// Look, and change nothing.
        Viewer = "viewer",
    }
}

/// The projects that somebody is limited to, each with how far they reach there; none means all of the tenant.
pub type Limits = Option<BTreeMap<ProjectId, Level>>;

/// What somebody's access rests on: it ends when that does, whatever was made of it meanwhile, such as a stream, a
/// ticket or a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// An API key.
    Key(KeyId),
    /// A browser in which somebody is signed in.
    Session(SessionId),
    /// What somebody lets a client do.
    Grant(GrantId),
    /// Who somebody is: a token of an issuer elsewhere says no more.
    Member(PrincipalId),
}

impl Credential {
    /// Its kind and its id, as they are sealed in a ticket.
    pub(super) fn to_bytes(self) -> [u8; 17] {
        let (kind, id) = match self {
            Self::Key(KeyId(id)) => (0, id),
            Self::Session(SessionId(id)) => (1, id),
            Self::Grant(GrantId(id)) => (2, id),
            Self::Member(PrincipalId(id)) => (3, id),
        };
        let mut bytes = [kind; 17];
        bytes[1..].copy_from_slice(id.as_bytes());
        bytes
    }

    /// Reads what [`Credential::to_bytes`] wrote.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (kind, id) = bytes.split_first()?;
        let id = Uuid::from_slice(id).ok()?;
        match kind {
            0 => Some(Self::Key(KeyId(id))),
            1 => Some(Self::Session(SessionId(id))),
            2 => Some(Self::Grant(GrantId(id))),
            3 => Some(Self::Member(PrincipalId(id))),
            _ => None,
        }
    }
}

/// As a token names it.
impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => write!(f, "key:{id}"),
            Self::Session(id) => write!(f, "session:{id}"),
            Self::Grant(id) => write!(f, "grant:{id}"),
            Self::Member(id) => write!(f, "member:{id}"),
        }
    }
}

impl FromStr for Credential {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, id) = text.split_once(':').ok_or("no kind")?;
        let id = id.parse().map_err(|_| "no id")?;
        match kind {
            "key" => Ok(Self::Key(KeyId(id))),
            "session" => Ok(Self::Session(SessionId(id))),
            "grant" => Ok(Self::Grant(GrantId(id))),
            "member" => Ok(Self::Member(PrincipalId(id))),
            _ => Err("no kind that is known"),
        }
    }
}

/// Who is acting, and with what rights.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The tenant it acts in.
    pub tenant: TenantId,
    /// Who it is.
    pub id: PrincipalId,
    /// What it is in the tenant.
    pub role: Role,
    /// What an agent does among others, such as `developer`.
    pub agent_role: Option<String>,
    /// What kind of actor it is.
    pub kind: PrincipalKind,
    /// The name people see.
    pub name: String,
    /// What its access rests on.
    pub credential: Credential,
    /// What its tool calls are counted under: the visible prefix of its key, or the client that it came through.
    pub client: String,
    /// What it may do with what it came with: never more than its role may.
    pub scopes: BTreeSet<Scope>,
    /// The projects that it reaches, and how far; none means all of the tenant, as far as its scopes go.
    pub projects: Limits,
    /// From when on what it came with is refused.
    pub expires_at: Option<Time>,
}

impl Principal {
    /// The key it came with, if it came with one.
    pub fn key(&self) -> Option<KeyId> {
        match self.credential {
            Credential::Key(key) => Some(key),
            Credential::Session(_) | Credential::Grant(_) | Credential::Member(_) => None,
        }
    }

    /// Whether it reaches a project of its tenant.
    pub fn reaches(&self, project: ProjectId) -> bool {
        self.projects.as_ref().is_none_or(|projects| projects.contains_key(&project))
    }

    /// The projects that it is limited to; none means all of the tenant.
    pub fn project_ids(&self) -> Option<Vec<ProjectId>> {
        self.projects.as_ref().map(|projects| projects.keys().copied().collect())
    }

    /// Refuses what it may not do.
    ///
    /// # Errors
    /// `insufficient_scope`, naming the scope that is missing.
    pub fn require(&self, scope: Scope) -> Result<()> {
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        let lacking = match self.credential {
            Credential::Key(_) => "this key does not have; ask an admin for a key that does",
            Credential::Session(_) => "your role does not have; ask an admin for another one",
            Credential::Grant(_) => {
                "this client was not given or your role does not have; sign in with it again and agree to it"
            }
            Credential::Member(_) => "this token or your role does not have; ask an admin",
        };
        Err(Error::new(Code::InsufficientScope, format!("this needs the scope `{scope}`, which {lacking}")))
    }

    /// Refuses to end access of its own, such as a session or a grant, for who came with something that may not change
    /// access: a person in their session may, and so may a client end its own grant.
    ///
    /// # Errors
    /// `insufficient_scope`.
    pub(super) fn may_end_own(&self) -> Result<()> {
        match self.credential {
            Credential::Session(_) | Credential::Grant(_) => Ok(()),
            Credential::Key(_) | Credential::Member(_) => self.require(Scope::KeysWrite),
        }
    }

    /// Refuses what it may not do in a project. One that it does not reach is left to whoever looks for it, to whom it is
    /// one that is not there.
    ///
    /// # Errors
    /// `insufficient_scope`, saying what is missing.
    pub fn require_in(&self, project: Option<ProjectId>, scope: Scope) -> Result<()> {
        self.require(scope)?;
        let level = project.and_then(|project| self.projects.as_ref()?.get(&project));
        match level {
            Some(Level::Viewer) if scope.is_write() => Err(Error::new(
                Code::InsufficientScope,
                format!(
                    "this needs the scope `{scope}`, and you are a viewer in this project; ask an admin to make you an editor"
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// A principal as it is listed.
#[derive(Clone, Debug)]
pub struct PrincipalRecord {
    /// Its id.
    pub id: PrincipalId,
    /// What kind of actor it is.
    pub kind: PrincipalKind,
    /// The name people see.
    pub name: String,
    /// What it is in the tenant.
    pub role: Role,
    /// What an agent does among others, such as `developer`.
    pub agent_role: Option<String>,
    /// The projects that it is limited to; none means all.
    pub projects: Limits,
    /// Grows by one with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: Time,
    /// Since when it may do nothing.
    pub deactivated_at: Option<Time>,
}

/// The projects that something is limited to twice over, with the lesser level of both.
pub(super) fn both(one: Limits, other: Limits) -> Limits {
    match (one, other) {
        (Some(one), Some(other)) => Some(
            one.into_iter()
                .filter_map(|(project, level)| Some((project, level.max(*other.get(&project)?))))
                .collect(),
        ),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits() -> impl Strategy<Value = Limits> {
        let level = prop_oneof![Just(Level::Editor), Just(Level::Viewer)];
        let project = (0_u128..4).prop_map(|id| ProjectId(Uuid::from_u128(id)));
        proptest::option::of(proptest::collection::btree_map(project, level, 0..4))
    }

    proptest! {
        #[test]
        fn two_limits_never_give_more_than_either(one in limits(), other in limits(), project in 0_u128..4) {
            let project = ProjectId(Uuid::from_u128(project));
            // 0 is nothing, 1 to look, 2 to edit.
            let may = |limits: &Limits| match limits {
                None => 2,
                Some(limits) => match limits.get(&project) {
                    None => 0,
                    Some(Level::Viewer) => 1,
                    Some(Level::Editor) => 2,
                },
            };
            prop_assert_eq!(may(&both(one.clone(), other.clone())), may(&one).min(may(&other)));
        }
    }

    #[test]
    fn a_credential_comes_back_as_it_was_written() {
        for credential in [
            Credential::Key(KeyId(Uuid::from_u128(1))),
            Credential::Session(SessionId(Uuid::from_u128(2))),
            Credential::Grant(GrantId(Uuid::from_u128(3))),
            Credential::Member(PrincipalId(Uuid::from_u128(4))),
        ] {
            assert_eq!(Credential::parse(&credential.to_bytes()), Some(credential));
            assert_eq!(credential.to_string().parse(), Ok(credential));
        }
        assert_eq!(Credential::parse(&[4; 17]), None);
        assert_eq!(Credential::parse(&[0; 16]), None);
    }
}
