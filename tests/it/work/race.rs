//! Many who want the same: sixty-four agents at several instances, of which some fall asleep over their work, and
//! instances that are killed while they answer. What the agents were told is held against the log ([`super::history`]).
//!
//! On PostgreSQL there are three instances; on SQLite there is one, which is killed and started again.

use std::{collections::BTreeSet, sync::Arc};

use chrono::TimeDelta;
use futures::future::join_all;
use scratch::Scratch;
use serde_json::{Value, json};
use tokio::sync::watch;
use trackside::clock::{Clock, Time};

use super::{
    history::{Asked, Fault, Grant, History, Told, check},
    with,
};
use crate::support::{
    Client, Project, Server,
    agent::{Agent, Revision},
    eventually,
    process::{Process, free_port},
    text,
};

/// Agents that do what there is, and items that there are.
const AGENTS: usize = 64;
const ITEMS: usize = 500;
/// Agents that fall asleep over an item, each over one.
const SLEEPERS: usize = 8;
/// How often an instance is killed, and how many answers come in between at least.
const KILLS: usize = 3;
const ANSWERS: usize = 80;

const UNLIMITED: [(&str, &str); 2] =
    [("TRACKSIDE_REST_PER_MINUTE", "0"), ("TRACKSIDE_TOOLS_PER_MINUTE", "0")];

/// The instances; none in the place of one that is down.
type Instances = Vec<Option<Client>>;

/// An agent that notes what it is told. It asks the instance that is its home, or the next one that is up.
struct Worker<'a> {
    name: String,
    key: String,
    home: usize,
    instances: watch::Receiver<Instances>,
    history: &'a History,
    project: &'a Project,
}

impl Worker<'_> {
    async fn instance(&self) -> Agent {
        let mut instances = self.instances.clone();
        let up = instances.wait_for(|all| all.iter().any(Option::is_some)).await.expect("somebody tells");
        let client = up.iter().cycle().skip(self.home).flatten().next().expect("one is up");
        Agent::new(&client.showing(&self.key), Revision::Newest)
    }

    /// Asks, and notes what comes back, also that nothing does. What never came to an instance is asked again.
    async fn ask(&self, asked: Asked, more: Value) -> Told {
        let project = &self.project.id;
        let naming = |grant: &Grant| {
            let Grant { item, lease, fence } = grant;
            json!({"projectId": project, "workItemId": item, "leaseId": lease, "fencingToken": fence})
        };
        let (tool, arguments) = match &asked {
            Asked::Claim => ("claim_work", json!({"projectId": project})),
            Asked::Update(grant) => ("update_work", naming(grant)),
            Asked::Finish(grant) => ("finish_work", naming(grant)),
        };
        let call = json!({"name": tool, "arguments": with(arguments, more)});
        loop {
            let agent = self.instance().await;
            let from = self.history.now();
            let told = match agent.request("tools/call", call.clone()).send().await {
                Err(error) if error.is_connect() => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Err(_) => Told::Unknown,
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    assert!(matches!(status, 200 | 503), "{status}");
                    match answer.json::<Value>().await {
                        Ok(answer) if status == 200 => read(&answer["result"]),
                        _ => Told::Unknown,
                    }
                }
            };
            self.history.note(&self.name, asked, from, told.clone());
            return told;
        }
    }

    /// What it is given, which has to be something.
    async fn take(&self, more: Value) -> Grant {
        match self.ask(Asked::Claim, more).await {
            Told::Yours(grant, _) => grant,
            other => panic!("{} was told: {other:?}", self.name),
        }
    }

    /// Claims, updates and finishes one after the other until nothing is left to begin.
    async fn work(&self) {
        loop {
            let grant = match self.ask(Asked::Claim, json!({})).await {
                Told::Yours(grant, _) => grant,
                Told::Unknown => continue,
                Told::Refused(why) if why["code"] == "nothing_ready" => return,
                other => panic!("{} was told: {other:?}", self.name),
            };
            self.ask(Asked::Update(grant.clone()), json!({})).await;
            while matches!(self.ask(Asked::Finish(grant.clone()), json!({})).await, Told::Unknown) {}
        }
    }
}

