//! The security log: what happened to who may do what.
//!
//! Whoever signs in, makes or ends access, or changes a secret leaves an event of it, [`note`]d in the transaction of
//! the change: both are on disk or neither is. Events are only ever added: the database's roles may insert and read
//! them, and but for retention, none removes them. They tell what a thing was called then, and never hold a secret.
//! Unlike the tool-call log they are no chain: whoever can write to the database can forge them.
//!
//! They belong to the tenant, not to its projects, so whoever reaches only some projects does not read them. They are
//! kept for `TRACKSIDE_SECURITY_EVENT_DAYS`.

mod api;
mod store;

use serde_json::Value;
use uuid::Uuid;

pub use self::api::SecurityApi;
use crate::{
    accounts::{self, Credential, Principal, PrincipalId, PrincipalKind},
    app::App,
    clock::{Ids, Time, oldest_id_of},
    database::{Database, Tx},
    error::{Code, Error, Result, chain},
    sender::Sender,
    wire::{Page, id_type, wire_enum},
};

/// Events removed in one transaction.
const BATCH: u64 = 500;
/// Characters kept of a name that somebody else gave.
const NAME: usize = 200;
/// Characters kept of what a client says of itself.
const WORDS: usize = 300;

id_type! {
    /// Names an event of the security log.
    SecurityEventId
}

wire_enum! {
    /// What was done.
    SecurityAction {
        /// An API key was made.
        KeyCreated = "key_created",
        /// An API key got a successor, and ends.
        KeyRotated = "key_rotated",
        /// An API key was ended.
        KeyRevoked = "key_revoked",
        /// A principal got another role.
        RoleChanged = "role_changed",
        /// A principal reaches other projects, or others as far as before.
        AccessChanged = "access_changed",
        /// A principal is called something else.
        PrincipalRenamed = "principal_renamed",
        /// A principal may do nothing any more, and what it came with has ended.
        PrincipalDeactivated = "principal_deactivated",
        /// A principal may act again.
        PrincipalReactivated = "principal_reactivated",
        /// Somebody was invited.
        InvitationCreated = "invitation_created",
        /// An invitation was withdrawn.
        InvitationRevoked = "invitation_revoked",
        /// Somebody joined by an invitation.
        InvitationAccepted = "invitation_accepted",
        /// A person signed in.
        SignedIn = "signed_in",
        /// A person signed out.
        SignedOut = "signed_out",
        /// A session was ended by somebody.
        SessionRevoked = "session_revoked",
        /// A person has another password.
        PasswordChanged = "password_changed",
        /// A link was made by which a person takes another password.
        PasswordResetOffered = "password_reset_offered",
        /// A person may sign in at a provider from now on.
        IdentityLinked = "identity_linked",
        /// Somebody lets a client act for them.
        GrantCreated = "grant_created",
        /// A client may not act for somebody any more.
        GrantRevoked = "grant_revoked",
        /// A refresh token was shown twice, and its grant ended.
        RefreshTokenReused = "refresh_token_reused",
        /// An authorization code was shown twice, and its grant ended.
        CodeReused = "code_reused",
        /// Tokens are signed with another key.
        SigningKeyRotated = "signing_key_rotated",
        /// The installation has another master key.
        MasterKeyRotated = "master_key_rotated",
        /// A client that signs people in was registered, or registered anew.
        ClientRegistered = "client_registered",
        /// A client is registered no more, and what people let it do has ended.
        ClientRemoved = "client_removed",
        /// A project was made.
        ProjectCreated = "project_created",
        /// A project was deleted.
        ProjectDeleted = "project_deleted",
        /// A project got another webhook secret.
        WebhookSecretRotated = "webhook_secret_rotated",
        /// A project got a token for its Git host.
        ProviderTokenSet = "provider_token_set",
        /// A project's token for its Git host was taken away.
        ProviderTokenRemoved = "provider_token_removed",
    }
}

