//! Finding documents by their words.
//!
//! What a document says is indexed in the transaction that writes what was read of it, so a search finds what the list
//! shows. Both engines index the same [`words`] and are asked the same: whether a document has some words and marks, and
//! lacks others. So both find the same documents.
//!
//! Documents are ranked by where they have the words that are looked for: all of them in the title; in the title, the
//! path or the headings; or there or often in the text; or anywhere. Within a rank newer documents come first. A rank is
//! what the index itself can tell: nothing is counted or sorted for documents that are not on the page, so a search for
//! a word that all of 100,000 documents have takes milliseconds, and every page of it can be reached.
//!
//! [`Door::Search`] only gives ids, of the project that was asked for. The documents are then read in their tenant's
//! transaction, and what is shown of them comes from the stored text ([`snippet`]).

mod api;
mod query;
mod snippet;
mod tools;
mod words;

use std::{collections::HashMap, fmt::Display, str::FromStr};

use futures::future::BoxFuture;

use self::query::Query;
pub(in crate::artifacts) use self::words::terms;
pub use self::{api::SearchApi, tools::SearchArtifacts};
use super::{
    Artifact, ArtifactId, ArtifactKind,
    store::{search as store, texts as newest_texts},
};
use crate::{
    accounts::Principal,
    app::App,
    database::{Database, Door, TenantId},
    error::Result,
    projects::{self, ProjectId},
    wire::{COUNTED, Found, Page},
};

/// Documents whose texts are in memory at once.
const BATCH: usize = 20;
/// How often a search begins anew because a document went away under it.
const TRIES: usize = 3;

/// A document that was found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The document.
    pub artifact: Artifact,
    /// The part of its text that shows why it was found, on one line; what was looked for stands between `**`.
    pub snippet: String,
    /// Where it comes among all that were found.
    pub place: Place,
}

/// Where a document comes among all that were found: its rank, and behind which in that rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    rank: usize,
    artifact: ArtifactId,
}

impl Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.rank, self.artifact)
    }
}

impl FromStr for Place {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (rank, artifact) = text.split_once('.').ok_or(())?;
        let rank = rank.parse().map_err(|_| ())?;
        if rank >= Query::RANKS {
            return Err(());
        }
        Ok(Self { rank, artifact: artifact.parse().map_err(|_| ())? })
    }
}

/// A page of a project's documents that are there and have what `query` looks for, best first, and one more if there are
/// more. README says how a query is written.
///
/// # Errors
/// `not_found` for a project out of reach, `invalid_request` for a query that looks for nothing or for too much.
pub async fn search_artifacts(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    query: &str,
    kind: Option<ArtifactKind>,
    page: Page<Place>,
) -> Result<Found<Hit>> {
    projects::reach(app, principal, project).await?;
    let query = Query::parse(query)?;
    let tenant = principal.tenant;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let mut tries = 0;
    loop {
        let places = find(app, tenant, project, &query, kind, &page).await?;
        let shown = &places[..places.len().min(limit + 1)];
        let ids: Vec<_> = shown.iter().map(|place| place.artifact).collect();
        let mut found =
            app.database.read(tenant, move |tx| Box::pin(store::present(tx, project, ids))).await?;
        tries += 1;
        if found.len() < shown.len() && tries < TRIES {
            continue; // one was removed since the index was asked
        }
        let hits = shown.iter().filter_map(|place| Some((*place, found.remove(&place.artifact)?))).collect();
        let rows = show(app, tenant, project, &query, hits, limit).await?;
        let left = if page.counts { places.len().saturating_sub(limit) as u64 } else { 0 };
        return Ok(Found { rows, left });
    }
}

/// What the index says.
async fn find(
    app: &App,
    tenant: TenantId,
    project: ProjectId,
    query: &Query,
    kind: Option<ArtifactKind>,
    page: &Page<Place>,
) -> Result<Vec<Place>> {
    let least = page.limit + 1;
    let most = if page.counts { page.limit + COUNTED } else { least };
    let (query, after) = (query.clone(), page.after);
    let found = app.database.read_through(Door::Search, move |tx| {
        Box::pin(async move {
            let (mut places, whose) = (Vec::new(), (tenant, project));
            let newest = tx.newest_text(whose).await?;
            for rank in after.map_or(0, |after| after.rank)..Query::RANKS {
                let behind = match after.filter(|after| after.rank == rank) {
                    Some(after) => tx.place_of_text(whose, after.artifact.0).await?,
                    None => Some(newest),
                };
                let Some(behind) = behind else { continue };
                let so_far = places.len() as u64;
                let wanted = query.of_rank(rank, kind);
                let bounds = (least.saturating_sub(so_far), most - so_far);
                let ids = tx.search(whose, &wanted, behind, bounds).await?;
                places.extend(ids.into_iter().map(|id| Place { rank, artifact: ArtifactId(id) }));
                if places.len() as u64 >= most {
                    break;
                }
            }
            Ok(places)
        })
    });
    found.await
}

/// What is shown of documents; the one behind the page is not.
async fn show(
    app: &App,
    tenant: TenantId,
    project: ProjectId,
    query: &Query,
    found: Vec<(Place, Artifact)>,
    limit: usize,
) -> Result<Vec<Hit>> {
    let mut hits = Vec::with_capacity(found.len());
    let mut page: Vec<_> = found.iter().take(limit).map(|(place, _)| place.artifact).collect();
    let mut texts: HashMap<ArtifactId, String> = HashMap::new();
    while !page.is_empty() {
        let some = page.split_off(page.len().saturating_sub(BATCH));
        let bodies = app.database.read(tenant, move |tx| Box::pin(newest_texts(tx, project, some))).await?;
        let snippets = bodies.into_iter().map(|(id, body)| {
            let text = String::from_utf8_lossy(&body);
            (id, snippet::snippet(&text, &query.wanted))
        });
        texts.extend(snippets);
    }
    for (place, artifact) in found {
        let snippet = texts.remove(&artifact.id).unwrap_or_default();
        hits.push(Hit { artifact, snippet, place });
    }
    Ok(hits)
}

/// Indexes all documents of a tenant, in a database that was copied; gives their number.
pub fn index_all(database: &Database, tenant: TenantId) -> BoxFuture<'_, Result<u64>> {
    Box::pin(async move {
        let (mut after, mut count) = (None, 0);
        loop {
            let indexed = database.write(tenant, move |tx| Box::pin(store::index_some(tx, after))).await?;
            let Some((some, last)) = indexed else { return Ok(count) };
            (after, count) = (Some(last), count + some);
        }
    })
}
