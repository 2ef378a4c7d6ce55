//! `trackside principal` and `invitation`: who may act in a tenant, as whoever owns the database sees to it.

use std::sync::Arc;

use anstream::{eprintln, println};
use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    TenantArg,
    manage::{every, find_tenant},
    parse,
    say::{BOLD, DIM, RESET, is_watched},
};
use crate::{
    accounts::{
        Authority, PrincipalId, PrincipalRecord, Role,
        invitation::{self, Invitation, InvitationId, NewInvitation},
        members::{self, PrincipalPatch},
        signin,
    },
    app::App,
    error::Result,
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
        email: String,
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
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
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
    let changed = match command {
        PrincipalCommand::List { tenant } => {
            let tenant = find_tenant(app, &tenant).await?;
            let all = every(|page| members::list_principals(app, tenant.id, page), |one| one.id).await?;
            if json {
                println!("{:#}", all.iter().map(show_principal).collect::<Value>());
            } else {
                all.iter().for_each(print_principal);
            }
            return Ok(());
        }
        PrincipalCommand::ResetPassword { email } => {
            let link = signin::offer_reset(app, &email).await?;
            if json {
                println!("{:#}", json!({"link": link.url, "expiresAt": link.expires_at}));
            } else {
                println!("{}", link.url);
            }
            if is_watched() && !json {
                eprintln!(
                    "{DIM}It works once, for an hour. Hand it to them over a way that you trust.{RESET}"
                );
            }
            return Ok(());
        }
        PrincipalCommand::SetRole { principal, role, tenant } => {
            let tenant = find_tenant(app, &tenant).await?.id;
            let patch = PrincipalPatch { role: Some(role), ..PrincipalPatch::default() };
            members::update_principal(app, tenant, authority, principal, patch, Expected::Any).await?
        }
        PrincipalCommand::Deactivate { principal, tenant } => {
            let tenant = find_tenant(app, &tenant).await?.id;
            members::deactivate_principal(app, tenant, authority, principal).await?
        }
        PrincipalCommand::Reactivate { principal, tenant } => {
            let tenant = find_tenant(app, &tenant).await?.id;
            members::reactivate_principal(app, tenant, authority, principal).await?
        }
    };
    if json {
        println!("{:#}", show_principal(&changed))
    } else {
        print_principal(&changed)
    }
    Ok(())
}

pub(super) async fn invitation(app: &Arc<App>, command: InvitationCommand, json: bool) -> Result<()> {
    let authority = Authority::system();
    match command {
        InvitationCommand::Create { role, email, tenant } => {
            let tenant = find_tenant(app, &tenant).await?;
            let new = NewInvitation { role, email, projects: None, expires_at: None };
            let (made, secret) = invitation::create_invitation(app, tenant.id, authority, new).await?;
            let link = invitation::link(app, &secret);
            if json {
                let mut shown = show_invitation(&made);
                shown["link"] = json!(link);
                println!("{shown:#}");
            } else {
                println!("{link}");
                if is_watched() {
                    let until = made.expires_at;
                    eprintln!(
                        "{DIM}The link is shown this once, and good for one person until {until}.{RESET}"
                    );
                }
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

fn print_principal(one: &PrincipalRecord) {
    let (look, state) = if one.deactivated_at.is_none() { (BOLD, "") } else { (DIM, "  deactivated") };
    println!("{look}{}{RESET}  {:<16}{:<7}{}{state}", one.id, one.kind, one.role, one.name);
}

fn show_principal(one: &PrincipalRecord) -> Value {
    let access = one.projects.as_ref().map(|projects| {
        let levels = projects.iter().map(|(project, level)| (project.to_string(), json!(level)));
        Value::Object(levels.collect())
    });
    json!({
        "id": one.id.0,
        "kind": one.kind,
        "name": one.name,
        "role": one.role,
        "agentRole": one.agent_role,
        "projectAccess": access,
        "createdAt": one.created_at,
        "deactivatedAt": one.deactivated_at,
    })
}

fn print_invitation(app: &App, one: &Invitation) {
    let state = match one {
        _ if one.accepted_at.is_some() => "accepted",
        _ if one.revoked_at.is_some() => "withdrawn",
        _ if one.expires_at <= app.clock.now() => "expired",
        _ => "open",
    };
    let look = if state == "open" { BOLD } else { DIM };
    let email = one.email.as_deref().unwrap_or("whoever has the link");
    println!("{look}{}{RESET}  {:<7}{email}  {state}", one.id, one.role);
}

fn show_invitation(one: &Invitation) -> Value {
    json!({
        "id": one.id.0,
        "role": one.role,
        "email": one.email,
        "createdAt": one.created_at,
        "expiresAt": one.expires_at,
        "acceptedAt": one.accepted_at,
        "revokedAt": one.revoked_at,
    })
}
