//! The cast: three agents who are service accounts as any, each with a key of its own.

use std::{collections::BTreeSet, sync::Arc};

use chrono::TimeDelta;
use secrecy::SecretString;

use crate::{
    accounts::{
        Authority, KeyId, NewKey, PrincipalKind, Role, Scope,
        keys::{self, AnotherKey},
        members::{self, PrincipalPatch},
    },
    app::App,
    database::TenantId,
    error::{Result, chain},
    projects::ProjectId,
    samples::{RUST_DEV, WEB_DEV},
    wire::Expected,
};

/// Who reviews what the others did.
const QA: &str = "qa";

/// An agent, and what it comes with.
pub struct Agent {
    /// What it is called, also by the Git host.
    pub name: &'static str,
    /// Its key; it is kept nowhere else.
    pub key: SecretString,
    id: KeyId,
}

/// Everybody who plays.
pub struct Cast {
    tenant: TenantId,
    /// Who writes the code.
    pub rust: Agent,
    /// Who makes the pages.
    pub web: Agent,
    /// Who reviews.
    pub qa: Agent,
}

impl Cast {
    /// Gathers them, for some projects and for as long as `lasts`. Whoever was there before gets another key. Nobody is
    /// given anything: the keys stay within this process, so they need nobody's authority.
    ///
    /// # Errors
    /// The database's.
    pub async fn gather(
        app: &Arc<App>,
        tenant: TenantId,
        projects: &[ProjectId],
        lasts: Option<TimeDelta>,
    ) -> Result<Self> {
        let all = Role::Member.scopes();
        let mut fewer = all.clone();
        fewer.remove(&Scope::ArtifactsWrite);
        let company = Company { app, tenant, projects, lasts };
        Ok(Self {
            tenant,
            rust: company.hire(RUST_DEV, "developer", all.clone()).await?,
            web: company.hire(WEB_DEV, "developer", all).await?,
            qa: company.hire(QA, "qa", fewer).await?,
        })
    }

    /// Ends their keys.
    pub async fn dismiss(&self, app: &App) {
        for agent in [&self.rust, &self.web, &self.qa] {
            let revoked = keys::revoke_key(app, self.tenant, Authority::system(), agent.id).await;
            if let Err(error) = revoked {
                tracing::warn!(error = %chain(&error), "the key of an agent of the demo could not be revoked");
            }
        }
    }
}

/// Where they play, and for how long.
struct Company<'a> {
    app: &'a Arc<App>,
    tenant: TenantId,
    projects: &'a [ProjectId],
    lasts: Option<TimeDelta>,
}

impl Company<'_> {
    /// An agent of this name, made or found again.
    async fn hire(&self, name: &'static str, role: &str, scopes: BTreeSet<Scope>) -> Result<Agent> {
        let (app, tenant, system) = (self.app, self.tenant, Authority::system());
        let names = [name.to_owned()];
        let read =
            app.database.read(tenant, move |tx| Box::pin(async move { members::by_names(tx, &names).await }));
        // Whoever is an agent of this name already, and might be the one of an earlier play.
        let known = read.await?.into_iter().find(|known| {
            known.kind == PrincipalKind::ServiceAccount
                && known.role == Role::Member
                && known.agent_role.as_deref() == Some(role)
        });
        let (scopes, projects) = (Some(scopes), Some(self.projects.to_vec()));
        let (name_, expires_at) = (name.to_owned(), self.lasts.map(|lasts| app.clock.now() + lasts));
        if let Some(known) = known {
            let another = AnotherKey { principal: known.id, name: name_, scopes, projects, expires_at };
            let (record, key) = keys::add_key(app, tenant, system, another).await?;
            return Ok(Agent { name, key, id: record.id });
        }
        let new = NewKey { name: name_, role: Role::Member, scopes, projects, expires_at };
        let (record, key) = keys::create_key(app, tenant, system.clone(), new).await?;
        let patch = PrincipalPatch { agent_role: Some(Some(role.to_owned())), ..PrincipalPatch::default() };
        members::update_principal(app, tenant, system, record.principal, patch, Expected::Any).await?;
        Ok(Agent { name, key, id: record.id })
    }
}
