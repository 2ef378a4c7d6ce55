//! `trackside tenant`, `project` and `key`: what whoever owns the database may do without a key.

use std::sync::Arc;

use anstream::{eprintln, println};
use chrono::TimeDelta;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{
    KeyCommand, ProjectCommand, TenantArg, TenantCommand,
    choose::Choice,
    say::{BOLD, DIM, RESET, YELLOW, is_watched, moment, note, supposed},
    serve,
};
use crate::{
    accounts::{
        self, ApiKey, Authority, KeyId, KeyRecord, NewKey, Tenant,
        keys::{self, AnotherKey},
    },
    app::App,
    error::{Error, Result},
    projects::{self, NewProject, Project, ProjectConfig},
    webhooks,
    wire::{MAX_LIMIT, Page},
};

pub(super) async fn tenant(app: &Arc<App>, command: TenantCommand, json: bool) -> Result<()> {
    let show =
        |tenant: &Tenant| json!({"id": tenant.id.0, "name": tenant.name, "createdAt": tenant.created_at});
    match command {
        TenantCommand::Create { name } => {
            let tenant = accounts::create_tenant(app, &name).await?;
            if json { println!("{:#}", show(&tenant)) } else { println!("{}", tenant.id) }
        }
        TenantCommand::List => {
            let tenants = accounts::list_tenants(app).await?;
            if json {
                println!("{:#}", tenants.iter().map(show).collect::<Value>());
            } else {
                tenants.iter().for_each(|tenant| println!("{}  {}", tenant.id, tenant.name));
            }
        }
    }
    Ok(())
}

pub(super) async fn project(app: &Arc<App>, command: ProjectCommand, json: bool) -> Result<()> {
    match command {
        ProjectCommand::Create { name, repo_url, tenant } => {
            let tenant = find_tenant(app, &tenant).await?;
            let new = NewProject { name, repo_url, config: ProjectConfig::default() };
            let (project, secret) = projects::issue_project(app, tenant.id, new).await?;
            let urls = webhooks::urls(app, project.id);
            if json {
                let mut shown = show_project(app, &project);
                shown["webhookSecret"] = json!(secret.expose_secret());
                println!("{shown:#}");
                return Ok(());
            }
            println!("id              {}", project.id);
            println!("webhook secret  {}", secret.expose_secret());
            urls.iter().for_each(|(host, url)| println!("{host:<14}  {url}"));
            match serve::unreachable(&app.config) {
                Some(hint) => eprintln!("\n{YELLOW}{hint}{RESET}"),
                None => supposed(app),
            }
            if is_watched() {
                eprintln!(
                    "\n{DIM}The secret is shown this once. Give your Git host's webhook its address above and the"
                );
                eprintln!("secret, content type application/json, and the events you want to see.{RESET}");
            }
        }
        ProjectCommand::List { tenant } => {
            let tenant = find_tenant(app, &tenant).await?;
            let projects =
                every(|page| projects::list_all(app, tenant.id, page), |project| project.id).await?;
            if json {
                println!(
                    "{:#}",
                    projects.iter().map(|project| show_project(app, project)).collect::<Value>()
                );
            } else {
                projects
                    .iter()
                    .for_each(|project| println!("{}  {}  {}", project.id, project.name, project.repo_url));
            }
        }
    }
    Ok(())
}

pub(super) async fn key(app: &Arc<App>, command: KeyCommand, json: bool) -> Result<()> {
    match command {
        KeyCommand::Create { name, role, principal, scopes, projects, expires_at, tenant } => {
            let tenant = find_tenant(app, &tenant).await?;
            let scopes = scopes.map(|scopes| scopes.into_iter().collect());
            let made = match (role, principal) {
                (Some(role), _) => {
                    let new = NewKey { name, role, scopes, projects, expires_at };
                    accounts::issue_key(app, tenant.id, new).await
                }
                (None, Some(principal)) => {
                    let new = AnotherKey { principal, name, scopes, projects, expires_at };
                    keys::add_key(app, tenant.id, Authority::system(), new).await
                }
                (None, None) => Err(Error::invalid("say --role or --principal")),
            };
            let (record, key) = made?;
            print_key(&record, &key, json);
        }
        KeyCommand::List { tenant } => {
            let tenant = find_tenant(app, &tenant).await?;
            let keys = every(|page| keys::list_keys(app, tenant.id, page), |key| key.id).await?;
            if json {
                println!("{:#}", keys.iter().map(show_key).collect::<Value>());
            } else {
                keys.iter().for_each(|key| list_key(app, key));
            }
        }
        KeyCommand::Rotate { key, overlap_seconds, tenant } => {
            let tenant = find_tenant(app, &tenant).await?;
            let found = find_key(app, &tenant, &key).await?;
            let overlap = TimeDelta::try_seconds(overlap_seconds).unwrap_or(TimeDelta::MAX);
            let (record, key, ends) =
                keys::rotate_key(app, tenant.id, Authority::system(), found, overlap).await?;
            print_key(&record, &key, json);
            if !json {
                note(&format!("The old key is accepted until {}.", moment(ends)));
            }
        }
        KeyCommand::Revoke { key, tenant } => {
            let tenant = find_tenant(app, &tenant).await?;
            let found = find_key(app, &tenant, &key).await?;
            let revoked = keys::revoke_key(app, tenant.id, Authority::system(), found).await?;
            if json { println!("{:#}", show_key(&revoked)) } else { println!("revoked {}", revoked.prefix) }
        }
    }
    Ok(())
}

