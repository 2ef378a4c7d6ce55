//! A project's cache of its repository, and what is read of it.

use std::{collections::HashMap, io, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Take},
    process::ChildStdout,
    task::spawn_blocking,
    time::{interval, sleep},
};
use uuid::Uuid;

use super::{
    Git, Remote,
    cache::{self, Cache},
    command::{Run, Running},
    failure::{Failure, Fetched, GitError},
    relay::Relay,
};

/// Fetches no contents but those that are asked for by name; a host that cannot leave them out sends them all.
const FETCH: [&str; 5] = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--filter=blob:none"];
/// How many commits are fetched and looked at: enough to tell who changed what in a push.
const NEWEST: &str = "50";
/// What the fetched branch is called here.
const TRACKED: &str = "refs/trackside/tracked";
/// How often the size of a cache is looked at while it is fetched.
const WEIGH: Duration = Duration::from_millis(250);

/// A project's cache, which nobody else uses meanwhile.
pub struct Repository<'a> {
    git: &'a Git,
    cache: Cache,
    remote: Remote,
    authorities: Option<PathBuf>,
}

/// A file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// From the repository's root. Bytes that are not UTF-8 are written as git does: `caf\351.md`.
    pub path: String,
    /// The name of its content.
    pub blob: String,
}

/// Who changed a file last, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its name.
    pub id: String,
    /// Who wrote it.
    pub author: String,
    /// When it was made, in seconds of Unix time.
    pub seconds: i64,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// All of it.
    Bytes(Vec<u8>),
    /// More bytes than were asked for.
    TooLarge(u64),
}

impl<'a> Repository<'a> {
    /// The cache of a project, made if it is not there or is one of another repository.
    pub(super) async fn open(git: &'a Git, project: Uuid, remote: Remote) -> Fetched<Self> {
        let (home, url, own) = (git.folder.clone(), remote.url.clone(), git.authorities.clone());
        let prepare =
            move || Ok((cache::open(&home, project, &url)?, cache::write_authorities(&home, &own)?));
        let prepared: io::Result<_> =
            spawn_blocking(prepare).await.map_err(GitError::here("a cache could not be opened"))?;
        let (cache, authorities) = prepared.map_err(GitError::here("the data folder cannot be written"))?;
        let held = || {
            GitError::new(
                Failure::Busy,
                "another process of this service reads the repository; it is tried again",
            )
        };
        let repository = Self { git, cache: cache.ok_or_else(held)?, remote, authorities };
        if repository.cache.is_new {
            repository.make().await?;
        } else {
            let marked = repository.cache.mark(&repository.remote.url);
            marked.map_err(GitError::here("the data folder cannot be written"))?;
        }
        Ok(repository)
    }

    async fn make(&self) -> Fetched<()> {
        let init = self.run(&["init", "--quiet", "--bare"]).output();
        let (made, objects) = tokio::try_join!(init, self.lent())?;
        made.map_err(GitError::here("a cache could not be made"))?;
        if let Some(objects) = objects {
            let borrowed = self.cache.borrow(&objects);
            borrowed.map_err(GitError::here("the data folder cannot be written"))?;
        }
        let marked = self.cache.mark(&self.remote.url);
        marked.map_err(GitError::here("the data folder cannot be written"))
    }

    /// The objects of a repository of this machine: the cache reads them where they are, and nothing of it is copied.
    async fn lent(&self) -> Fetched<Option<Vec<u8>>> {
        let Some(path) = self.remote.folder().filter(|path| path.is_dir()) else { return Ok(None) };
        let arguments = ["rev-parse", "--path-format=absolute", "--git-path", "objects"];
        Ok(Run::within(&self.git.folder, &path, &arguments).output().await?.ok()) // whoever fetches says why not
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run::new(&self.git.folder, &self.cache.folder, arguments)
    }

