//! A repository on GitHub and the deliveries it causes, written from the documented shape of each event.
//!
//! The repository keeps what later deliveries must agree with: the head of each branch, when a pull request
//! was opened, which commit a run began on. Nothing here asks for the time or for randomness.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Branch, Commit, DEVELOPER, OWNER, RELEASER, Record, Repository, Sample, TESTER, WorkflowRun};

pub(super) const MAIN: &str = "main";
pub(super) const NO_COMMIT: &str = "0000000000000000000000000000000000000000";
/// When every repository and workflow was made.
const FOUNDED: DateTime<Utc> = DateTime::from_timestamp_nanos(1_700_000_000_000_000_000);
/// The links of an account, see [`add_urls`].
const ACCOUNT_URLS: &str = "events=events{/privacy} followers following=following{/other_user} repos \
    gists=gists{/gist_id} organizations=orgs received_events starred=starred{/owner}{/repo} subscriptions";
/// The links of a repository, see [`add_urls`].
const URLS: &str = "archive={archive_format}{/ref} assignees=assignees{/user} blobs=git/blobs{/sha} \
    branches=branches{/branch} collaborators=collaborators{/collaborator} comments=comments{/number} \
    commits=commits{/sha} compare=compare/{base}...{head} contents=contents/{+path} contributors \
    deployments downloads events forks git_commits=git/commits{/sha} git_refs=git/refs{/sha} hooks \
    git_tags=git/tags{/sha} issue_comment=issues/comments{/number} issue_events=issues/events{/number} \
    issues=issues{/number} keys=keys{/key_id} labels=labels{/name} languages merges tags teams \
    milestones=milestones{/number} notifications=notifications{?since,all,participating} stargazers \
    pulls=pulls{/number} releases=releases{/id} statuses=statuses/{sha} subscribers subscription \
    trees=git/trees{/sha}";

impl Repository {
    /// `ping`: what GitHub sends when the webhook is made.
    pub fn ping(&mut self) -> Sample {
        let (id, now) = (500_000_000 + self.id % 100_000_000, stamp(self.now));
        let (url, target) = (format!("{}/hooks/{id}", self.api), "https://trackside.example.com/github");
        let mut hook = json!({
            "type": "Repository", "id": id, "name": "web", "active": true, "events": ["*"], "url": url,
            "config": { "content_type": "json", "insecure_ssl": "0", "secret": "********", "url": target },
            "created_at": now, "updated_at": now, "last_response": { "code": null, "status": "unused" },
        });
        add_urls(&mut hook, &url, "test ping=pings deliveries");
        let body = json!({ "zen": "Small steps arrive sooner.", "hook_id": id, "hook": hook });
        self.deliver("ping", "ping: the webhook was made".to_owned(), OWNER, body)
    }

