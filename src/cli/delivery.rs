//! `trackside delivery`: what was posted, why some of it was refused, and doing it again.

use std::sync::Arc;

use anstream::println;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    TenantArg,
    choose::Choice,
    manage::{every, find_tenant},
    parse,
    say::{BOLD, DIM, GREEN, RED, RESET, YELLOW},
};
use crate::{
    app::App,
    database::TenantId,
    error::{Error, Result},
    projects::{self, ProjectId},
    webhooks::{self, DeliveryFilter, DeliveryStatus, DeliverySummary, RejectedDelivery, WebhookEventId},
    wire::{MAX_LIMIT, Page, Timestamp},
};

#[derive(Subcommand)]
pub(super) enum DeliveryCommand {
    /// List deliveries, newest first
    List {
        #[command(flatten)]
        which: Which,
        /// Rows at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=MAX_LIMIT))]
        limit: u64,
        #[command(flatten)]
        place: Place,
    },
    /// List what was refused, and why, newest first
    Rejected {
        #[command(flatten)]
        place: Place,
    },
    /// Process deliveries again, from the bytes that came; what they have caused is not caused twice
    Replay {
        /// Deliveries, by the id that `list` shows last
        #[arg(value_name = "ID", conflicts_with_all = ["status", "event", "from", "until"])]
        ids: Vec<WebhookEventId>,
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        place: Place,
    },
}

/// Which deliveries are meant.
#[derive(Args)]
pub(super) struct Which {
    /// Only those that are pending, processed or failed
    #[arg(long)]
    status: Option<DeliveryStatus>,
    /// Only those of this event, by the host's name, such as push
    #[arg(long)]
    event: Option<String>,
    /// Only those received at this time or later, such as 2030-01-31 or 2030-01-31T18:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse::time)]
    from: Option<DateTime<Utc>>,
    /// Only those received before this time
    #[arg(long, value_name = "TIME", value_parser = parse::time)]
    until: Option<DateTime<Utc>>,
}

/// Where they were posted.
#[derive(Args)]
pub(super) struct Place {
    /// The project, by name or id [default: the only one]
    #[arg(long)]
    project: Option<String>,
    #[command(flatten)]
    tenant: TenantArg,
}

impl Which {
    fn filter(self) -> DeliveryFilter {
        let Self { status, event, from, until } = self;
        DeliveryFilter { status, event_type: event, from, until }
    }
}

impl Place {
    async fn find(&self, app: &App) -> Result<(TenantId, ProjectId)> {
        let tenant = find_tenant(app, &self.tenant).await?;
        let known = every(|page| projects::list_all(app, tenant.id, page), |project| project.id).await?;
        let choice = Choice {
            what: "project",
            how: "--project",
            make: "trackside project create --name NAME --repo-url URL",
        };
        let id_and_name = |project: &projects::Project| (project.id.to_string(), project.name.clone());
        let names: Vec<_> = known.iter().map(id_and_name).collect();
        let (id, _) =
            choice.among(&names, self.project.as_deref(), |(id, name)| (id.clone(), name.as_str()))?;
        Ok((tenant.id, id.parse().map_err(Error::internal)?))
    }
}

pub(super) async fn run(app: &Arc<App>, command: DeliveryCommand, json: bool) -> Result<()> {
    match command {
        DeliveryCommand::List { which, limit, place } => {
            let (tenant, project) = place.find(app).await?;
            let page = Page { limit, after: None, counts: false };
            let mut found = webhooks::list_in(app, tenant, project, which.filter(), page).await?;
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX)); // one more says that there are more
            if json {
                println!("{:#}", found.iter().map(show).collect::<Value>());
            } else {
                found.iter().for_each(tell);
            }
        }
        DeliveryCommand::Rejected { place } => {
            let (tenant, project) = place.find(app).await?;
            let page = Page { limit: MAX_LIMIT, after: None, counts: false };
            let found = webhooks::list_rejected_in(app, tenant, project, page).await?;
            if json {
                println!("{:#}", found.iter().map(show_rejected).collect::<Value>());
            } else {
                found.iter().for_each(tell_rejected);
            }
        }
        DeliveryCommand::Replay { ids, which, place } => {
            let (tenant, project) = place.find(app).await?;
            let replayed = replay(app, tenant, project, ids, which.filter()).await?;
            if json {
                println!("{:#}", json!({"enqueued": replayed.enqueued, "gone": replayed.gone}));
            } else {
                println!("{} will be processed again", replayed.enqueued);
                if replayed.gone > 0 {
                    println!("{} cannot: their bodies are not kept any longer", replayed.gone);
                }
            }
        }
    }
    Ok(())
}

async fn replay(
    app: &Arc<App>,
    tenant: TenantId,
    project: ProjectId,
    ids: Vec<WebhookEventId>,
    filter: DeliveryFilter,
) -> Result<webhooks::Replayed> {
    if ids.is_empty() && filter == DeliveryFilter::default() {
        let why = "say which: an id that `trackside delivery list` shows, --status failed, --event, or --from and \
                   --until";
        return Err(Error::invalid(why));
    }
    if ids.is_empty() {
        return webhooks::replay_many(app, tenant, project, filter).await;
    }
    let mut replayed = webhooks::Replayed::default();
    for id in ids {
        webhooks::replay_one(app, tenant, project, id).await?;
        replayed.enqueued += 1;
    }
    Ok(replayed)
}

fn tell(delivery: &DeliverySummary) {
    let color = match delivery.status {
        DeliveryStatus::Pending => YELLOW,
        DeliveryStatus::Processed => GREEN,
        DeliveryStatus::Failed => RED,
    };
    println!(
        "{DIM}{}{RESET}  {color}{:<9}{RESET}  {:<9}  {BOLD}{}{RESET}  {}  {}",
        Timestamp(delivery.received_at),
        delivery.status,
        delivery.source,
        delivery.event_type,
        delivery.delivery_id,
        delivery.id
    );
    if let Some(why) = &delivery.last_error {
        println!("  {why}");
    }
}

fn tell_rejected(rejected: &RejectedDelivery) {
    println!(
        "{DIM}{}{RESET}  {RED}{}{RESET}  {:<9}  {BOLD}{}{RESET}  {}",
        Timestamp(rejected.received_at),
        rejected.code,
        rejected.source,
        rejected.event_type,
        rejected.delivery_id.as_deref().unwrap_or_default()
    );
    println!("  {}", rejected.reason);
}

fn show(delivery: &DeliverySummary) -> Value {
    json!({
        "id": delivery.id.0,
        "source": delivery.source.as_str(),
        "deliveryId": delivery.delivery_id,
        "eventType": delivery.event_type,
        "status": delivery.status.as_str(),
        "receivedAt": delivery.received_at,
        "bodyBytes": delivery.body_bytes,
        "attempts": delivery.attempts,
        "lastError": delivery.last_error,
    })
}

fn show_rejected(rejected: &RejectedDelivery) -> Value {
    json!({
        "id": rejected.id.0,
        "source": rejected.source.as_str(),
        "deliveryId": rejected.delivery_id,
        "eventType": rejected.event_type,
        "userAgent": rejected.user_agent,
        "bodyBytes": rejected.body_bytes,
        "code": rejected.code,
        "reason": rejected.reason,
        "receivedAt": rejected.received_at,
    })
}
