//! A repository that is really there, with the documents that sample pushes tell of: what the demo has read.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::Sample;

/// A Git repository in a folder, committed to by the `git` program.
pub struct WorkingCopy {
    folder: PathBuf,
    /// The version of the product requirements that was committed last.
    prd: String,
}

impl WorkingCopy {
    /// A new one, with a commit of no file, or the one that is in the folder.
    ///
    /// # Errors
    /// Where there is no `git`, or the folder cannot be written.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let copy = Self { folder: folder.canonicalize()?, prd: "1.0".to_owned() };
        copy.git(&["init", "--quiet", "--initial-branch=main"])?;
        if copy.git(&["rev-parse", "--quiet", "--verify", "HEAD"]).is_err() {
            copy.git(&["commit", "--quiet", "--allow-empty", "--message", "Begin"])?;
        }
        Ok(copy)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("file://{}", self.folder.display())
    }

    /// Does what a push to the main branch says was done. Other deliveries change nothing.
    ///
    /// # Errors
    /// When a commit cannot be made.
    pub fn follow(&mut self, sample: &Sample) -> io::Result<()> {
        if !self.folder.join(".git").is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the repository was removed"));
        }
        let is_main = sample.body["ref"] == "refs/heads/main";
        let commits = sample.body["commits"].as_array().filter(|_| is_main);
        for commit in commits.into_iter().flatten() {
            let message = commit["message"].as_str().unwrap_or_default();
            if let Some((_, version)) = message.split_once("PRD version ") {
                self.prd = version.split([',', ' ']).next().unwrap_or_default().to_owned();
            }
            for path in paths(&commit["added"]).chain(paths(&commit["modified"])) {
                self.write(path, message)?;
            }
            for path in paths(&commit["removed"]) {
                let _ = fs::remove_file(self.folder.join(path));
            }
            let author = commit["author"]["username"].as_str().unwrap_or("somebody");
            self.git(&["add", "--all"])?;
            let author = format!("--author={author} <{author}@example.org>");
            self.git(&["commit", "--quiet", "--allow-empty", &author, "--message", message])?;
        }
        Ok(())
    }

    fn write(&self, path: &str, message: &str) -> io::Result<()> {
        let (prd, name) = (&self.prd, path.rsplit('/').next().unwrap_or(path));
        let title = name.trim_end_matches(".md").replace(['-', '_'], " ");
        let text = match path {
            "docs/prd.md" => {
                format!("---\nversion: {prd}\nstatus: approved\n---\n# Product requirements\n\n{message}\n")
            }
            _ if path.starts_with("docs/stories/") => format!(
                "---\nversion: 1.0\nstatus: ready\ndependencies:\n  - docs/prd.md@v{prd}\n---\n# {title}\n\n{message}\n"
            ),
            _ if path.starts_with("docs/") => {
                format!("---\nversion: 1.0\ndependencies: docs/prd.md\n---\n# {title}\n\n{message}\n")
            }
            _ => format!("// {message}\n"),
        };
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
        fs::write(path, text)
    }

    fn git(&self, arguments: &[&str]) -> io::Result<()> {
        let settings = [
            "-c",
            "user.name=Demo",
            "-c",
            "user.email=demo@example.org",
            "-c",
            "commit.gpgSign=false",
            "-c",
            "core.hooksPath=",
        ];
        // It never takes a repository around this one for its own.
        let around = self.folder.parent().unwrap_or(&self.folder);
        let mut command = Command::new("git");
        command.current_dir(&self.folder).env("GIT_CEILING_DIRECTORIES", around);
        for other in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(other);
        }
        let ended = command.args(settings).args(arguments).output()?;
        match ended.status.success() {
            true => Ok(()),
            false => Err(io::Error::other(String::from_utf8_lossy(&ended.stderr).into_owned())),
        }
    }
}

fn paths(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::{super::Story, *};
    use crate::artifacts::document;

    #[test]
    fn the_documents_of_the_story_are_there_with_the_versions_it_tells_of() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut copy = WorkingCopy::open(folder.path()).expect("git");
        let now = chrono::DateTime::from_timestamp(1_760_000_000, 0).expect("in range");
        let mut story = Story::new("acme/rocket", now);
        let read = |path: &str| document::read(path, &fs::read(folder.path().join(path)).unwrap_or_default());
        let mut seen = Vec::new();
        for _ in 0..=Story::ROUND {
            copy.follow(&story.next(now)).expect("committed");
            let story = read("docs/stories/1.1.search-when-all-is-well.md");
            let on = story.dependencies.first().and_then(|on| on.version.clone());
            seen.push((read("docs/prd.md").version, on));
        }
        seen.dedup();
        let version = |text: &str| Some(text.to_owned());
        assert_eq!(
            seen,
            [
                (version("1.0"), None),
                (version("1.0"), version("v1.0")),
                (version("2.0"), version("v1.0")),
                (version("2.0"), version("v2.0")),
                (version("3.0"), version("v2.0")),
            ]
        );
    }
}
