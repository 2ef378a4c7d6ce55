//! The language of the tests.
//!
//! `Server::start()` is a real service over a real database, with a clock that stands still until a test
//! moves it. From it come tenants, from those projects, and a project can be posted to and followed. Every
//! answer with a 4xx or 5xx is checked to be a valid problem document before a test sees it.

pub(crate) mod agent;
pub(crate) mod browser;
pub(crate) mod client;
pub(crate) mod git_host;
pub(crate) mod hosts;
pub(crate) mod process;
pub(crate) mod programs;
pub(crate) mod provider;
pub(crate) mod repository;
pub(crate) mod sabotage;
pub(crate) mod sentences;
pub(crate) mod socket;
pub(crate) mod stream;
pub(crate) mod tls;
pub(crate) mod visitor;
pub(crate) mod worker;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use scratch::Scratch;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DatabaseTransaction};
use serde_json::{Value, json};
use trackside::{
    accounts::{self, NewKey, Role},
    clock::{Clock, Ids},
    config::{Config, Sources},
    database::TenantId,
    samples::Sample,
    service::Service,
};

pub(crate) use self::{
    client::{Answer, Client},
    socket::Socket,
    stream::EventStream,
    visitor::Visitor,
};

/// How long a test waits for something that should happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running service.
pub(crate) struct Server {
    pub(crate) service: Service,
    pub(crate) clock: Clock,
    pub(crate) place: Arc<Scratch>,
    settings: Vec<(String, String)>,
}

/// When every mock clock starts.
pub(crate) fn dawn() -> DateTime<Utc> {
    "2026-01-01T06:00:00Z".parse().unwrap()
}

impl Server {
    /// A service over a new database.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A service over a new database, with settings.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_in(Arc::new(Scratch::new()), Clock::mock(dawn()), settings).await
    }

    /// A service in a place that was there before.
    pub(crate) async fn start_in(place: Arc<Scratch>, clock: Clock, settings: &[(&str, &str)]) -> Self {
        // Without limits, because the mock clock would never refill a bucket.
        let limits =
            ["TRACKSIDE_REST_PER_MINUTE", "TRACKSIDE_INGEST_PER_MINUTE", "TRACKSIDE_SIGN_INS_PER_MINUTE"];
        let ours = [("PORT", "0")].into_iter().chain(limits.map(|limit| (limit, "0")));
        let all = ours.chain(settings.iter().copied());
        let mut environment: BTreeMap<_, _> = place.settings().into_iter().collect();
        environment.extend(all.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let config = Config::load(&Sources { environment, ..Sources::default() }).unwrap();
        if std::env::var_os("RUST_LOG").is_some() {
            trackside::logs::start(&config); // RUST_LOG=debug cargo nextest run --no-capture NAME
        }
        let service = Service::start(config, clock.clone(), Ids::system(clock.clone())).await.unwrap();
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Self { service, clock, place, settings }
    }

    /// Stops the service and starts it again over the same database.
    pub(crate) async fn restart(self) -> Self {
        self.service.stop().await;
        let settings: Vec<_> = self.settings.iter().map(|(name, value)| (&**name, &**value)).collect();
        Self::start_in(self.place, self.clock, &settings).await
    }

    /// Moves the clock forward.
    pub(crate) fn advance(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }

    /// A project as the service that runs now is reached: a new start takes a new port.
    pub(crate) fn again(&self, project: &Project) -> Project {
        let client = self.client(project.client.key.as_deref().unwrap());
        let tenant = Tenant { client: client.clone(), ..project.tenant.clone() };
        Project { client, tenant, ..project.clone() }
    }

    /// A new tenant, with an owner's key; where the name is taken, it gets a number behind it.
    pub(crate) async fn tenant(&self, name: &str) -> Tenant {
        let app = &self.service.app;
        let others = accounts::list_tenants(app).await.unwrap();
        let is_taken = others.iter().any(|other| other.name == name);
        let name = if is_taken { format!("{name} {}", others.len()) } else { name.to_owned() };
        let tenant = accounts::create_tenant(app, &name).await.unwrap().id;
        let key = self.key(tenant, NewKey { name: "owner".into(), role: Role::Owner, ..any_key() }).await;
        Tenant { id: tenant, client: self.client(&key) }
    }

    /// A key made at the command line, so to speak.
    pub(crate) async fn key(&self, tenant: TenantId, new: NewKey) -> String {
        use secrecy::ExposeSecret as _;
        let (_, key) = accounts::issue_key(&self.service.app, tenant, new).await.unwrap();
        key.expose_secret().to_owned()
    }

    /// Somebody who sends a key.
    pub(crate) fn client(&self, key: &str) -> Client {
        Client::new(format!("http://{}", self.service.address), Some(key.to_owned()))
    }

    /// Somebody who sends none.
    pub(crate) fn stranger(&self) -> Client {
        Client::new(format!("http://{}", self.service.address), None)
    }

    /// A new tenant with a new project.
    pub(crate) async fn project(&self) -> Project {
        self.tenant("Acme").await.project("Rocket").await
    }

    /// Another instance of the service over the same database, with the same clock.
    pub(crate) async fn another(&self, settings: &[(&str, &str)]) -> Self {
        Self::start_in(Arc::clone(&self.place), self.clock.clone(), settings).await
    }

    /// The database, opened from outside as another process would.
    pub(crate) async fn database(&self) -> DatabaseConnection {
        self.place.database().await
    }
}