    /// Fetches a branch, or the one that the host takes for the main one; gives the name of its newest commit.
    ///
    /// # Errors
    /// Whatever keeps it from being fetched.
    pub async fn fetch(&self, branch: Option<&str>) -> Fetched<String> {
        match self.try_fetch(branch).await {
            // It may be the cache that is broken.
            Err(error) if error.failure == Failure::Broken && !self.cache.is_new => {
                self.clear().await?;
                self.make().await?;
                self.try_fetch(branch).await
            }
            fetched => fetched,
        }
    }

    async fn clear(&self) -> Fetched<()> {
        let folder = self.cache.folder.clone();
        let cleared = spawn_blocking(move || cache::clear(&folder)).await;
        let cleared = cleared.map_err(GitError::here("a cache could not be removed"))?;
        cleared.map_err(GitError::here("a cache could not be removed"))
    }

    async fn try_fetch(&self, branch: Option<&str>) -> Fetched<String> {
        let from = branch.map_or_else(|| "HEAD".to_owned(), |branch| format!("refs/heads/{branch}"));
        let newest = if self.cache.lender().is_some() {
            self.ask(&from).await?
        } else {
            let refspec = format!("+{from}:{TRACKED}");
            let depth = format!("--depth={NEWEST}");
            self.speak(&[&FETCH[..], &[&depth, "origin", &refspec]].concat(), &[]).await?;
            TRACKED.to_owned()
        };
        let head = self.run(&["rev-parse", "--verify", &format!("{newest}^{{commit}}")]).output().await?;
        let head = head.map_err(|words| GitError::told(&words, None))?;
        Ok(String::from_utf8_lossy(&head).trim().to_owned())
    }

    /// Asks a repository of this machine which commit a branch is at: what else there is, is read where it is.
    async fn ask(&self, branch: &str) -> Fetched<String> {
        let ends = self.cache.end_where_its_lender_does();
        ends.map_err(GitError::here("the data folder cannot be written"))?;
        let printed = self.speak(&["ls-remote", "--quiet", "origin", branch], &[]).await?;
        let printed = String::from_utf8_lossy(&printed);
        let newest =
            printed.lines().filter_map(|line| line.split_once('\t')).find(|(_, name)| *name == branch);
        newest.map(|(commit, _)| commit.to_owned()).ok_or_else(GitError::no_branch)
    }

    /// Talks to the remote, for as long and as much as the settings allow; gives what git prints. Of a repository that is
    /// larger nothing is kept.
    async fn speak(&self, arguments: &[&str], input: &[u8]) -> Fetched<Vec<u8>> {
        let pass = match self.remote.is_http() {
            true => {
                let relay = self.git.relay.get_or_try_init(Relay::start).await?;
                let name = hex::encode(self.git.ids.bytes::<16>());
                Some(relay.pass(name, Arc::from(&*self.git.allow.hosts)))
            }
            false => None,
        };
        let run = self.run(arguments).speaking_to(&self.remote, pass.as_ref());
        let run = run.trusting(self.authorities.as_deref());
        let too_much = async {
            tokio::select! {
                () = self.outgrow() => self.too_large(),
                () = sleep(self.git.patience) => self.too_slow(),
            }
        };
        let ended = match run.output_unless(input, too_much).await {
            Ok(_) if self.weigh().await > self.git.max_bytes => Err(self.too_large()),
            ended => ended,
        };
        match ended {
            Ok(Ok(printed)) => Ok(printed),
            Ok(Err(words)) => {
                tracing::debug!(%words, "git failed");
                Err(GitError::told(&words, pass.as_ref().and_then(|pass| pass.refused())))
            }
            Err(error) if error.failure == Failure::TooLarge => self.clear().await.and(Err(error)),
            Err(error) => Err(error),
        }
    }

    fn too_large(&self) -> GitError {
        let most = self.git.max_bytes >> 20;
        let why = format!(
            "the repository is larger than the {most} MiB that are fetched at most (TRACKSIDE_GIT_MAX_MB)"
        );
        GitError::new(Failure::TooLarge, why)
    }

