//! Subscriptions (`subscriptions/listen`): an agent names resources, and is told when one of them has changed.
//!
//! What is sent is a hint, and the client reads the resource again; so notifications are few. Each resource is told of
//! once when the subscription begins, because the SDK acknowledges it before its project is watched, and what happened
//! between the two would be missed; a client that comes back after an interruption is told the same way. From then on
//! whatever happens within [`PAUSE`] is one notification, and a client that does not read holds up its own
//! subscription and nothing else.
//!
//! A subscription ends with the request that opened it, with its key or with what it reaches by it, and, gracefully, with
//! the service. It counts as one of its principal's open streams.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use futures::future::{pending, try_join_all};
use rmcp::{
    ErrorData,
    service::{SubscriptionContext, SubscriptionSendError, SubscriptionSink},
};
use tokio::time::sleep;

use super::{
    call::{Call, protocol_error},
    resources::Address,
};
use crate::{
    accounts::{Access, Principal, PrincipalId, Scope},
    app::App,
    artifacts::{ArtifactId, get_artifact},
    error::{Code, Error, FieldError, Result},
    events::{OpenStream, Watch},
    projects::ProjectId,
};

/// The shortest time between two notifications of one resource.
const PAUSE: Duration = Duration::from_secs(1);
/// Resources that one subscription may name.
const MOST: usize = 200;

/// A subscription that was granted.
struct Subscription {
    projects: BTreeMap<ProjectId, Watched>,
    access: Access,
    _open: OpenStream,
}

/// A project, and what of it is subscribed to.
struct Watched {
    watch: Watch,
    /// Who subscribed.
    subscriber: PrincipalId,
    /// Addresses as the client wrote them, and the artifact that each names, if it is one.
    resources: Vec<(String, Option<ArtifactId>)>,
}

/// Serves an acknowledged subscription until it ends.
///
/// # Errors
/// A resource that cannot be read, a limit, and at last the end of the key.
pub(super) async fn listen(call: Call, context: &SubscriptionContext) -> Result<(), ErrorData> {
    let app = Arc::clone(&call.app);
    let uris: BTreeSet<_> = context.accepted().resource_subscriptions.iter().flatten().cloned().collect();
    let opened = subscribe(Arc::clone(&app), Arc::clone(&call.principal), uris);
    let subscription =
        call.run(Some(Scope::EventsRead), opened).await.map_err(|error| protocol_error(&error))?;
    let Subscription { projects, access, _open } = subscription;
    let telling = async {
        match try_join_all(projects.into_values().map(|watched| watched.tell(context.sink()))).await {
            Ok(_) => pending().await, // nothing was subscribed to
            Err(error) => tracing::debug!(%error, "a subscriber is gone"),
        }
    };
    tokio::select! {
        () = telling => Ok(()),
        () = context.cancelled() => Ok(()),
        () = app.shutdown.cancelled() => Ok(()),
        () = access.ended() => {
            let why = "the key behind this subscription has ended, or reaches less than it did; subscribe again";
            Err(protocol_error(&Error::new(Code::Unauthenticated, why)))
        }
    }
}

async fn subscribe(app: Arc<App>, principal: Arc<Principal>, uris: BTreeSet<String>) -> Result<Subscription> {
    if uris.len() > MOST {
        let why = format!("one subscription names at most {MOST} resources; open another for the rest");
        return Err(Error::invalid(why));
    }
    let open = OpenStream::new(&app, principal.id)?;
    let (mut projects, mut scopes) = (BTreeMap::new(), BTreeSet::from([Scope::EventsRead]));
    for uri in uris {
        let added = add(&app, &principal, &mut projects, uri.clone()).await;
        let scope = added.map_err(|error| match error.code {
            Code::NotFound => {
                let mut unknown = Error::not_found("resource");
                let detail = format!("there is no `{uri}`; leave it out");
                unknown.fields =
                    vec![FieldError { pointer: "/notifications/resourceSubscriptions".into(), detail }];
                unknown
            }
            _ => error,
        })?;
        scopes.insert(scope);
    }
    let access = Access::new(&app, &principal, scopes, Some(projects.keys().copied().collect()));
    Ok(Subscription { projects, access, _open: open })
}

/// Adds a resource that the caller may read; gives the scope that lets them.
async fn add(
    app: &App,
    principal: &Principal,
    projects: &mut BTreeMap<ProjectId, Watched>,
    uri: String,
) -> Result<Scope> {
    let address = Address::parse(&uri).ok_or_else(|| Error::not_found("resource"))?;
    principal.require(address.scope())?;
    let watched = match projects.entry(address.project) {
        Entry::Occupied(watched) => watched.into_mut(),
        Entry::Vacant(place) => {
            let watch = Watch::new(app, principal, address.project).await?;
            place.insert(Watched { watch, subscriber: principal.id, resources: Vec::new() })
        }
    };
    if let Some(artifact) = address.artifact {
        get_artifact(app, principal, address.project, artifact).await?;
    }
    watched.resources.push((uri, address.artifact));
    Ok(address.scope())
}

impl Watched {
    /// Tells of every resource, and then of each that changed, whenever something did.
    async fn tell(mut self, sink: &SubscriptionSink) -> Result<Infallible, SubscriptionSendError> {
        for (uri, _) in &self.resources {
            sink.notify_resource_updated(uri).await?;
        }
        let has_artifacts = self.resources.iter().any(|(_, artifact)| artifact.is_some());
        loop {
            sleep(PAUSE).await;
            let moved = self.watch.moved().await;
            if moved.is_own(self.subscriber) {
                continue;
            }
            let changed = if has_artifacts { moved.told_of() } else { None };
            let is_changed = |artifact: &Option<ArtifactId>| match (artifact, &changed) {
                (Some(artifact), Some(changed)) => changed.contains(&artifact.0),
                _ => true, // a digest changes with every event
            };
            for (uri, _) in self.resources.iter().filter(|(_, artifact)| is_changed(artifact)) {
                sink.notify_resource_updated(uri).await?;
            }
        }
    }
}
