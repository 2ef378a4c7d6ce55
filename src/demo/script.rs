//! The script: what the agents do after each delivery of the story.
//!
//! What they are granted lies on their [`Desks`], because every later write has to show it. An agent that is refused goes
//! on: some refusals are in the script, the others show that the play was interrupted.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    cast::{Agent, Cast},
    play::{Playing, REVIEW, code_of},
    stage::{Doors, Told},
};
use crate::{error::Result, samples::Chapter};

/// Calls after which an agent that asks too often stops, if nobody stops it before.
const TOO_OFTEN: usize = 70;
/// For how long the claim holds of an agent that falls silent, in seconds.
const SILENT: i64 = 30;

/// What an agent holds.
#[derive(Default)]
pub(super) struct Desk {
    /// Its claim: the item, the lease and its fencing token.
    work: Option<Value>,
    /// Its reservations, each with its fencing token.
    paths: Vec<Value>,
}

/// What the agents hold.
#[derive(Default)]
pub(super) struct Desks {
    rust: Desk,
    web: Desk,
    /// What was begun in the meantime, and is given back.
    spare: Desk,
}

/// A moment of the play.
pub(super) struct Scene<'a, D> {
    /// Where the agents go in.
    pub(super) doors: &'a D,
    /// The project that they work in.
    pub(super) project: &'a Playing,
    /// Who they are.
    pub(super) cast: &'a Cast,
    /// How long they wait before each act.
    pub(super) pause: Duration,
}

/// One JSON object with the fields of another.
fn with(mut one: Value, other: &Value) -> Value {
    for (name, value) in other.as_object().into_iter().flatten() {
        one[name] = value.clone();
    }
    one
}

/// Some fields of an answer.
fn picked(answer: &Value, fields: &[&str]) -> Value {
    fields.iter().map(|field| ((*field).to_owned(), answer[*field].clone())).collect()
}