    fn too_slow(&self) -> GitError {
        let most = self.git.patience.as_secs();
        GitError::new(
            Failure::TimedOut,
            format!("the host took longer than {most} s (TRACKSIDE_GIT_SECONDS)"),
        )
    }

    /// Returns when the cache is larger than it may be.
    async fn outgrow(&self) {
        let mut ticks = interval(WEIGH);
        loop {
            ticks.tick().await;
            if self.weigh().await > self.git.max_bytes {
                return;
            }
        }
    }

    /// Bytes that the cache takes on the disk.
    async fn weigh(&self) -> u64 {
        let folder = self.cache.folder.clone();
        spawn_blocking(move || Cache::weigh(&folder)).await.unwrap_or_default()
    }

    /// Files of a commit, in some folders or in all if none is named, that are wanted, as what they are wanted for. Links
    /// and submodules are no files.
    ///
    /// # Errors
    /// A cache that cannot be read.
    pub async fn list<T>(
        &self,
        commit: &str,
        folders: &[String],
        wanted: impl Fn(Entry) -> Option<T>,
    ) -> Fetched<Vec<T>> {
        let mut arguments = vec!["ls-tree", "-r", "-z", "--full-tree", commit];
        arguments.extend(folders.iter().map(String::as_str));
        let printed = self.run(&arguments).output().await?.map_err(|words| GitError::told(&words, None))?;
        let lines = printed.split(|byte| *byte == 0);
        Ok(lines.filter_map(parse_entry).filter_map(wanted).collect())
    }

    /// Sees that some contents are here: what a host was not asked for with the commit, it is asked for by name.
    ///
    /// # Errors
    /// Whatever keeps them from being fetched.
    pub async fn obtain(&self, blobs: impl Iterator<Item = &str>) -> Fetched<()> {
        let asked = lines(blobs);
        if asked.is_empty() || self.cache.lender().is_some() {
            return Ok(());
        }
        let by_name = ["-c", "fetch.negotiationAlgorithm=noop"];
        self.speak(&[&by_name, &FETCH[..], &["--stdin", "origin"]].concat(), &asked).await.map(|_| ())
    }

    /// Begins to read contents, which come in the order of their names.
    ///
    /// # Errors
    /// When git cannot be started.
    pub fn contents<'b>(&self, blobs: impl Iterator<Item = &'b str>) -> Fetched<Contents> {
        let names = lines(blobs);
        let mut running = self.run(&["cat-file", "--batch"]).reading().start()?;
        let (stdin, stdout) = (running.0.stdin.take(), running.0.stdout.take());
        let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else {
            return Err(GitError::new(Failure::NoGit, "git cannot be talked to"));
        };
        // All are asked for at once; that git has ended before it read them is told by what it did not print.
        tokio::spawn(async move { stdin.write_all(&names).await });
        Ok(Contents { stdout: BufReader::with_capacity(64 * 1024, stdout), _running: running })
    }

    /// The newest commits on the way to one, as a range: as many as are fetched, also where the rest is here.
    async fn newest(&self, commit: &str) -> Fetched<String> {
        if self.cache.lender().is_none() {
            return Ok(commit.to_owned());
        }
        let skip = format!("--skip={NEWEST}");
        let arguments = ["rev-list", "--first-parent", "--max-count=1", &skip, commit];
        let before = self.run(&arguments).output().await?.unwrap_or_default();
        let before = String::from_utf8_lossy(&before);
        Ok(match before.trim() {
            "" => commit.to_owned(),
            before => format!("{before}..{commit}"),
        })
    }

    /// Who changed each file of some folders last on the way to `commit`: since `known`, if that is still on the way, and
    /// otherwise as far as commits were fetched.
    ///
    /// # Errors
    /// A cache that cannot be read.
    pub async fn changes(&self, known: Option<&str>, commit: &str, folders: &[String]) -> Fetched<Changes> {
        let log = |range: String| {
            let format = "--format=%x01%H%x00%ct%x00%an";
            let mut arguments = vec!["log", "-z", "--no-renames", "--name-only", format, &range, "--"];
            arguments.extend(folders.iter().map(String::as_str));
            self.run(&arguments).output()
        };
        let since = match known {
            Some(known) => log(format!("{known}..{commit}")).await?.ok(),
            None => None,
        };
        let printed = match since {
            Some(printed) => printed,
            None => {
                let range = self.newest(commit).await?;
                log(range).await?.map_err(|words| GitError::told(&words, None))?
            }
        };
        Ok(Changes::parse(&printed))
    }
}

