//! `trackside principal` and `invitation`: who may act in a tenant, as whoever owns the database sees to it.

use std::sync::Arc;

use anstream::println;
use chrono::{DateTime, Utc};
use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    TenantArg,
    manage::{every, find_tenant},
    parse,
    say::{BOLD, DIM, RESET, moment, note, supposed},
};
use crate::{
    accounts::{
        Authority, Level, Limits, PrincipalId, PrincipalRecord, Role,
        invitation::{self, Invitation, InvitationId, NewInvitation},
        members::{self, PrincipalPatch},
        signin::{self, Email},
    },
    app::App,
    database::TenantId,
    error::Result,
    projects::ProjectId,
    wire::Expected,
};

#[derive(Subcommand)]
pub(super) enum PrincipalCommand {
    /// List people and service accounts
    List {
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// Give a principal another role
    SetRole {
        /// Its id
        #[arg(value_parser = parse::principal)]
        principal: PrincipalId,
        /// owner, admin, member or viewer
        role: Role,
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// Make a link by which somebody who forgot their password takes a new one; prints it, this once
    ResetPassword {
        /// Their e-mail address
        #[arg(value_name = "ADDRESS", value_parser = parse::email)]
        email: Email,
    },
    /// End all that a principal may do, its keys and sessions too
    Deactivate {
        /// Its id
        #[arg(value_parser = parse::principal)]
        principal: PrincipalId,
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// Let a principal act again; what it came with stays ended
    Reactivate {
        /// Its id
        #[arg(value_parser = parse::principal)]
        principal: PrincipalId,
        #[command(flatten)]
        tenant: TenantArg,
    },
}

#[derive(Subcommand)]
pub(super) enum InvitationCommand {
    /// Invite somebody; prints the link by which one person may join, this once
    Create {
        /// What they are to be: owner, admin, member or viewer
        #[arg(long)]
        role: Role,
        /// Whom it is for [default: whoever has the link]
        #[arg(long, value_name = "ADDRESS", value_parser = parse::email)]
        email: Option<Email>,
        /// The projects to limit them to, by id, each with =viewer behind it where they may only look [default: all]
        #[arg(long, value_delimiter = ',', value_name = "IDS", value_parser = parse::limit)]
        projects: Option<Vec<(ProjectId, Level)>>,
        /// From when on the link is refused, such as 2030-01-31, within 30 days [default: in 7 days]
        #[arg(long, value_name = "TIME", value_parser = parse::time)]
        expires_at: Option<DateTime<Utc>>,
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// List invitations
    List {
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// Withdraw an invitation
    Revoke {
        /// Its id
        #[arg(value_parser = parse::invitation)]
        invitation: InvitationId,
        #[command(flatten)]
        tenant: TenantArg,
    },
}

pub(super) async fn principal(app: &Arc<App>, command: PrincipalCommand, json: bool) -> Result<()> {
    let authority = Authority::system();
    let (tenant, changed) = match command {
        PrincipalCommand::List { tenant } => {
            let tenant = find_tenant(app, &tenant).await?;
            let all = every(|page| members::list_principals(app, tenant.id, page), |one| one.id).await?;
            show(app, tenant.id, &all, true, json).await?;
            return Ok(());
        }
        PrincipalCommand::ResetPassword { email } => {
            let link = signin::offer_reset(app, email).await?;
            if json {
                println!("{:#}", json!({"link": link.url, "expiresAt": link.expires_at}));
            } else {
                println!("{}", link.url);
                note(&format!(
                    "The link works once, until {}. Hand it to them over a channel that you trust.",
                    moment(link.expires_at)
                ));
                supposed(app);
            }
            return Ok(());
        }
        PrincipalCommand::SetRole { principal, role, tenant } => {
            let tenant = find_tenant(app, &tenant).await?.id;
            // An owner reaches every project.
            let projects = (role == Role::Owner).then_some(None);
            let patch = PrincipalPatch { role: Some(role), projects, ..PrincipalPatch::default() };
            (
                tenant,
                members::update_principal(app, tenant, authority, principal, patch, Expected::Any).await?,
            )
        }
        PrincipalCommand::Deactivate { principal, tenant } => {
            let tenant = find_tenant(app, &tenant).await?.id;
            (tenant, members::deactivate_principal(app, tenant, authority, principal).await?)
        }
        PrincipalCommand::Reactivate { principal, tenant } => {
            let tenant = find_tenant(app, &tenant).await?.id;
            (tenant, members::reactivate_principal(app, tenant, authority, principal).await?)
        }
    };
    show(app, tenant, &[changed], false, json).await
}

pub(super) async fn invitation(app: &Arc<App>, command: InvitationCommand, json: bool) -> Result<()> {
    let authority = Authority::system();
    match command {
        InvitationCommand::Create { role, email, projects, expires_at, tenant } => {
            let tenant = find_tenant(app, &tenant).await?;
            let projects = projects.map(|projects| projects.into_iter().collect());
            let new = NewInvitation { role, email: email.map(Email::into_string), projects, expires_at };
            let (made, secret) = invitation::create_invitation(app, tenant.id, authority, new).await?;
            let link = invitation::link(app, &secret);
            if json {
                let mut shown = show_invitation(&made);
                shown["link"] = json!(link);
                println!("{shown:#}");
            } else {
                println!("{link}");
                let until = moment(made.expires_at);
                note(&format!("The link is shown this once, and good for one person, until {until}."));
                supposed(app);
            }
        }
        InvitationCommand::List { tenant } => {
            let tenant = find_tenant(app, &tenant).await?;
            let all = every(|page| invitation::list_invitations(app, tenant.id, page), |one| one.id).await?;
            if json {
                println!("{:#}", all.iter().map(show_invitation).collect::<Value>());
            } else {
                all.iter().for_each(|one| print_invitation(app, one));
            }
        }
        InvitationCommand::Revoke { invitation, tenant } => {
            let tenant = find_tenant(app, &tenant).await?;
            let revoked = invitation::revoke_invitation(app, tenant.id, authority, invitation).await?;
            if json { println!("{:#}", show_invitation(&revoked)) } else { print_invitation(app, &revoked) }
        }
    }
    Ok(())
}

/// Prints principals, with the addresses of those who are people.
async fn show(app: &App, tenant: TenantId, all: &[PrincipalRecord], is_list: bool, json: bool) -> Result<()> {
    let emails = signin::addresses(app, tenant, all.iter().map(|one| one.id).collect()).await?;
    let email = |one: &PrincipalRecord| emails.get(&one.id).map(Email::as_str);
    if json {
        let mut shown = all.iter().map(|one| show_principal(one, email(one)));
        let shown = if is_list { shown.collect() } else { shown.next().unwrap_or_default() };
        println!("{shown:#}");
    } else {
        all.iter().for_each(|one| print_principal(one, email(one)));
    }
    Ok(())
}

fn print_principal(one: &PrincipalRecord, email: Option<&str>) {
    let (look, state) = if one.deactivated_at.is_none() { (BOLD, "") } else { (DIM, "  deactivated") };
    let email = email.map(|email| format!("  {email}")).unwrap_or_default();
    println!("{look}{}{RESET}  {:<16}{:<7}{}{email}{state}", one.id, one.kind, one.role, one.name);
}

fn show_principal(one: &PrincipalRecord, email: Option<&str>) -> Value {
    json!({
        "id": one.id.0,
        "kind": one.kind,
        "name": one.name,
        "email": email,
        "role": one.role,
        "agentRole": one.agent_role,
        "projectAccess": show_limits(&one.projects),
        "createdAt": one.created_at,
        "deactivatedAt": one.deactivated_at,
    })
}

fn show_limits(limits: &Limits) -> Option<Value> {
    let levels = limits.as_ref()?.iter().map(|(project, level)| (project.to_string(), json!(level)));
    Some(Value::Object(levels.collect()))
}

fn print_invitation(app: &App, one: &Invitation) {
    let ends = one.expires_at;
    let (look, state, at) = match (one.accepted_at, one.revoked_at) {
        (Some(at), _) => (DIM, "accepted", at),
        (None, Some(at)) => (DIM, "withdrawn", at),
        (None, None) if ends <= app.clock.now() => (DIM, "expired", ends),
        (None, None) => (BOLD, "open until", ends),
    };
    let email = one.email.as_deref().unwrap_or("whoever has the link");
    println!("{look}{}{RESET}  {:<7}{email}  {state} {}", one.id, one.role, moment(at));
}

fn show_invitation(one: &Invitation) -> Value {
    json!({
        "id": one.id.0,
        "role": one.role,
        "email": one.email,
        "projectAccess": show_limits(&one.projects),
        "createdAt": one.created_at,
        "expiresAt": one.expires_at,
        "acceptedAt": one.accepted_at,
        "revokedAt": one.revoked_at,
    })
}