impl<D: Doors> Scene<'_, D> {
    /// What the agents do after a step of the story, whose newest commit is `commit`.
    pub(super) async fn play(&self, desks: &mut Desks, chapter: Chapter, commit: &str) -> Result<()> {
        match chapter.step {
            0..=4 => self.plan(desks, chapter).await,
            5..=14 => self.build(desks, chapter).await,
            15..=18 => self.review(desks, chapter, commit).await,
            _ => self.ship(desks, chapter, commit).await,
        }
    }

    /// Somebody looks how another project stands.
    pub(super) async fn glance(&self) -> Result<()> {
        self.look(&self.cast.qa, "get_project_status", "how does it stand?").await
    }

    async fn plan(&self, desks: &mut Desks, chapter: Chapter) -> Result<()> {
        let Cast { rust, web, qa, .. } = self.cast;
        let Chapter { round, slug, title, .. } = chapter;
        let branch = format!("feature/{round}-{slug}");
        match chapter.step {
            0 => {
                self.look(rust, "get_project_status", "how does it stand?").await?;
                self.give_back(rust, &mut desks.spare, "nobody has the access that it takes yet").await
            }
            1 => self.look(qa, "list_gates", "what has to hold?").await,
            2 => {
                self.look(rust, "list_conflicts", "the stories build on requirements that have changed")
                    .await?;
                let query = json!({ "query": slug });
                self.act(web, "search_artifacts", &format!("what is written about {slug}?"), query).await?;
                Ok(())
            }
            3 => {
                let on_branch = json!({ "branch": branch });
                self.claim(rust, &mut desks.rust, &format!("{round}.1."), on_branch).await?;
                let on_branch = json!({ "branch": "web/next" });
                self.claim(web, &mut desks.web, &format!("{round}.2."), on_branch).await
            }
            _ => {
                let mine = json!({ "paths": [format!("src/{slug}/**")], "branch": branch, "purpose": title });
                self.reserve(rust, &mut desks.rust, mine).await?;
                let mine = json!({ "paths": [format!("web/{slug}/**")], "purpose": "its page" });
                self.reserve(web, &mut desks.web, mine).await?;
                let theirs = json!({ "paths": [format!("src/{slug}/page.rs")], "purpose": "its page" });
                self.reserve(web, &mut desks.web, theirs.clone()).await?;
                self.reserve(web, &mut desks.web, with(theirs, &json!({ "report": true }))).await
            }
        }
    }

    async fn build(&self, desks: &mut Desks, chapter: Chapter) -> Result<()> {
        let Cast { rust, web, qa, .. } = self.cast;
        let Chapter { slug, title, bug, .. } = chapter;
        match chapter.step {
            5 => {
                self.update(rust, &desks.rust, &format!("A first version of {slug}"), None).await?;
                self.update(web, &desks.web, &format!("A page for {slug}"), None).await
            }
            6 => self.look(qa, "list_changes", "what is new?").await,
            7 => self.look(rust, "list_runs", "does CI run?").await,
            8 => {
                // It does nothing about that any more, so that its claim runs out.
                let short = json!({ "leaseSeconds": SILENT });
                self.claim(qa, &mut Desk::default(), "Explore", short).await
            }
            9 => self.update(rust, &desks.rust, &format!("Finds out why: {bug}"), None).await,
            10 => {
                self.look(rust, "list_conflicts", "somebody pushed what is reserved").await?;
                let paths = json!({ "paths": [format!("src/{slug}/**")] });
                self.act(web, "check_paths", "whose is that?", paths).await?;
                Ok(())
            }
            11 => {
                self.update(rust, &desks.rust, &format!("Mended: {bug}"), None).await?;
                let theirs = desks.web.paths.pop();
                self.release(web, theirs).await
            }
            12 => self.ask_too_often(web).await,
            13 => {
                // Its key does not allow that.
                let read = json!({});
                self.act(qa, "scan_repository", "asks for the repository to be read", read).await?;
                Ok(())
            }
            _ => self.update(web, &desks.web, &format!("{title}: keyboard and screen reader"), None).await,
        }
    }

    async fn review(&self, desks: &mut Desks, chapter: Chapter, commit: &str) -> Result<()> {
        let Cast { rust, qa, .. } = self.cast;
        match chapter.step {
            15 => {
                self.update(rust, &desks.rust, "Waits for the review", Some("review")).await?;
                let why = "There is no test of the empty case.";
                self.decide(qa, &desks.rust, "failed", why).await?;
                self.finish(rust, &mut desks.rust, chapter.title, None).await
            }
            16 => self.update(rust, &desks.rust, "Adds a test of the empty case", None).await,
            17 => self.decide(qa, &desks.rust, "passed", "All cases are tested now.").await,
            _ => self.finish(rust, &mut desks.rust, chapter.title, Some(commit)).await,
        }
    }

    async fn ship(&self, desks: &mut Desks, chapter: Chapter, commit: &str) -> Result<()> {
        let Cast { rust, web, qa, .. } = self.cast;
        match chapter.step {
            19 => {
                self.update(web, &desks.web, "Waits for the review", Some("review")).await?;
                self.decide(qa, &desks.web, "passed", "It works with the keyboard alone.").await
            }
            20 => self.finish(web, &mut desks.web, "Its page", Some(commit)).await,
            21 => {
                // The next thing to do, whatever that is.
                let next = json!({});
                let taken = self.act(rust, "claim_work", "what is next?", next).await?;
                desks.spare.work = taken.as_ref().map(claimed);
                Ok(())
            }
            22 => self.claim(web, &mut Desk::default(), "Cache", json!({})).await,
            _ => self.look(qa, "list_gates", "may it go out?").await,
        }
    }

    /// Calls a tool and tells so; gives its answer, or none if it was refused.
    async fn act(
        &self,
        agent: &Agent,
        tool: &'static str,
        about: &str,
        arguments: Value,
    ) -> Result<Option<Value>> {
        sleep(self.pause).await;
        let (is_done, answer) = self.ask(agent, tool, arguments).await?;
        self.tell(agent, tool, about, (!is_done).then(|| code_of(&answer)))?;
        Ok(is_done.then_some(answer))
    }

    async fn ask(&self, agent: &Agent, tool: &'static str, arguments: Value) -> Result<(bool, Value)> {
        let of_project = json!({ "projectId": self.project.id.0 });
        self.doors.call(agent, tool, with(arguments, &of_project)).await
    }

    fn tell(&self, agent: &Agent, tool: &'static str, about: &str, refused: Option<&str>) -> Result<()> {
        self.doors.tell(&Told::Act { project: self.project, agent: agent.name, tool, about, refused })
    }

    /// Calls a tool that only reads.
    async fn look(&self, agent: &Agent, tool: &'static str, about: &str) -> Result<()> {
        self.act(agent, tool, about, json!({})).await.map(drop)
    }

    /// Calls a tool until the limit is reached.
    async fn ask_too_often(&self, agent: &Agent) -> Result<()> {
        let tool = "list_agents";
        for call in 1..=TOO_OFTEN {
            let (is_done, answer) = self.ask(agent, tool, json!({})).await?;
            if !is_done {
                return self.tell(
                    agent,
                    tool,
                    &format!("asks {call} times in a row"),
                    Some(code_of(&answer)),
                );
            }
        }
        self.tell(agent, tool, &format!("asks {TOO_OFTEN} times in a row"), None)
    }

    /// Takes the item whose title begins so; whatever is next, if there is none.
    async fn claim(&self, agent: &Agent, desk: &mut Desk, title: &str, how: Value) -> Result<()> {
        let ready = json!({ "lane": "ready", "limit": 100 });
        let listed = self.act(agent, "list_work", "what could be begun?", ready).await?.unwrap_or_default();
        let begins = |row: &&Value| row["title"].as_str().is_some_and(|name| name.starts_with(title));
        let found = listed["work"].as_array().and_then(|rows| rows.iter().find(begins));
        let (about, how) = match found {
            Some(row) => {
                let about = row["title"].as_str().unwrap_or(title).to_owned();
                (about, with(how, &picked(row, &["workItemId"])))
            }
            None => ("what is next?".to_owned(), how),
        };
        let taken = self.act(agent, "claim_work", &about, how).await?;
        desk.work = taken.as_ref().map(claimed);
        Ok(())
    }

    /// Says what it is doing, and moves the item.
    async fn update(&self, agent: &Agent, desk: &Desk, task: &str, lane: Option<&str>) -> Result<()> {
        let Some(held) = &desk.work else { return Ok(()) };
        let mut said = with(json!({ "task": task }), held);
        if let Some(lane) = lane {
            said["lane"] = lane.into();
        }
        self.act(agent, "update_work", task, said).await.map(drop)
    }

    async fn finish(
        &self,
        agent: &Agent,
        desk: &mut Desk,
        summary: &str,
        commit: Option<&str>,
    ) -> Result<()> {
        let Some(held) = &desk.work else { return Ok(()) };
        let mut said = with(json!({ "summary": summary }), held);
        if let Some(commit) = commit.filter(|commit| !commit.is_empty()) {
            said["commit"] = commit.into();
        }
        if self.act(agent, "finish_work", summary, said).await?.is_some() {
            // What was reserved for it goes with it.
            *desk = Desk::default();
        }
        Ok(())
    }

    async fn give_back(&self, agent: &Agent, desk: &mut Desk, reason: &str) -> Result<()> {
        let Some(held) = desk.work.take() else { return Ok(()) };
        let said = with(json!({ "reason": reason }), &held);
        self.act(agent, "release_work", reason, said).await.map(drop)
    }

    /// Passes or fails what somebody did.
    async fn decide(&self, agent: &Agent, of: &Desk, decision: &str, reason: &str) -> Result<()> {
        let Some(held) = &of.work else { return Ok(()) };
        let named = json!({ "name": REVIEW, "decision": decision, "reason": reason });
        let said = with(named, &picked(held, &["workItemId"]));
        self.act(agent, "submit_gate", &format!("{decision}: {reason}"), said).await.map(drop)
    }

    async fn reserve(&self, agent: &Agent, desk: &mut Desk, what: Value) -> Result<()> {
        let about = what["paths"][0].as_str().unwrap_or_default().to_owned();
        let what = match &desk.work {
            Some(held) => with(what, &picked(held, &["workItemId"])),
            None => what,
        };
        if let Some(reserved) = self.act(agent, "reserve_paths", &about, what).await? {
            desk.paths.push(picked(&reserved, &["reservationId", "fencingToken"]));
        }
        Ok(())
    }

    async fn release(&self, agent: &Agent, held: Option<Value>) -> Result<()> {
        let Some(held) = held else { return Ok(()) };
        self.act(agent, "release_paths", "gives the files back", held).await.map(drop)
    }
}

/// What of an answer to a claim every later write has to show.
fn claimed(answer: &Value) -> Value {
    picked(answer, &["workItemId", "leaseId", "fencingToken"])
}