/// Prints a key on one line.
fn list_key(app: &App, key: &KeyRecord) {
    let ends = key.expires_at.map(|at| (at <= app.clock.now(), moment(at)));
    let (look, state) = match (key.revoked_at, ends) {
        (Some(at), _) => (DIM, format!("revoked {}", moment(at))),
        (None, Some((true, at))) => (DIM, format!("expired {at}")),
        (None, Some((false, at))) => (BOLD, format!("expires {at}")),
        (None, None) => (BOLD, "never expires".to_owned()),
    };
    let used = key.last_used_at.map_or("never used".to_owned(), |at| format!("used {}", moment(at)));
    println!("{look}{}{RESET}  {}  {:<7}{}  {used}  {state}", key.prefix, key.id, key.role, key.name);
}

/// Prints a key that was just made.
fn print_key(record: &KeyRecord, key: &SecretString, json: bool) {
    if json {
        let mut shown = show_key(record);
        shown["key"] = json!(key.expose_secret());
        println!("{shown:#}");
        return;
    }
    println!("{}", key.expose_secret());
    if is_watched() {
        eprintln!("{DIM}The key is shown this once. Send it as: Authorization: Bearer <key>{RESET}");
    }
}

/// The key with an id or a prefix.
async fn find_key(app: &App, tenant: &Tenant, named: &str) -> Result<KeyId> {
    let keys = every(|page| keys::list_keys(app, tenant.id, page), |key| key.id).await?;
    // Somebody in haste gives the whole of a key that has leaked, which is not said again.
    let prefix = ApiKey::parse(named).map(|key| key.prefix().to_owned());
    let named = prefix.as_deref().unwrap_or(named);
    let found = keys.iter().find(|known| known.prefix == named || known.id.to_string() == named);
    let found = found.ok_or_else(|| {
        let named = if named.len() > 36 { "of this name" } else { named };
        let why = format!("the tenant {} has no key `{named}`; see: trackside key list", tenant.name);
        Error::invalid(why)
    })?;
    Ok(found.id)
}

/// The tenant that is named or, if none is, the only one there is.
pub(super) async fn find_tenant(app: &App, named: &TenantArg) -> Result<Tenant> {
    if named.tenant.is_none() {
        serve::make_the_first_tenant(app).await?;
    }
    let tenants = accounts::list_tenants(app).await?;
    let choice = Choice { what: "tenant", how: "--tenant", make: "trackside tenant create --name NAME" };
    choice.among(&tenants, named.tenant.as_deref(), |tenant| (tenant.id.to_string(), &tenant.name)).cloned()
}

/// Every row of a list, page by page.
pub(super) async fn every<T, K: Clone, F>(
    list: impl Fn(Page<K>) -> F,
    key: impl Fn(&T) -> K,
) -> Result<Vec<T>>
where
    F: Future<Output = Result<Vec<T>>>,
{
    let mut rows = Vec::new();
    loop {
        // A list answers one row more than the limit when there is another page.
        let mut page = list(Page { limit: MAX_LIMIT, after: rows.last().map(&key), counts: false }).await?;
        let more = page.len() > usize::try_from(MAX_LIMIT).unwrap_or(usize::MAX);
        if more {
            page.pop();
        }
        rows.extend(page);
        if !more {
            return Ok(rows);
        }
    }
}

fn show_project(app: &App, project: &Project) -> Value {
    json!({
        "id": project.id.0,
        "name": project.name,
        "repoUrl": project.repo_url,
        "webhookUrls": webhooks::urls(app, project.id),
        "createdAt": project.created_at,
    })
}

fn show_key(key: &KeyRecord) -> Value {
    json!({
        "id": key.id.0,
        "principalId": key.principal.0,
        "name": key.name,
        "prefix": key.prefix,
        "role": key.role.as_str(),
        "scopes": key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
        "projectIds": key.projects.as_ref().map(|ids| ids.iter().map(|id| id.0).collect::<Vec<_>>()),
        "createdAt": key.created_at,
        "expiresAt": key.expires_at,
        "lastUsedAt": key.last_used_at,
        "revokedAt": key.revoked_at,
    })
}
