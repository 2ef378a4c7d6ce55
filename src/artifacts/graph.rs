//! What builds on what: the artifacts of a project and the dependencies that they state, as a graph.
//!
//! A dependency names a path, so its target may be missing: never there, or removed. It is stale if its target is missing
//! or says of itself that it is newer than the version that is meant. Anybody who may push decides how large the graph
//! is and whether it runs in circles; so an answer has at most [`NODES`] artifacts and [`EDGES`] dependencies and says
//! when that is not all, and the database is asked once per hop and direction, however many artifacts are there.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, btree_map::Entry},
};

use super::{
    Artifact, ArtifactId, ArtifactKind, Dependency, Which, content, cycles,
    document::Version,
    scan,
    store::graph::{at_paths, first, first_links, links_from, links_to, present},
};
use crate::{
    accounts::Principal,
    app::App,
    clock::Time,
    database::Tx,
    error::{Error, Result},
    projects::{self, ProjectId},
    wire::wire_enum,
};

/// Artifacts of an answer.
const NODES: usize = 500;
/// Dependencies of an answer.
const EDGES: usize = 5_000;
/// How far an answer may reach.
const MAX_HOPS: u64 = 10;
/// How far it reaches if nobody says.
const HOPS: u64 = 2;
/// How long a circle is that is looked for around one artifact.
const CIRCLE: usize = 20;
/// Artifacts that are named of those that build on one, and up to how many are counted.
const NAMED: usize = 20;
const COUNTED: usize = 1_000;

wire_enum! {
    /// Which way dependencies are followed from an artifact.
    Direction {
        /// Either way.
        Both = "both",
        /// To what it builds on.
        Dependencies = "dependencies",
        /// To what builds on it.
        Dependents = "dependents",
    }
}

/// Which part of a project's graph is meant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around {
    /// Around which artifact; all of it if not said.
    pub artifact: Option<ArtifactId>,
    /// How many dependencies away from it, 1 to 10; 2 if not said.
    pub hops: Option<u64>,
    /// Which way; either if not said.
    pub direction: Option<Direction>,
}

/// An artifact, or where one is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id; none if there never was one at this path.
    pub id: Option<ArtifactId>,
    /// Its path, which tells it from others.
    pub path: String,
    /// What kind of document it is or was.
    pub kind: Option<ArtifactKind>,
    /// The version it states of itself.
    pub version: Option<String>,
    /// Whether it is not there: removed, or never found.
    pub missing: bool,
}

impl Node {
    fn nothing(path: &str) -> Self {
        Self { id: None, path: path.to_owned(), kind: None, version: None, missing: true }
    }

    /// Its id, if it is there and so may build on something.
    fn source(&self) -> Option<ArtifactId> {
        self.id.filter(|_| !self.missing)
    }
}

/// That an artifact builds on another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The path of the one that builds on the other.
    pub from: String,
    /// The path of the other.
    pub to: String,
    /// The version that is meant.
    pub version: Option<String>,
    /// Whether the other one is missing or newer than that.
    pub stale: bool,
}

/// A dependency as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) from: ArtifactId,
    pub(super) path: String,
    pub(super) version: Option<String>,
}

/// A project's graph, or a part of it.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Artifacts by path.
    pub nodes: Vec<Node>,
    /// All dependencies between them, by path.
    pub edges: Vec<Edge>,
    /// Each circle once: the paths of all artifacts that build on each other in it.
    pub cycles: Vec<Vec<String>>,
    /// Whether there is more than is told.
    pub truncated: bool,
}

/// A dependency of an artifact, and how that stands.
#[derive(Clone, Debug)]
pub struct Needed {
    /// What it states.
    pub dependency: Dependency,
    /// The version that the target states of itself; none if it states none, or is missing.
    pub current: Option<String>,
    /// Whether the target is missing or newer than the version that is meant.
    pub stale: bool,
}

/// An artifact among others.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// It; its warnings tell of a circle that it is in.
    pub artifact: Artifact,
    /// What it builds on, as it states it.
    pub dependencies: Vec<Needed>,
    /// Some of the artifacts that build on it, by path.
    pub dependents: Vec<String>,
    /// How many those are, counted up to 1000.
    pub dependents_count: u64,
    /// As of when all that is known.
    pub fresh_as_of: Time,
}

/// Whether a dependency on a version of a target is stale.
fn is_stale(version: Option<&str>, target: &Node) -> bool {
    let newer = || {
        let (meant, current) = (Version::parse(version?), Version::parse(target.version.as_deref()?));
        Some(current.cmp_to(&meant)? == Ordering::Greater)
    };
    target.missing || newer().unwrap_or(false)
}