/// What commits changed which files.
pub struct Changes {
    newest: Option<Arc<Commit>>,
    by_path: HashMap<String, Arc<Commit>>,
}

impl Changes {
    fn parse(printed: &[u8]) -> Self {
        let (mut newest, mut by_path) = (None, HashMap::new());
        for commit in printed.split(|byte| *byte == 1).filter(|part| !part.is_empty()) {
            let mut parts = commit.split(|byte| *byte == 0);
            let mut text = || parts.next().map(|part| String::from_utf8_lossy(part).into_owned());
            let (Some(id), Some(seconds), Some(author)) = (text(), text(), text()) else { continue };
            // Where there are files, a line ends before them.
            let commit = Commit { id, author, seconds: seconds.parse().unwrap_or_default() };
            let commit = Arc::new(commit);
            newest.get_or_insert_with(|| Arc::clone(&commit));
            for path in parts {
                let path = path.strip_prefix(b"\n").unwrap_or(path);
                if !path.is_empty() {
                    by_path.entry(shown(path)).or_insert_with(|| Arc::clone(&commit));
                }
            }
        }
        Self { newest, by_path }
    }

    /// The newest commit that changed a file, or the newest of all if none says so.
    pub fn of(&self, path: &str) -> Option<&Commit> {
        self.by_path.get(path).or(self.newest.as_ref()).map(|commit| &**commit)
    }
}

/// Contents that were asked for, one after another.
pub struct Contents {
    stdout: BufReader<ChildStdout>,
    _running: Running,
}

impl Contents {
    /// What the next blob holds, if that is at most `max_bytes`.
    ///
    /// # Errors
    /// When it is not there, or the cache is broken.
    pub async fn next(&mut self, max_bytes: u64) -> Fetched<Content> {
        self.try_next(max_bytes).await.map_err(|error| {
            tracing::debug!(%error, "a blob could not be read");
            GitError::new(Failure::Broken, "a part of the repository was not sent")
        })
    }

    async fn try_next(&mut self, max_bytes: u64) -> io::Result<Content> {
        let mut head = String::new();
        self.stdout.read_line(&mut head).await?;
        let size = head.trim_end().split(' ').nth(2).and_then(|size| size.parse::<u64>().ok());
        let size = size.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, head))?;
        let mut content: Take<_> = (&mut self.stdout).take(size + 1); // a line's end is behind it
        if size > max_bytes {
            tokio::io::copy(&mut content, &mut tokio::io::sink()).await?;
            return Ok(Content::TooLarge(size));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
        content.read_to_end(&mut bytes).await?;
        bytes.pop();
        Ok(Content::Bytes(bytes))
    }
}

fn lines<'a>(names: impl Iterator<Item = &'a str>) -> Vec<u8> {
    names.flat_map(|name| name.bytes().chain(*b"\n")).collect()
}

/// `100644 blob NAME<tab>PATH`
fn parse_entry(line: &[u8]) -> Option<Entry> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let (about, path) = (std::str::from_utf8(&line[..tab]).ok()?, &line[tab + 1..]);
    let mut about = about.split(' ');
    let (mode, _, blob) = (about.next()?, about.next()?, about.next()?);
    mode.starts_with("100").then(|| Entry { path: shown(path), blob: blob.to_owned() })
}

/// A path as text, its strange bytes as git shows them.
fn shown(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\{byte:03o}"));
        }
    }
    text
}