/// One number that a query answers.
pub(crate) async fn number(database: &DatabaseConnection, sql: &str) -> i64 {
    let statement = sea_orm::Statement::from_string(database.get_database_backend(), sql);
    database.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

/// One text that a query answers within a transaction.
pub(crate) async fn said(conn: &DatabaseTransaction, sql: &str) -> String {
    let statement = sea_orm::Statement::from_string(conn.get_database_backend(), sql);
    conn.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

/// A key without anything special about it.
pub(crate) fn any_key() -> NewKey {
    NewKey { name: "a key".into(), role: Role::Member, scopes: None, projects: None, expires_at: None }
}

/// A tenant and its owner.
#[derive(Clone)]
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) client: Client,
}

impl Tenant {
    /// A new project.
    pub(crate) async fn project(&self, name: &str) -> Project {
        let body = json!({"name": name, "repoUrl": "https://github.com/acme/rocket"});
        let made = self.client.post("/api/v1/projects", body).await.expect(201).json;
        Project {
            id: text(&made["id"]),
            secret: text(&made["webhookSecret"]),
            tenant: self.clone(),
            client: self.client.clone(),
        }
    }
}

/// A project, its webhook secret, and its tenant's owner.
#[derive(Clone)]
pub(crate) struct Project {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) tenant: Tenant,
    pub(crate) client: Client,
}

impl Project {
    /// A path of this project.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/api/v1/projects/{}{rest}", self.id)
    }

    /// Where its webhooks are posted.
    pub(crate) fn endpoint(&self) -> String {
        format!("/webhooks/github/{}", self.id)
    }

    /// Posts a delivery as GitHub would.
    pub(crate) async fn deliver(&self, delivery_id: &str, sample: &Sample) -> Answer {
        self.deliver_bytes(delivery_id, sample.event, sample.bytes()).await
    }

    /// Posts any bytes as GitHub would.
    pub(crate) async fn deliver_bytes(&self, delivery_id: &str, event: &str, body: Vec<u8>) -> Answer {
        let signature = trackside::samples::sign(&self.secret, &body);
        let headers = [
            ("content-type", "application/json"),
            ("x-github-event", event),
            ("x-github-delivery", delivery_id),
            ("x-hub-signature-256", &signature),
        ];
        self.client.clone().without_key().post_bytes(&self.endpoint(), &headers, body).await
    }

    /// Waits until every delivery has been worked through, well or badly.
    pub(crate) async fn settled(&self) {
        eventually("every delivery is worked through", async || {
            let pending = self.client.get(&self.path("/deliveries?status=pending")).await.expect(200).json;
            pending["items"].as_array().unwrap().is_empty()
        })
        .await;
    }

    /// Every event so far, once everything is worked through.
    pub(crate) async fn events(&self) -> Vec<Value> {
        self.settled().await;
        self.all("/events").await
    }

    /// The names of every event so far, without the deliveries' own and what gates make of the others.
    pub(crate) async fn event_names(&self) -> Vec<String> {
        let events = self.events().await;
        let names = events.iter().map(|event| text(&event["event"]));
        let others = ["delivery_received", "gate_evaluated", "phase_progress_changed"];
        names.filter(|name| !others.contains(&name.as_str())).collect()
    }

    /// Every row of a list, page by page.
    pub(crate) async fn all(&self, list: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let glue = if list.contains('?') { '&' } else { '?' };
            let path = self.path(&format!("{list}{glue}limit=200{cursor}"));
            let page = self.client.get(&path).await.expect(200).json;
            rows.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return rows,
            }
        }
    }

    /// Follows the project's events; `after` is the last event id that was seen.
    pub(crate) async fn follow(&self, after: Option<&str>) -> EventStream {
        let path = self.path("/events/stream");
        EventStream::open(&self.client, &path, after).await
    }
}

/// Waits until something is so, and fails if it does not come to be.
pub(crate) async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain: {what}");
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A JSON string as text.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}")).to_owned()
}