/// The graph of a project's artifacts, or what of it is around one of them.
///
/// # Errors
/// `not_found` for a project or artifact out of reach, `invalid_request` for too many hops.
pub async fn get_artifact_graph(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    around: Around,
) -> Result<Graph> {
    let hops = around.hops.unwrap_or(HOPS);
    if !(1..=MAX_HOPS).contains(&hops) {
        return Err(Error::invalid_field("/hops", format!("say 1 to {MAX_HOPS}")));
    }
    let direction = around.direction.unwrap_or(Direction::Both);
    projects::reach(app, principal, project).await?;
    let read = app.database.read(principal.tenant, move |tx| {
        Box::pin(async move {
            let mut found = Collected::default();
            match around.artifact {
                Some(id) => found.spread(tx, project, id, hops, direction).await?,
                None => found.gather(tx, project).await?,
            }
            found.into_graph(tx, project).await
        })
    });
    read.await
}

/// An artifact with what it builds on and what builds on it.
///
/// # Errors
/// `not_found` for a project or artifact out of reach.
pub async fn look_around(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    which: Which,
) -> Result<Surroundings> {
    projects::reach(app, principal, project).await?;
    let now = app.clock.now();
    let read = app.database.read(principal.tenant, move |tx| {
        Box::pin(async move {
            let artifact = find(tx, project, which).await?;
            let paths: Vec<_> = artifact.dependencies.iter().map(|on| on.path.clone()).collect();
            let targets: HashMap<_, _> = at_paths(tx, project, &paths)
                .await?
                .into_iter()
                .map(|node| (node.path.clone(), node))
                .collect();
            let needed = artifact.dependencies.iter().map(|dependency| {
                let target =
                    targets.get(&dependency.path).cloned().unwrap_or_else(|| Node::nothing(&dependency.path));
                let stale = is_stale(dependency.version.as_deref(), &target);
                let current = target.version.filter(|_| !target.missing);
                Needed { dependency: dependency.clone(), current, stale }
            });
            let dependencies = needed.collect();
            let links = links_to(tx, project, std::slice::from_ref(&artifact.path), COUNTED as u64).await?;
            let ids: Vec<_> = links.iter().map(|link| link.from).collect();
            let mut dependents: Vec<_> =
                present(tx, project, &ids).await?.into_iter().map(|dependent| dependent.path).collect();
            dependents.sort_unstable();
            let dependents_count = dependents.len() as u64;
            dependents.truncate(NAMED);
            let fresh_as_of = scan::fresh_as_of(tx, project, now).await?;
            Ok(Surroundings { artifact, dependencies, dependents, dependents_count, fresh_as_of })
        })
    });
    read.await
}

/// An artifact, removed or not; among its warnings is the circle that it is in.
pub(super) async fn find(tx: &Tx<'_>, project: ProjectId, which: Which) -> Result<Artifact> {
    let mut artifact = content::find(tx, project, which).await?;
    if let Some(circle) = circle_of(tx, project, &artifact).await? {
        artifact.warnings.push(format!("dependencies: it is in a cycle: {}", circle.join(" → ")));
    }
    Ok(artifact)
}

/// The shortest way on which an artifact builds on itself, from its path to its path.
async fn circle_of(tx: &Tx<'_>, project: ProjectId, artifact: &Artifact) -> Result<Option<Vec<String>>> {
    if artifact.removed_at.is_some() || artifact.dependencies.is_empty() {
        return Ok(None);
    }
    // Where each path was come to from.
    let mut before: HashMap<String, String> = HashMap::new();
    let mut reached = HashMap::from([(artifact.id, artifact.path.clone())]);
    for _ in 0..CIRCLE {
        let ids: Vec<_> = reached.keys().copied().collect();
        let mut new = Vec::new();
        for link in links_from(tx, project, &ids, EDGES as u64).await? {
            let from = &reached[&link.from];
            if link.path == artifact.path {
                let mut circle = vec![link.path, from.clone()];
                while let Some(earlier) = circle.last().and_then(|path| before.get(path)) {
                    circle.push(earlier.clone());
                }
                circle.reverse();
                return Ok(Some(circle));
            }
            if !before.contains_key(&link.path) {
                before.insert(link.path.clone(), from.clone());
                new.push(link.path);
            }
        }
        if new.is_empty() || before.len() > NODES {
            break;
        }
        let found = at_paths(tx, project, &new).await?;
        reached = found.into_iter().filter_map(|node| Some((node.source()?, node.path))).collect();
    }
    Ok(None)
}

/// Artifacts of an answer in the making.
#[derive(Default)]
struct Collected {
    nodes: BTreeMap<String, Node>,
    truncated: bool,
}

impl Collected {
    /// Adds an artifact, if there is room; whether it is a new one.
    fn add(&mut self, node: Node) -> bool {
        let is_full = self.nodes.len() >= NODES;
        match self.nodes.entry(node.path.clone()) {
            Entry::Occupied(_) => false,
            Entry::Vacant(_) if is_full => {
                self.truncated = true;
                false
            }
            Entry::Vacant(place) => {
                place.insert(node);
                true
            }
        }
    }