fn read(result: &Value) -> Told {
    let told = &result["structuredContent"];
    match (result["isError"].as_bool(), told["leaseId"].as_str()) {
        (Some(false), Some(lease)) => {
            let fence = told["fencingToken"].as_i64().expect("a number");
            let until: Time = text(&told["expiresAt"]).parse().expect("a time");
            Told::Yours(Grant { item: text(&told["workItemId"]), lease: lease.to_owned(), fence }, until)
        }
        (Some(false), None) => Told::Done,
        (Some(true), _) if told["code"] == "unavailable" => Told::Unknown,
        (Some(true), _) => {
            assert_ne!(told["code"], "internal", "{told}");
            Told::Refused(told.clone())
        }
        _ => panic!("no answer of a tool: {result}"),
    }
}

/// New items that are ready; gives their ids.
async fn items(project: &Project, count: usize, more: Value) -> BTreeSet<String> {
    const AT_ONCE: usize = 8;
    let more = &more;
    let lanes = (0..AT_ONCE).map(|lane| async move {
        let mut made = Vec::new();
        for index in (lane..count).step_by(AT_ONCE) {
            let body = json!({"title": format!("Item {index}"), "lane": "ready"});
            made.push(text(&project.item_with(with(body, more.clone())).await["id"]));
        }
        made
    });
    join_all(lanes).await.into_iter().flatten().collect()
}

/// Those over which the sleepers fall asleep: nobody is given them who does not ask for this role.
async fn items_to_sleep_over(project: &Project) -> BTreeSet<String> {
    items(project, SLEEPERS, json!({"role": "dreamer", "priority": "urgent"})).await
}

async fn crew<'a>(
    (server, project): (&Server, &'a Project),
    history: &'a History,
    instances: &watch::Receiver<Instances>,
    (word, count): (&str, usize),
) -> Vec<Worker<'a>> {
    let mut crew = Vec::new();
    for home in 0..count {
        let name = format!("{word} {home}");
        let key = project.member(server, &name).await.key.expect("a key");
        crew.push(Worker { name, key, home, instances: instances.clone(), history, project });
    }
    crew
}

/// The other instances beside one: two on PostgreSQL, none on SQLite.
async fn others(server: &Server) -> Vec<Server> {
    let mut others = Vec::new();
    if server.place.is_postgres() {
        others.push(server.another(&UNLIMITED).await);
        others.push(server.another(&UNLIMITED).await);
    }
    others
}

fn clients(server: &Server, others: &[Server]) -> Instances {
    std::iter::once(server).chain(others).map(|instance| Some(instance.stranger())).collect()
}

async fn stop(instances: Vec<Server>) {
    for instance in instances {
        instance.service.stop().await;
    }
}

