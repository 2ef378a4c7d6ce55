//! Which paths are meant: patterns as Git's, compiled once for all who have the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use globset::{Glob, GlobSet, GlobSetBuilder};
use moka::sync::Cache;

use super::ArtifactKind;
use crate::error::{Error, Result};

/// Bytes of the longest path of a document.
pub const PATH_BYTES: usize = 1_000;

/// Lists of patterns that are kept compiled: of each project a few, and most have those that it began with.
const KEPT: u64 = 1_000;

/// What was compiled lately. To compile a few patterns takes as long as to read a delivery.
static COMPILED: LazyLock<Cache<Vec<String>, Arc<GlobSet>>> = LazyLock::new(|| Cache::new(KEPT));

/// A project's path patterns, compiled.
pub struct Patterns {
    sets: Vec<(ArtifactKind, Arc<GlobSet>)>,
    folders: Vec<String>,
}

impl Patterns {
    /// Compiles the patterns of a project's configuration.
    ///
    /// # Errors
    /// `invalid_request`, pointing at the kind or pattern that is not one.
    pub fn compile(paths: &BTreeMap<String, Vec<String>>) -> Result<Self> {
        let mut sets = Vec::new();
        for (kind, patterns) in paths {
            let refused = |why: String| Error::invalid_field(format!("/config/artifactPaths/{kind}"), why);
            let set = compile(patterns).map_err(|why| refused(why.to_string()))?;
            sets.push((kind.parse::<ArtifactKind>().map_err(|why| refused(why.to_string()))?, set));
        }
        sets.sort_by_key(|(kind, _)| *kind); // what fits several kinds is the first of them
        let folders: Option<BTreeSet<_>> =
            paths.values().flatten().map(|pattern| folder_of(pattern)).collect();
        let folders = folders.into_iter().flatten().map(str::to_owned).collect();
        Ok(Self { sets, folders })
    }

    /// The kind of a path, if it is one that the project tracks. One of more than 1,000 bytes is none: nothing could be
    /// said to build on it.
    pub fn kind_of(&self, path: &str) -> Option<ArtifactKind> {
        let sets = if path.len() > PATH_BYTES { &[] } else { &*self.sets };
        sets.iter().find(|(_, set)| set.is_match(path)).map(|(kind, _)| *kind)
    }

    /// The folders and files below which everything is that the patterns find; none if that may be anywhere.
    pub fn folders(&self) -> &[String] {
        &self.folders
    }
}

/// Patterns, compiled; what is none is left out.
pub fn globs(patterns: &[String]) -> Arc<GlobSet> {
    compile(patterns).unwrap_or_else(|_| {
        let globs = patterns.iter().filter_map(|pattern| Glob::new(pattern).ok());
        Arc::new(GlobSet::new(globs).unwrap_or_default())
    })
}

/// Patterns, compiled, unless one is none.
fn compile(patterns: &[String]) -> std::result::Result<Arc<GlobSet>, globset::Error> {
    if let Some(compiled) = COMPILED.get(patterns) {
        return Ok(compiled);
    }
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern)?);
    }
    let compiled = Arc::new(set.build()?);
    COMPILED.insert(patterns.to_vec(), Arc::clone(&compiled));
    Ok(compiled)
}

/// The folder, or the very file, that a pattern cannot leave; none for one that may begin anywhere.
pub(super) fn folder_of(pattern: &str) -> Option<&str> {
    match pattern.find(['*', '?', '[', '{', '\\']) {
        None => Some(pattern),
        Some(special) => pattern[..special].rfind('/').map(|slash| &pattern[..slash]),
    }
    .filter(|folder| !folder.is_empty())
}