    /// Goes from an artifact along its dependencies, a hop at a time.
    async fn spread(
        &mut self,
        tx: &Tx<'_>,
        project: ProjectId,
        from: ArtifactId,
        hops: u64,
        direction: Direction,
    ) -> Result<()> {
        let artifact = content::find(tx, project, Which::Id(from)).await?;
        let mut newest = at_paths(tx, project, &[artifact.path]).await?;
        self.nodes.extend(newest.iter().map(|node| (node.path.clone(), node.clone())));
        for _ in 0..hops {
            let mut next = Vec::new();
            if direction != Direction::Dependents {
                let ids: Vec<_> = newest.iter().filter_map(Node::source).collect();
                let links = self.within(links_from(tx, project, &ids, 1 + EDGES as u64).await?);
                next.extend(self.targets(tx, project, &links).await?);
            }
            if direction != Direction::Dependencies {
                let paths: Vec<_> = newest.iter().map(|node| node.path.clone()).collect();
                let links = self.within(links_to(tx, project, &paths, 1 + EDGES as u64).await?);
                next.extend(sources(tx, project, &links).await?);
            }
            next.sort_unstable_by(|left: &Node, right| left.path.cmp(&right.path));
            newest = next.into_iter().filter(|node| self.add(node.clone())).collect();
            if newest.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Takes everything: what builds on something or is built on first, then what stands alone.
    async fn gather(&mut self, tx: &Tx<'_>, project: ProjectId) -> Result<()> {
        let links = self.within(first_links(tx, project, 1 + EDGES as u64).await?);
        let sources: HashMap<_, _> = sources(tx, project, &links)
            .await?
            .into_iter()
            .filter_map(|node| Some((node.id?, node)))
            .collect();
        let links: Vec<_> = links.into_iter().filter(|link| sources.contains_key(&link.from)).collect();
        let targets = self.targets(tx, project, &links).await?;
        let targets: HashMap<_, _> = targets.into_iter().map(|node| (node.path.clone(), node)).collect();
        for link in &links {
            for node in [targets.get(&link.path), sources.get(&link.from)].into_iter().flatten() {
                self.add(node.clone());
            }
        }
        for node in first(tx, project, 1 + NODES as u64).await? {
            self.add(node);
        }
        Ok(())
    }

    /// Links up to the bound; one more was asked for.
    fn within(&mut self, mut links: Vec<Link>) -> Vec<Link> {
        self.truncated |= links.len() > EDGES;
        links.truncate(EDGES);
        links
    }

    /// What links lead to, missing or not, but for what is there already.
    async fn targets(&self, tx: &Tx<'_>, project: ProjectId, links: &[Link]) -> Result<Vec<Node>> {
        let paths: BTreeSet<_> = links.iter().map(|link| &link.path).collect();
        let paths: Vec<_> =
            paths.into_iter().filter(|path| !self.nodes.contains_key(*path)).cloned().collect();
        let found = at_paths(tx, project, &paths).await?;
        let known: HashSet<_> = found.iter().map(|node| node.path.clone()).collect();
        let missing = paths
            .iter()
            .filter(|path| !known.contains(*path))
            .map(|path| Node::nothing(path))
            .collect::<Vec<_>>();
        Ok(found.into_iter().chain(missing).collect())
    }

    /// All dependencies between the artifacts, and the circles in them.
    async fn into_graph(mut self, tx: &Tx<'_>, project: ProjectId) -> Result<Graph> {
        let paths: HashMap<_, _> =
            self.nodes.values().filter_map(|node| Some((node.source()?, node.path.clone()))).collect();
        let ids: Vec<_> = paths.keys().copied().collect();
        let links = links_from(tx, project, &ids, 1 + EDGES as u64).await?;
        let links = self.within(links);
        let mut edges = Vec::new();
        for link in links {
            if let Some(target) = self.nodes.get(&link.path) {
                let stale = is_stale(link.version.as_deref(), target);
                edges.push(Edge {
                    from: paths[&link.from].clone(),
                    to: link.path,
                    version: link.version,
                    stale,
                });
            }
        }
        edges.sort_unstable_by(|left, right| (&left.from, &left.to).cmp(&(&right.from, &right.to)));
        let cycles = cycles::of(edges.iter().map(|edge| (&*edge.from, &*edge.to)));
        Ok(Graph { nodes: self.nodes.into_values().collect(), edges, cycles, truncated: self.truncated })
    }
}

/// What links come from.
async fn sources(tx: &Tx<'_>, project: ProjectId, links: &[Link]) -> Result<Vec<Node>> {
    let ids: BTreeSet<_> = links.iter().map(|link| link.from).collect();
    present(tx, project, &ids.into_iter().collect::<Vec<_>>()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_is_stale_when_its_target_is_newer_or_missing() {
        let target = |version: Option<&str>, missing| Node {
            version: version.map(Into::into),
            missing,
            ..Node::nothing("a")
        };
        for (meant, current, stale) in [
            (Some("v1"), Some("2"), true),
            (Some("1.0"), Some("v1.0.0"), false),
            (Some("3"), Some("2"), false),
            (None, Some("2"), false),
            (Some("1"), None, false),
            (Some("draft"), Some("2"), false),
        ] {
            assert_eq!(is_stale(meant, &target(current, false)), stale, "{meant:?} of {current:?}");
        }
        assert!(is_stale(None, &target(None, true)));
    }
}