/// Each falls asleep over an item, which it is given for half a minute.
async fn fall_asleep(sleepers: &[Worker<'_>], items: &BTreeSet<String>) -> Vec<Grant> {
    let asked = json!({"role": "dreamer", "leaseSeconds": 30});
    let asleep = join_all(sleepers.iter().map(|sleeper| sleeper.take(asked.clone()))).await;
    assert_eq!(asleep.iter().map(|grant| grant.item.clone()).collect::<BTreeSet<_>>(), *items);
    asleep
}

/// Others take what the sleepers had, who then wake up, and are told by whom it is held when they go on.
async fn wake_up(sleepers: &[Worker<'_>], asleep: &[Grant], successors: &[Worker<'_>]) {
    let stories = sleepers.iter().zip(asleep).zip(successors).map(|((sleeper, had), successor)| async move {
        let has = successor.take(json!({"workItemId": had.item})).await;
        assert!(has.fence > had.fence, "{has:?} follows {had:?}");
        for asked in [Asked::Update(had.clone()), Asked::Finish(had.clone())] {
            let told = sleeper.ask(asked, json!({})).await;
            let Told::Refused(why) = told else { panic!("{} was told: {told:?}", sleeper.name) };
            let holder = &why["holder"];
            assert_eq!((&why["code"], &why["next"]), (&json!("lease_lost"), &json!("claim_work")), "{why}");
            assert_eq!((&holder["name"], &holder["isCaller"]), (&json!(successor.name), &json!(false)));
            assert_eq!(holder["fencingToken"], has.fence);
            assert!(!why.to_string().contains(&has.lease), "it is of no use to who would be rid of it");
        }
        let done = successor.ask(Asked::Finish(has), json!({})).await;
        assert!(matches!(done, Told::Done), "{} was told: {done:?}", successor.name);
    });
    join_all(stories).await;
}

async fn all_is_well(history: &History, project: &Project, items: &BTreeSet<String>) {
    let faults = check(&history.entries(), &project.all("/events").await, items);
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_agents_at_several_instances_do_each_item_once_and_never_two_the_same() {
    let server = Server::start_with(&UNLIMITED).await;
    let others = others(&server).await;
    let project = server.project().await;
    let items = items(&project, ITEMS, json!({})).await;
    let history = History::by(server.clock.clone());
    let (_tell, instances) = watch::channel(clients(&server, &others));
    let crew = crew((&server, &project), &history, &instances, ("agent", AGENTS)).await;
    join_all(crew.iter().map(Worker::work)).await;
    all_is_well(&history, &project, &items).await;
    assert_eq!(history.unknown(), 0, "everybody was answered");
    let given = history.entries().into_iter().filter_map(|entry| match (entry.asked, entry.told) {
        (Asked::Claim, Told::Yours(grant, _)) => Some(grant.fence),
        _ => None,
    });
    assert_eq!(given.collect::<Vec<_>>(), [1; ITEMS], "nothing was given a second time");
    stop(others).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_that_sleep_beyond_their_lease_write_nothing_more_and_are_told_who_holds_the_item() {
    let server = Server::start_with(&UNLIMITED).await;
    let others = others(&server).await;
    let project = server.project().await;
    let mut work = items(&project, 120, json!({})).await;
    let beds = items_to_sleep_over(&project).await;
    let history = History::by(server.clock.clone());
    let (_tell, instances) = watch::channel(clients(&server, &others));
    let crew = |word, count| crew((&server, &project), &history, &instances, (word, count));
    let workers = crew("agent", AGENTS - SLEEPERS).await;
    let (sleepers, successors) = (crew("sleeper", SLEEPERS).await, crew("successor", SLEEPERS).await);
    let asleep = fall_asleep(&sleepers, &beds).await;
    let so_far = history.answered();
    let night = async {
        eventually("the others are at work", async || history.answered() > so_far + 100).await;
        server.advance(30); // to the very moment at which what the sleepers hold runs out
        wake_up(&sleepers, &asleep, &successors).await;
    };
    tokio::join!(join_all(workers.iter().map(Worker::work)), night);
    work.extend(beds);
    all_is_well(&history, &project, &work).await;
    stop(others).await;
}

/// Kills an instance some times while the others are asked, and starts it again.
async fn fate(
    (victim, count): (usize, usize),
    process: &mut Option<Process>,
    tell: &watch::Sender<Instances>,
    history: &History,
    place: &Scratch,
) {
    for round in 0..KILLS.div_ceil(count) {
        let enough = (round * count + victim + 1) * ANSWERS;
        eventually("the race is under way", async || history.answered() >= enough).await;
        tell.send_modify(|all| all[victim] = None);
        let killed = process.take().expect("it runs");
        let port = killed.port;
        killed.kill();
        let again = Process::serve(place.path(), port, &UNLIMITED, &[]).await;
        tell.send_modify(|all| all[victim] = Some(again.client(None)));
        *process = Some(again);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_are_killed_in_the_middle_give_nobody_what_another_holds() {
    let (place, clock) = (Arc::new(Scratch::new()), Clock::system());
    let count = if place.is_postgres() { 3 } else { 1 };
    let server = Server::start_in(Arc::clone(&place), clock.clone(), &UNLIMITED).await;
    let project = server.project().await;
    let mut work = items(&project, 300, json!({})).await;
    let beds = items_to_sleep_over(&project).await;
    let history = History::by(clock.clone());
    let (tell, instances) = watch::channel(Instances::new());
    let crew = |word, count| crew((&server, &project), &history, &instances, (word, count));
    let workers = crew("agent", AGENTS - SLEEPERS).await;
    let (sleepers, successors) = (crew("sleeper", SLEEPERS).await, crew("successor", SLEEPERS).await);
    server.service.stop().await;

    let mut processes = Vec::new();
    for _ in 0..count {
        let process = Process::serve(place.path(), free_port(), &UNLIMITED, &[]).await;
        tell.send_modify(|all| all.push(Some(process.client(None))));
        processes.push(Some(process));
    }
    let asleep = fall_asleep(&sleepers, &beds).await;
    let fates = processes.iter_mut().enumerate();
    let fates = fates.map(|(victim, process)| fate((victim, count), process, &tell, &history, &place));
    tokio::join!(join_all(fates), join_all(workers.iter().map(Worker::work)));
    assert!(history.unknown() > 0, "nobody was asking when the instances were killed");
    drop(processes);

    // An hour later what was given without anybody being told has run out, and is done by others.
    let later = Clock::mock(clock.now() + TimeDelta::hours(1));
    let server = Server::start_in(Arc::clone(&place), later.clone(), &UNLIMITED).await;
    let others = others(&server).await;
    history.go_by(later);
    tell.send_modify(|all| *all = clients(&server, &others));
    let project = server.again(&project);
    let held = project.path("/work-items?lane=doing");
    eventually("what nobody goes on with is given back", async || {
        project.client.get(&held).await.expect(200).json["items"].as_array().is_some_and(Vec::is_empty)
    })
    .await;
    let rest = join_all(workers.iter().map(Worker::work));
    tokio::join!(rest, wake_up(&sleepers, &asleep, &successors));
    work.extend(beds);
    all_is_well(&history, &project, &work).await;
    stop(others).await;
}

/// The owner takes an item from whoever holds it, if anybody does.
async fn take_away(project: &Project, item: &str) {
    let path = project.path(&format!("/work-items/{item}/release"));
    let answer = project.client.post(&path, json!({})).await;
    assert!(matches!(answer.status, 200 | 409), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_writes_while_an_item_changes_hands_is_told_of_no_claim_but_their_own() {
    let server = Server::start_with(&UNLIMITED).await;
    let project = server.project().await;
    let work = items(&project, 40, json!({})).await;
    let history = History::by(server.clock.clone());
    let (_tell, instances) = watch::channel(clients(&server, &[]));
    let crew = crew((&server, &project), &history, &instances, ("agent", 2)).await;
    let (ada, bob, owner) = (&crew[0], &crew[1], &project);
    let had = join_all(work.iter().map(|item| ada.take(json!({"workItemId": item})))).await;
    // All at once, so that much of it is decided together: the owner takes the items from Ada, who goes on, and Bob
    // wants them.
    let rush = had.iter().map(|grant| async move {
        let update = || ada.ask(Asked::Update(grant.clone()), json!({}));
        let claim = bob.ask(Asked::Claim, json!({"workItemId": grant.item}));
        tokio::join!(update(), take_away(owner, &grant.item), claim, update());
    });
    join_all(rush).await;
    join_all(work.iter().map(|item| take_away(owner, item))).await;
    bob.work().await;
    let mut faults = check(&history.entries(), &project.all("/events").await, &work);
    // Ada could not know that the owner takes the items from her.
    faults.retain(|(fault, _)| !matches!(fault, Fault::TwoBelieved | Fault::RefusedTheHolder));
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_of_life_that_comes_with_the_end_is_granted_or_refused_and_never_fails() {
    let server = Server::start_with(&UNLIMITED).await;
    let project = server.project().await;
    let work = items(&project, 40, json!({})).await;
    let history = History::by(server.clock.clone());
    let (_tell, instances) = watch::channel(clients(&server, &[]));
    let crew = crew((&server, &project), &history, &instances, ("agent", 1)).await;
    let ada = &crew[0];
    let held = join_all(work.iter().map(|_| ada.take(json!({})))).await;
    let ends = held.iter().map(|grant| async move {
        let update = ada.ask(Asked::Update(grant.clone()), json!({}));
        tokio::join!(update, ada.ask(Asked::Finish(grant.clone()), json!({})));
    });
    join_all(ends).await;
    all_is_well(&history, &project, &work).await;
}