wire_enum! {
    /// What became of it.
    SecurityOutcome {
        /// It was done.
        Success = "success",
        /// It was tried, and refused.
        Refused = "refused",
    }
}

wire_enum! {
    /// What kind of actor did something.
    ActorKind {
        /// A person.
        User = "user",
        /// An agent, a CI job, a script.
        ServiceAccount = "service_account",
        /// The command line, and what happens by itself.
        System = "system",
    }
}

wire_enum! {
    /// What kind of thing something was done to.
    TargetKind {
        /// A person or a service account.
        Principal = "principal",
        /// An API key.
        ApiKey = "api_key",
        /// An invitation.
        Invitation = "invitation",
        /// A browser in which somebody is signed in.
        Session = "session",
        /// What somebody lets a client do.
        Grant = "grant",
        /// A key that tokens are signed with.
        SigningKey = "signing_key",
        /// A project.
        Project = "project",
    }
}

/// Who did something, and from where.
#[derive(Clone, Debug)]
pub struct Actor {
    /// What kind of actor it is.
    pub kind: ActorKind,
    /// The principal, if it is known.
    pub id: Option<PrincipalId>,
    /// Its name, as it is now.
    pub name: String,
    /// What it came with, if that was a credential.
    pub credential: Option<Credential>,
    /// Where it is.
    pub sender: Sender,
}

impl Actor {
    /// A principal of the tenant.
    pub fn new(principal: &Principal, sender: &Sender) -> Self {
        let kind = match principal.kind {
            PrincipalKind::User => ActorKind::User,
            PrincipalKind::ServiceAccount => ActorKind::ServiceAccount,
        };
        Self {
            kind,
            id: Some(principal.id),
            name: principal.name.clone(),
            credential: Some(principal.credential),
            sender: sender.clone(),
        }
    }

    /// The command line, whose user owns the database, and what happens by itself.
    pub fn system() -> Self {
        Self::provoked(&Sender::default())
    }

    /// What happens by itself, because of what somebody sent of whom no more is known.
    pub fn provoked(sender: &Sender) -> Self {
        Self {
            kind: ActorKind::System,
            id: None,
            name: "system".into(),
            credential: None,
            sender: sender.clone(),
        }
    }
}

/// What something was done to.
#[derive(Clone, Debug)]
pub struct Target {
    /// What kind of thing it is.
    pub kind: TargetKind,
    /// Which one.
    pub id: Uuid,
    /// What it is called now.
    pub name: String,
}

/// Something that is to be noted.
#[derive(Clone, Debug)]
pub struct SecurityEvent {
    id: SecurityEventId,
    at: Time,
    actor: Actor,
    action: SecurityAction,
    outcome: SecurityOutcome,
    target: Option<Target>,
    details: Option<Value>,
}

impl SecurityEvent {
    /// Something that is done now.
    pub fn new(app: &App, actor: Actor, action: SecurityAction) -> Self {
        Self::at(&app.ids, app.clock.now(), actor, action)
    }

    /// Something that was done at a time.
    pub fn at(ids: &Ids, at: Time, actor: Actor, action: SecurityAction) -> Self {
        let id = SecurityEventId(ids.uuid());
        Self { id, at, actor, action, outcome: SecurityOutcome::Success, target: None, details: None }
    }

    /// The same, by who is called so.
    #[must_use]
    pub fn by(mut self, name: impl Into<String>) -> Self {
        self.actor.name = name.into();
        self
    }

    /// The same, by who came with a credential.
    #[must_use]
    pub fn with_credential(mut self, credential: Credential) -> Self {
        self.actor.credential = Some(credential);
        self
    }

    /// The same, done to something.
    #[must_use]
    pub fn on(self, kind: TargetKind, id: Uuid, name: impl Into<String>) -> Self {
        Self { target: Some(Target { kind, id, name: name.into() }), ..self }
    }

