//! The master key, and what another one in its place changes: nothing but what the next start needs.

use std::{fs, os::unix::fs::PermissionsExt as _};

use scratch::Scratch;
use secrecy::ExposeSecret as _;
use trackside::{
    clock::{Clock, Ids},
    config::{Config, Sources},
    database::Database,
    error::Code,
    installation,
    master_key::{self, MasterKey},
    samples::{Commit, Repository},
};

use crate::support::{
    Project, Server, dawn, number,
    process::{output, run, trackside},
};

/// A delivery is verified with a secret that was sealed.
async fn is_understood(project: &Project, delivery: &str) {
    let commit = Commit { message: "docs", added: &["docs/prd.md"], ..Commit::default() };
    let push = Repository::new("acme/rocket", dawn()).push("main", &[commit]);
    project.deliver(delivery, &push).await.expect(202);
}

fn config(place: &Scratch, more: &[(&str, &str)]) -> Config {
    let mut environment: std::collections::BTreeMap<_, _> = place.settings().into_iter().collect();
    environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Config::load(&Sources { environment, ..Sources::default() }).unwrap()
}

#[tokio::test]
async fn another_master_key_takes_its_place_while_everything_runs_on() {
    let server = Server::start().await;
    let project = server.project().await;
    is_understood(&project, "1").await;
    let (folder, ids) = (server.service.app.config.data_dir.clone(), Ids::system(server.clock.clone()));
    let first = fs::read(folder.join("master.key")).unwrap();
    let config = config(&server.place, &[]);
    let database = Database::open(&config).await.unwrap();
    let rotate = async || {
        let rotated = installation::rotate_master_key(&config, &database, &ids, None).await;
        assert_eq!(rotated.unwrap(), Some(folder.join("master.key")));
    };
    rotate().await;
    let kept = |key: &[u8]| {
        let mut files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        files.find(|path| path.to_string_lossy().contains("master.key.") && fs::read(path).unwrap() == key)
    };
    assert!(kept(&first).is_some(), "backups of before still need it");
    is_understood(&project, "2").await;
    let server = server.restart().await;
    is_understood(&server.again(&project), "3").await;

    // Interrupted when the row was written and no file was renamed, and when one was.
    for is_renamed in [false, true] {
        let before = fs::read(folder.join("master.key")).unwrap();
        rotate().await;
        fs::rename(folder.join("master.key"), folder.join("master.key.next")).unwrap();
        if !is_renamed {
            fs::rename(kept(&before).unwrap(), folder.join("master.key")).unwrap();
        }
        let said = installation::examine(&config, &ids).await.expect_err("the key of before").to_string();
        assert!(is_renamed || said.contains("trackside master-key rotate"), "{said}");
        rotate().await;
        assert!(installation::examine(&config, &ids).await.unwrap());
        assert!(!folder.join("master.key.next").exists());
    }
    let server = server.restart().await;
    is_understood(&server.again(&project), "4").await;
    fs::write(folder.join("master.key"), first).unwrap();
    assert!(installation::examine(&config, &ids).await.is_err(), "the old one opens nothing");
    let refused = installation::rotate_master_key(&config, &database, &ids, None).await;
    assert!(refused.err().unwrap().to_string().contains("give the right key"));
    assert!(!folder.join("master.key.next").exists(), "and nothing is made of it");
}

#[tokio::test]
async fn of_two_rotations_at_once_one_is_sent_away_and_no_key_is_lost() {
    let server = Server::start().await;
    let (folder, ids) = (server.service.app.config.data_dir.clone(), Ids::system(server.clock.clone()));
    let config = config(&server.place, &[]);
    let database = Database::open(&config).await.unwrap();
    let first = fs::read(folder.join("master.key")).unwrap();
    let held = master_key::hold(&folder).unwrap();
    let refused = installation::rotate_master_key(&config, &database, &ids, None).await;
    assert_eq!(refused.err().unwrap().code, Code::Conflict);
    assert_eq!(fs::read(folder.join("master.key")).unwrap(), first);
    drop(held);
    installation::rotate_master_key(&config, &database, &ids, None).await.unwrap();
    assert!(installation::examine(&config, &ids).await.unwrap());
}

#[tokio::test]
async fn a_key_from_a_setting_is_followed_by_one_that_is_given() {
    let server = Server::start().await;
    let folder = server.service.app.config.data_dir.clone();
    let given = fs::read_to_string(folder.join("master.key")).unwrap();
    let with = |key: &str| config(&server.place, &[("TRACKSIDE_MASTER_KEY", key)]);
    let (before, ids) = (with(given.trim()), Ids::system(server.clock.clone()));
    let database = Database::open(&before).await.unwrap();
    let refused = installation::rotate_master_key(&before, &database, &ids, None).await.unwrap_err();
    assert!(
        refused.to_string().contains("--new-key-file"),
        "nobody would know one that is made here: {refused}"
    );
    assert!(installation::examine(&before, &ids).await.unwrap(), "nothing has changed");
    let new = MasterKey::generate(&ids);
    let text = new.to_text().expose_secret().to_owned();
    let rotated = installation::rotate_master_key(&before, &database, &ids, Some(new)).await.unwrap();
    assert_eq!(rotated, None);
    assert!(installation::examine(&with(&text), &ids).await.unwrap());
    assert!(installation::examine(&before, &ids).await.is_err());
}

#[tokio::test]
async fn the_command_line_says_what_the_next_start_needs() {
    let folder = Scratch::new();
    let at = folder.path();
    assert!(
        String::from_utf8_lossy(&run(at, &["master-key", "rotate"]).stderr)
            .contains("there is no installation")
    );
    output(at, &["tenant", "create", "--name", "Acme"]);
    let rotated = run(at, &["master-key", "rotate"]);
    assert!(String::from_utf8_lossy(&rotated.stderr).contains("backups of before need it"));
    let noted = "SELECT count(*) FROM security_event WHERE action = 'master_key_rotated'";
    assert_eq!(number(&folder.database().await, noted).await, 1, "the tenant's security log has it");
    output(at, &["tenant", "list"]);
    let key = fs::read_to_string(at.join("master.key")).unwrap();
    let with = |key: &str, words: &[&str]| {
        trackside(at).args(words).env("TRACKSIDE_MASTER_KEY", key.trim()).output().unwrap()
    };
    assert!(!with(&key, &["master-key", "rotate"]).status.success(), "it is to be given");
    let new = at.join("new.key");
    fs::write(&new, MasterKey::generate(&Ids::system(Clock::system())).to_text().expose_secret()).unwrap();
    let rotate = ["master-key", "rotate", "--new-key-file", new.to_str().unwrap()];
    let refused = with(&key, &rotate);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("chmod 600"), "others can read it");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(with(&key, &rotate).status.success());
    assert!(with(&fs::read_to_string(&new).unwrap(), &["tenant", "list"]).status.success());
    assert!(!with(&key, &["tenant", "list"]).status.success());
}
