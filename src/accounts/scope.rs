//! What a credential may do: roles, and the scopes that each role has.

use std::collections::BTreeSet;

use crate::wire::wire_enum;

wire_enum! {
    /// What a principal is in its tenant.
    Role {
        /// May do everything, also make other owners.
        Owner = "owner",
        /// May do everything but make owners.
        Admin = "admin",
        /// Works in projects; does not manage them, nor keys.
        Member = "member",
        /// Looks, and changes nothing.
        Viewer = "viewer",
    }
}

/// Declares the scopes: the enum, and a marker type for each, by which a route states the one it needs.
macro_rules! scopes {
    ($($read:ident = $read_text:literal, $write:ident = $write_text:literal;)+) => {
        wire_enum! {
            /// One permission: `{resource}.{read|write}`.
            Scope {
                $(
                    #[doc = concat!("`", $read_text, "`")]
                    $read = $read_text,
                    #[doc = concat!("`", $write_text, "`")]
                    $write = $write_text,
                )+
            }
        }

        $(
            #[doc = concat!("A route that needs `", $read_text, "`.")]
            pub struct $read;
            impl Needs for $read {
                const SCOPE: Option<Scope> = Some(Scope::$read);
            }
            #[doc = concat!("A route that needs `", $write_text, "`.")]
            pub struct $write;
            impl Needs for $write {
                const SCOPE: Option<Scope> = Some(Scope::$write);
            }
        )+
    };
}

/// A route's need for a scope, as a type.
pub trait Needs: Send + Sync {
    /// The scope that is needed; none where it is enough to be somebody.
    const SCOPE: Option<Scope>;
}

/// A route that needs no scope: whoever is somebody may call it.
pub struct Unscoped;

impl Needs for Unscoped {
    const SCOPE: Option<Scope> = None;
}

scopes! {
    ProjectsRead = "projects.read", ProjectsWrite = "projects.write";
    StatusRead = "status.read", StatusWrite = "status.write";
    ArtifactsRead = "artifacts.read", ArtifactsWrite = "artifacts.write";
    WorkRead = "work.read", WorkWrite = "work.write";
    ConflictsRead = "conflicts.read", ConflictsWrite = "conflicts.write";
    GatesRead = "gates.read", GatesWrite = "gates.write";
    RunsRead = "runs.read", RunsWrite = "runs.write";
    AgentsRead = "agents.read", AgentsWrite = "agents.write";
    EventsRead = "events.read", EventsWrite = "events.write";
    DeliveriesRead = "deliveries.read", DeliveriesWrite = "deliveries.write";
    KeysRead = "keys.read", KeysWrite = "keys.write";
    AuditRead = "audit.read", AuditWrite = "audit.write";
}

impl Scope {
    /// Whether it lets somebody change something.
    pub fn is_write(self) -> bool {
        self.as_str().ends_with(".write")
    }

    /// Whether it concerns the tenant's management rather than the work in its projects.
    fn is_management(self) -> bool {
        matches!(
            self,
            Self::ProjectsWrite | Self::KeysRead | Self::KeysWrite | Self::AuditRead | Self::AuditWrite
        )
    }
}

impl Role {
    /// Every scope that a credential of this role may have.
    pub fn scopes(self) -> BTreeSet<Scope> {
        let may = |scope: &Scope| match self {
            Self::Owner | Self::Admin => true,
            Self::Member => !scope.is_management(),
            Self::Viewer => !scope.is_management() && !scope.is_write(),
        };
        Scope::ALL.iter().copied().filter(may).collect()
    }

    /// Whether somebody of this role may make a principal of `other`.
    pub fn may_grant(self, other: Self) -> bool {
        self <= other
    }
}

/// What a client is given that asks for no scope by name: to see all and to do an agent's work, nothing of the tenant's
/// management.
pub fn usual_scopes() -> BTreeSet<Scope> {
    let work =
        [Scope::WorkWrite, Scope::ConflictsWrite, Scope::GatesWrite, Scope::RunsWrite, Scope::AgentsWrite];
    Role::Viewer.scopes().into_iter().chain(work).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weaker_role_never_has_a_scope_that_a_stronger_one_lacks() {
        for pair in Role::ALL.windows(2) {
            assert!(pair[1].scopes().is_subset(&pair[0].scopes()), "{} ⊄ {}", pair[1], pair[0]);
        }
    }

    #[test]
    fn a_viewer_changes_nothing_and_sees_no_keys() {
        let scopes = Role::Viewer.scopes();
        assert!(!scopes.iter().any(|scope| scope.is_write()));
        assert!(!scopes.contains(&Scope::KeysRead));
    }
}