    /// `push` of commits to a branch; a new branch starts at the head of `main`.
    pub fn push(&mut self, branch: &str, commits: &[Commit<'_>]) -> Sample {
        let commits = commits.iter().map(|commit| self.commit(commit)).collect();
        self.push_made(branch, commits)
    }

    /// `push` of a lightweight tag on the head of `main`.
    pub fn push_tag(&mut self, tag: &str) -> Sample {
        let (head, compare) = (self.branch(MAIN).head, format!("{}/compare/{tag}", self.html));
        self.pushed = self.now;
        let body = json!({
            "ref": format!("refs/tags/{tag}"), "before": NO_COMMIT, "after": head["id"], "created": true,
            "deleted": false, "forced": false, "base_ref": "refs/heads/main", "compare": compare,
            "commits": [], "head_commit": head, "pusher": { "name": RELEASER, "email": email(RELEASER) },
        });
        self.deliver("push", format!("push of tag {tag}"), RELEASER, body)
    }

    /// `push` of commits that [`Repository::commit`] made.
    pub(super) fn push_made(&mut self, branch: &str, commits: Vec<Value>) -> Sample {
        let (known, old) = (self.branches.contains_key(branch), self.branch(branch));
        let head = commits.last().unwrap_or(&old.head).clone();
        let compare = match commits.as_slice() {
            _ if known => format!("{}/compare/{}...{}", self.html, short(&old.head), short(&head)),
            [] => format!("{}/compare/{branch}", self.html),
            [_] => format!("{}/commit/{}", self.html, short(&head)),
            [first, ..] => format!("{}/compare/{}^...{}", self.html, short(first), short(&head)),
        };
        let (about, files) = summary(&commits);
        let before = if known { text(&old.head["id"]) } else { NO_COMMIT };
        let author = author(&head).to_owned();
        let body = json!({
            "ref": format!("refs/heads/{branch}"), "before": before, "after": head["id"], "created": !known,
            "deleted": false, "forced": false, "base_ref": null, "commits": commits, "head_commit": head,
            "pusher": { "name": author, "email": email(&author) }, "compare": compare,
        });
        let (commits, files) = (old.commits + commits.len(), old.files + files);
        self.branches.insert(branch.to_owned(), Branch { name: branch.to_owned(), head, commits, files });
        self.branch = branch.to_owned();
        self.pushed = self.now;
        self.deliver("push", format!("push to {branch}: {about}"), &author, body)
    }

    /// `pull_request` into `main`: `opened`, `synchronize`, `closed` and so on; only `closed` can be merged.
    ///
    /// Its head is the branch pushed to last when the number is first used, or a branch of its own if that is
    /// `main` or taken. Push what a merge puts on `main` first, as GitHub does: the merge commit is the head
    /// of `main`, and the branch is gone afterwards.
    pub fn pull_request(&mut self, action: &str, number: u64, title: &str, merged: bool) -> Sample {
        let known = self.records.iter().any(|record| record.key == ("pull", number, 0));
        if !known && (self.branch == MAIN || !self.open_pulls(&self.branch).is_empty()) {
            let commit = Commit { message: title, modified: &["src/lib.rs"], ..Commit::default() };
            self.push(&format!("change-{number}"), &[commit]);
        }
        let mut record = self.take(("pull", number, 0), &self.branch.clone());
        let before = record.branch.head["id"].clone();
        if let Some(branch) = self.branches.get(&record.branch.name) {
            record.branch = branch.clone();
        }
        record.act(action, self.now);
        let merged = merged && action == "closed";
        if merged {
            record.merge_commit = Some(self.branch(MAIN).head["id"].clone());
            self.branches.remove(&record.branch.name);
            self.branch = MAIN.to_owned();
        }
        let (url, html) = (format!("{}/pulls/{number}", self.api), format!("{}/pull/{number}", self.html));
        let (repository, owner) = (self.repository(false), text(&self.owner["login"]));
        let side = |name: &str, sha: &Value| {
            let label = format!("{owner}:{name}");
            json!({ "label": label, "ref": name, "sha": sha, "user": self.owner, "repo": repository })
        };
        let (branch, after) = (&record.branch, &record.branch.head["id"]);
        let is_merged = record.merge_commit.is_some();
        let more = json!({
            "url": url, "html_url": html, "diff_url": format!("{html}.diff"), "auto_merge": null,
            "patch_url": format!("{html}.patch"), "issue_url": format!("{}/issues/{number}", self.api),
            "head": side(&branch.name, after), "base": side(MAIN, &record.base), "draft": false,
            "merged": is_merged, "merged_at": record.closed.filter(|_| is_merged).map(stamp),
            "merged_by": is_merged.then(|| account(OWNER)), "mergeable": null, "mergeable_state": "unknown",
            "merge_commit_sha": record.merge_commit, "requested_reviewers": [account(OWNER)],
            "requested_teams": [], "review_comments": 0, "maintainer_can_modify": false,
            "commits": branch.commits, "changed_files": branch.files, "additions": 31 * branch.files + 7,
            "deletions": 9 * branch.files,
        });
        let mut pull = with(self.thread(&record, "PR", title, DEVELOPER), more);
        add_urls(&mut pull, &url, "commits review_comments=comments review_comment=comments{/number}");
        let mut body = json!({ "action": action, "number": number, "pull_request": pull });
        if action == "synchronize" {
            body = with(body, json!({ "before": before, "after": after }));
        }
        let verb = if merged { "merged" } else { action };
        let sender = if action == "closed" { OWNER } else { DEVELOPER };
        self.keep(record);
        self.deliver("pull_request", format!("pull request #{number} {verb}: {title}"), sender, body)
    }

    /// `issues`: `opened`, `closed`, `reopened`, `edited` and so on.
    pub fn issue(&mut self, action: &str, number: u64, title: &str) -> Sample {
        let mut record = self.take(("issue", number, 0), MAIN);
        record.act(action, self.now);
        let url = format!("{}/issues/{number}", self.api);
        let more = json!({
            "url": url, "repository_url": self.api, "html_url": format!("{}/issues/{number}", self.html),
            "state_reason": record.closed.map(|_| "completed"), "performed_via_github_app": null,
        });
        let mut issue = with(self.thread(&record, "I", title, TESTER), more);
        add_urls(&mut issue, &url, "labels=labels{/name} events timeline");
        self.keep(record);
        let sender = if action == "closed" { DEVELOPER } else { TESTER };
        let body = json!({ "action": action, "issue": issue });
        self.deliver("issues", format!("issue #{number} {action}: {title}"), sender, body)
    }

    /// `release`: one is published for a tag.
    pub fn release(&mut self, tag: &str) -> Sample {
        let (id, now) = (self.new_id() % 1_000_000_000, stamp(self.now));
        let url = format!("{}/releases/{id}", self.api);
        let upload = url.replace("//api.", "//uploads.") + "/assets{?name,label}";
        let mut release = json!({
            "url": url, "upload_url": upload, "html_url": format!("{}/releases/tag/{tag}", self.html),
            "id": id, "node_id": node("RE", id), "author": account(RELEASER), "tag_name": tag, "name": tag,
            "target_commitish": MAIN, "draft": false, "prerelease": false, "immutable": false, "assets": [],
            "created_at": now, "updated_at": now, "published_at": now,
            "body": format!("What {tag} brings is listed in docs/prd.md; nothing has to be migrated."),
        });
        add_urls(&mut release, &url, "assets");
        add_urls(&mut release, &self.api, &format!("tarball=tarball/{tag} zipball=zipball/{tag}"));
        let body = json!({ "action": "published", "release": release });
        self.deliver("release", format!("release {tag} published"), RELEASER, body)
    }

    /// `workflow_run`: one step of a run, on the commit that headed the branch when the run was first seen.
    pub fn workflow_run(&mut self, run: &WorkflowRun<'_>) -> Sample {
        let record = self.take(("run", run.id, 0), run.branch);
        let attempt = self.take(("run", run.id, run.attempt.max(1)), run.branch);
        let action = if run.status == "queued" { "requested" } else { run.status };
        let (head, id) = (&record.branch.head, number_of(run.name) % 90_000_000);
        let path = format!(".github/workflows/{}.yml", run.name.to_lowercase().replace(' ', "-"));
        let url = format!("{}/actions/runs/{}", self.api, run.id);
        let workflow_url = format!("{}/actions/workflows/{id}", self.api);
        let (pulls, brief) = (self.open_pulls(run.branch), self.brief());
        let actor = account(author(head));
        let person = json!({ "name": head["author"]["name"], "email": head["author"]["email"] });
        let mut object = json!({
            "id": run.id, "name": run.name, "node_id": node("WFR", run.id), "head_branch": run.branch,
            "head_sha": head["id"], "path": path, "display_title": text(&head["message"]).lines().next(),
            "run_number": record.run_number, "run_attempt": run.attempt, "status": run.status,
            "event": if pulls.is_empty() { "push" } else { "pull_request" }, "conclusion": run.conclusion,
            "workflow_id": id, "workflow_url": workflow_url, "check_suite_id": record.id, "url": url,
            "check_suite_node_id": node("CS", record.id), "pull_requests": pulls, "actor": actor,
            "html_url": format!("{}/actions/runs/{}", self.html, run.id), "triggering_actor": actor,
            "check_suite_url": format!("{}/check-suites/{}", self.api, record.id), "referenced_workflows": [],
            "created_at": stamp(record.created), "updated_at": stamp(self.now), "previous_attempt_url": null,
            "run_started_at": stamp(attempt.created), "repository": brief, "head_repository": brief,
            "head_commit": { "id": head["id"], "tree_id": head["tree_id"], "message": head["message"],
                "timestamp": head["timestamp"], "author": person, "committer": person },
        });
        add_urls(&mut object, &url, "jobs logs artifacts cancel rerun");
        let body = json!({ "action": action, "workflow_run": object, "workflow": {
            "id": id, "node_id": node("W", id), "name": run.name, "path": path, "state": "active",
            "url": workflow_url, "html_url": format!("{}/blob/main/{path}", self.html),
            "badge_url": format!("{}/workflows/{}/badge.svg", self.html, run.name.replace(' ', "%20")),
            "created_at": stamp(FOUNDED), "updated_at": stamp(FOUNDED),
        }});
        let outcome = run.conclusion.unwrap_or(run.status);
        let about = format!("workflow {} #{} on {}: {outcome}", run.name, record.run_number, run.branch);
        let sender = author(head).to_owned();
        self.keep(record);
        self.keep(attempt);
        self.deliver("workflow_run", about, &sender, body)
    }

    /// `check_run` on the head of the branch pushed to last; `queued` and `in_progress` arrive as `created`.
    pub fn check_run(&mut self, id: u64, name: &str, status: &str, conclusion: Option<&str>) -> Sample {
        let record = self.take(("check", id, 0), &self.branch.clone());
        let (started, now) = (stamp(record.created), stamp(self.now));
        let (head, suite, branch) = (&record.branch.head["id"], record.id, &record.branch.name);
        let (url, html) = (format!("{}/check-runs/{id}", self.api), format!("{}/runs/{id}", self.html));
        let (pulls, completed) = (self.open_pulls(branch), (status == "completed").then_some(&now));
        let app = json!({
            "id": 15_368, "slug": "github-actions", "node_id": node("A", 15_368), "name": "GitHub Actions",
            "owner": account("github"), "html_url": "https://github.com/apps/github-actions",
            "events": ["check_run", "check_suite", "push"], "permissions": { "checks": "write" },
        });
        let suite = json!({
            "id": suite, "node_id": node("CS", suite), "head_branch": branch, "head_sha": head, "app": app,
            "status": status, "conclusion": conclusion, "url": format!("{}/check-suites/{suite}", self.api),
            "before": record.base, "after": head, "pull_requests": pulls, "created_at": started,
            "updated_at": now,
        });
        let mut check = json!({
            "id": id, "name": name, "node_id": node("CR", id), "head_sha": head, "external_id": "",
            "url": url, "html_url": html, "details_url": html, "status": status, "conclusion": conclusion,
            "app": app, "started_at": started, "completed_at": completed, "pull_requests": pulls,
            "check_suite": suite, "output": { "title": null, "summary": null, "annotations_count": 0 },
        });
        add_urls(&mut check["output"], &url, "annotations");
        let action = if completed.is_some() { "completed" } else { "created" };
        let about = format!("check {name} on {branch}: {}", conclusion.unwrap_or(status));
        self.keep(record);
        self.deliver("check_run", about, DEVELOPER, json!({ "action": action, "check_run": check }))
    }

    /// `status` of the head of the branch pushed to last: `pending`, `success`, `failure` or `error`.
    pub fn status(&mut self, context: &str, state: &str) -> Sample {
        let (id, now) = (self.new_id(), stamp(self.now));
        let Branch { name, head, .. } = self.branch(&self.branch);
        let (sha, tree, user) = (text(&head["id"]), text(&head["tree_id"]), account(author(&head)));
        let mut date = head["author"].clone();
        date["date"] = head["timestamp"].clone();
        let (url, git) = (format!("{}/commits/{sha}", self.api), format!("{}/git", self.api));
        let commit = json!({
            "sha": sha, "node_id": node("C", id), "url": url, "html_url": head["url"], "parents": [],
            "comments_url": format!("{url}/comments"), "author": user, "committer": user, "commit": {
                "author": date, "committer": date, "message": head["message"], "comment_count": 0,
                "url": format!("{git}/commits/{sha}"),
                "tree": { "sha": tree, "url": format!("{git}/trees/{tree}") } },
        });
        let body = json!({
            "id": id, "sha": sha, "name": self.full_name, "context": context, "state": state,
            "commit": commit, "target_url": format!("https://ci.example.com/{}/{sha}", self.full_name),
            "created_at": now, "updated_at": now, "description": format!("{context}: {state}"),
            "avatar_url": user["avatar_url"],
            "branches": [{ "name": name, "commit": { "sha": sha, "url": url }, "protected": false }],
        });
        self.deliver("status", format!("status {context} on {name}: {state}"), author(&head), body)
    }

    /// A commit as pushes list it, with ids of its own.
    pub(super) fn commit(&mut self, commit: &Commit<'_>) -> Value {
        let (id, tree, login) = (self.hash(), self.hash(), commit.author);
        let person = json!({ "name": login.replace('-', " "), "email": email(login), "username": login });
        json!({
            "id": id, "tree_id": tree, "distinct": true, "message": commit.message, "author": person,
            "committer": person, "timestamp": stamp(self.now), "url": format!("{}/commit/{id}", self.html),
            "added": commit.added, "removed": commit.removed, "modified": commit.modified,
        })
    }

    fn hash(&mut self) -> String {
        self.hashes += 1;
        let digest = Sha256::digest(format!("{} {} {}", self.full_name, self.seed, self.hashes));
        hex::encode(&digest[..20])
    }

    /// The open pull requests of a branch, as runs and checks name them.
    fn open_pulls(&self, branch: &str) -> Vec<Value> {
        let repo = json!({ "id": self.id, "url": self.api, "name": self.name });
        let open = |it: &&Record| it.key.0 == "pull" && it.branch.name == branch && it.closed.is_none();
        let brief = |Record { key: (_, number, _), id, branch, base, .. }: &Record| {
            let (head, url) = (&branch.head["id"], format!("{}/pulls/{number}", self.api));
            let base = json!({ "ref": MAIN, "sha": base, "repo": repo });
            let head = json!({ "ref": branch.name, "sha": head, "repo": repo });
            json!({ "id": id, "number": number, "url": url, "head": head, "base": base })
        };
        self.records.iter().filter(open).map(brief).collect()
    }

    /// What issues and pull requests have in common.
    fn thread(&self, record: &Record, kind: &str, title: &str, opener: &str) -> Value {
        let (id, number, developer) = (record.id, record.key.1, account(DEVELOPER));
        let label = json!({ "id": 7_100_000_001_u64, "name": "story", "color": "1d76db", "default": false,
            "node_id": node("LA", 7_100_000_001), "url": format!("{}/labels/story", self.api) });
        json!({
            "id": id, "node_id": node(kind, id), "number": number, "title": title, "user": account(opener),
            "state": if record.closed.is_some() { "closed" } else { "open" }, "labels": [label],
            "locked": false, "active_lock_reason": null, "milestone": null, "comments": 0,
            "author_association": "MEMBER", "assignee": developer, "assignees": [developer],
            "created_at": stamp(record.created), "updated_at": stamp(self.now),
            "comments_url": format!("{}/issues/{number}/comments", self.api),
            "closed_at": record.closed.map(stamp), "body": format!("{title}, as its story tells."),
        })
    }

    fn deliver(&self, event: &'static str, about: String, sender: &str, body: Value) -> Sample {
        let (owner, login) = (&self.owner, text(&self.owner["login"]));
        let url = format!("https://api.github.com/orgs/{login}");
        let mut organization = json!({
            "login": login, "id": owner["id"], "node_id": owner["node_id"], "url": url,
            "avatar_url": owner["avatar_url"], "description": "Plans, builds and ships",
        });
        add_urls(&mut organization, &url, "repos events hooks issues members=members{/member}");
        let (repository, sender) = (self.repository(event == "push"), account(sender));
        let rest = json!({ "repository": repository, "organization": organization, "sender": sender });
        Sample { source: "github", event, about, body: with(body, rest) }
    }

    /// The repository as events name it. Pushes are older than GitHub's API and tell some times in seconds.
    fn repository(&self, in_push: bool) -> Value {
        let time = |time: DateTime<Utc>| if in_push { json!(time.timestamp()) } else { json!(stamp(time)) };
        let path = &self.full_name;
        let more = json!({
            "created_at": time(FOUNDED), "updated_at": stamp(self.pushed), "pushed_at": time(self.pushed),
            "git_url": format!("git://github.com/{path}.git"), "clone_url": format!("{}.git", self.html),
            "ssh_url": format!("git@github.com:{path}.git"), "svn_url": self.html, "homepage": null,
            "size": 1840, "mirror_url": null, "archived": false, "stargazers_count": 12, "watchers_count": 12,
            "language": "Rust", "has_issues": true, "has_projects": true, "has_downloads": true,
            "has_wiki": false, "has_pages": false, "has_discussions": false, "forks_count": 1, "forks": 1,
            "disabled": false, "open_issues_count": 3, "license": null, "allow_forking": false,
            "is_template": false, "web_commit_signoff_required": false, "topics": ["planning"],
            "visibility": "private", "open_issues": 3, "watchers": 12, "default_branch": MAIN,
            "custom_properties": {},
        });
        let mut repository = with(self.brief(), more);
        if in_push {
            let login = &self.owner["login"];
            let owner = with(self.owner.clone(), json!({ "name": login, "email": email(text(login)) }));
            let more = json!({ "url": self.html, "owner": owner, "master_branch": MAIN, "stargazers": 12 });
            repository = with(repository, more);
            repository["organization"] = login.clone();
        }
        repository
    }

    /// The repository as runs name it: without counts and times.
    fn brief(&self) -> Value {
        let mut repository = json!({
            "id": self.id, "node_id": node("R", self.id), "name": self.name, "full_name": self.full_name,
            "private": true, "owner": self.owner, "html_url": self.html, "fork": false, "url": self.api,
            "description": "Plans, stories and code of one product",
        });
        add_urls(&mut repository, &self.api, URLS);
        repository
    }
}

/// Which files commits touch, in words for people, and how many.
fn summary(commits: &[Value]) -> (String, usize) {
    let (mut words, mut count) = (Vec::new(), 0);
    for (verb, list) in [("adds", "added"), ("changes", "modified"), ("removes", "removed")] {
        let files: Vec<_> = commits.iter().filter_map(|it| it[list].as_array()).flatten().map(text).collect();
        count += files.len();
        match files.len() {
            0 => {}
            1..=3 => words.push(format!("{verb} {}", files.join(", "))),
            many => words.push(format!("{verb} {many} files")),
        }
    }
    (if count == 0 { "no files".to_owned() } else { words.join("; ") }, count)
}

/// An account as GitHub tells it wherever somebody did something; `[bot]` ends the login of an app.
pub(super) fn account(login: &str) -> Value {
    let id = 10_000_000 + number_of(login) % 90_000_000;
    let url = format!("https://api.github.com/users/{}", login.replace('[', "%5B").replace(']', "%5D"));
    let (page, kind) = match login.strip_suffix("[bot]") {
        Some(app) => (format!("https://github.com/apps/{app}"), "Bot"),
        None => (format!("https://github.com/{login}"), "User"),
    };
    let mut account = json!({
        "login": login, "id": id, "node_id": node("U", id), "gravatar_id": "", "url": url, "html_url": page,
        "avatar_url": format!("https://avatars.githubusercontent.com/u/{id}?v=4"), "type": kind,
        "user_view_type": "public", "site_admin": false,
    });
    add_urls(&mut account, &url, ACCOUNT_URLS);
    account
}

pub(super) fn email(login: &str) -> String {
    format!("{}@example.com", login.trim_end_matches("[bot]"))
}

/// Adds a `name_url` below `base` for each `name=path`, or `name` alone where the path is the same. The parts
/// in braces are templates, which GitHub sends as they stand.
fn add_urls(object: &mut Value, base: &str, urls: &str) {
    for url in urls.split_whitespace() {
        let (name, path) = url.split_once('=').unwrap_or((url, url));
        object[format!("{name}_url")] = format!("{base}/{path}").into();
    }
}

pub(super) fn with(mut object: Value, more: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (object.as_object_mut(), more) {
        fields.extend(more);
    }
    object
}

/// The same number for the same name for ever, as accounts and repositories keep their ids.
pub(super) fn number_of(name: &str) -> u64 {
    Sha256::digest(name).iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn node(kind: &str, id: u64) -> String {
    format!("{kind}_kwDO{id:08x}")
}

pub(super) fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn author(commit: &Value) -> &str {
    text(&commit["author"]["username"])
}

/// The twelve characters by which GitHub's links name a commit.
fn short(commit: &Value) -> &str {
    text(&commit["id"]).get(..12).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