    /// The same, with what else is worth knowing: a JSON object, and never a secret.
    #[must_use]
    pub fn with(self, details: Value) -> Self {
        Self { details: Some(details), ..self }
    }

    /// The same, but it was refused.
    #[must_use]
    pub fn refused(self) -> Self {
        Self { outcome: SecurityOutcome::Refused, ..self }
    }
}

/// Notes what a transaction does, in this transaction.
///
/// # Errors
/// The database's; what was to be noted is then not done either.
pub async fn note(tx: &Tx<'_>, event: SecurityEvent) -> Result<()> {
    store::insert(tx, event).await
}

/// Notes in every tenant what is done to something that belongs to none and all rest on. It comes after that was done;
/// what cannot be noted is in the service's log.
pub async fn note_everywhere(database: &Database, event: impl Fn() -> SecurityEvent) {
    let tenants = accounts::tenants_of(database).await.unwrap_or_else(|error| {
        tracing::warn!(error = %chain(&error), action = %event().action, "what was done is noted in no tenant");
        Vec::new()
    });
    for tenant in tenants {
        let event = event();
        let action = event.action;
        if let Err(error) = database.write(tenant.id, |tx| Box::pin(note(tx, event))).await {
            tracing::warn!(error = %chain(&error), %action, tenant = %tenant.id, "what was done is not noted");
        }
    }
}

/// An event as it was noted: words as they stand there, so that those of a newer version can be shown too.
#[derive(Clone, Debug)]
pub struct SecurityRecord {
    /// Its id.
    pub id: SecurityEventId,
    /// When it happened.
    pub at: Time,
    /// The [`ActorKind`] of who did it.
    pub actor_kind: String,
    /// The principal that did it, if it is known.
    pub actor: Option<PrincipalId>,
    /// What it was called then.
    pub actor_name: String,
    /// The [`Credential`] that it came with.
    pub credential: Option<String>,
    /// The [`SecurityAction`].
    pub action: String,
    /// The [`SecurityOutcome`].
    pub outcome: String,
    /// The [`TargetKind`] of what it was done to.
    pub target_kind: Option<String>,
    /// Which one it was done to.
    pub target: Option<Uuid>,
    /// What that was called then.
    pub target_name: Option<String>,
    /// Where it was done from.
    pub ip: Option<String>,
    /// What the client called itself.
    pub user_agent: Option<String>,
    /// What else is worth knowing.
    pub details: Option<Value>,
}

/// Which events are meant.
#[derive(Clone, Debug, Default)]
pub struct SecurityFilter {
    /// Only what this principal did.
    pub actor: Option<PrincipalId>,
    /// Only what was done with this credential.
    pub credential: Option<Credential>,
    /// Only this action.
    pub action: Option<SecurityAction>,
    /// Only what happened from then on.
    pub from: Option<Time>,
    /// Only what happened before then.
    pub until: Option<Time>,
}

/// The tenant's events, newest first.
///
/// # Errors
/// `insufficient_scope` for who reaches only some projects.
pub async fn list_security_events(
    app: &App,
    principal: &Principal,
    filter: SecurityFilter,
    page: Page<SecurityEventId>,
) -> Result<Vec<SecurityRecord>> {
    if principal.projects.is_some() {
        let why = "these events are about the whole tenant, and you are limited to some of its projects";
        return Err(Error::new(Code::InsufficientScope, why));
    }
    app.database
        .read(principal.tenant, |tx| Box::pin(async move { store::list(tx, &filter, &page).await }))
        .await
}

/// Removes the events that have come of age, whoever they belong to.
///
/// # Errors
/// The database's; what is left goes the next time.
pub async fn prune(app: &App) -> Result<()> {
    let before = oldest_id_of(app.clock.now() - app.config.security_retention);
    app.clear_out(move |tx| Box::pin(store::remove_old(tx, before, BATCH))).await
}
