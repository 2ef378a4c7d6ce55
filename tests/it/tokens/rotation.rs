//! Keys that follow one another, and no request that fails for it.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use p256::SecretKey;
use scratch::Scratch;
use trackside::accounts::tokens::{Rotation, rotate};

use super::{OPEN, PUBLIC, pem, published, read, server, token};
use crate::support::{
    Client, Server, eventually,
    process::{Process, free_port, output},
    text,
};

const DAY: i64 = 86_400;

async fn rotating() -> Server {
    Server::start_with(&[("TRACKSIDE_PUBLIC_URL", PUBLIC)]).await
}

/// The key that signs now.
async fn signing(client: &Client) -> String {
    text(&read(&token(client, &[]).await).0["kid"])
}

async fn ids(client: &Client) -> BTreeSet<String> {
    published(client).await.iter().map(|key| text(&key["kid"])).collect()
}

#[tokio::test]
async fn a_rotation_under_load_on_two_instances_fails_no_request() {
    let server = rotating().await;
    let other = server.another(&[("TRACKSIDE_PUBLIC_URL", PUBLIC)]).await;
    let acme = server.tenant("Acme").await;
    let key = acme.client.key.clone().unwrap();
    let clients = [acme.client.clone(), other.client(&key)];
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    // Half of them buy on one instance and show on the other, with the token they just got and with the first they had.
    let load: Vec<_> = (0..4)
        .map(|number| {
            let (seller, shop) = (clients[number % 2].clone(), clients[number / 2].clone());
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            tokio::spawn(async move {
                let mut seen = BTreeSet::new();
                let first = token(&seller, &[]).await;
                while !stop.load(Relaxed) {
                    let newest = token(&seller, &[]).await;
                    seen.insert(text(&read(&newest).0["kid"]));
                    for shown in [&first, &newest] {
                        shop.showing(shown).get(OPEN).await.expect(200);
                    }
                    done.fetch_add(1, Relaxed);
                }
                seen
            })
        })
        .collect();
    for round in 0..4 {
        let until = done.load(Relaxed) + 20;
        eventually("the load goes on", async || {
            assert!(load.iter().all(|task| !task.is_finished()), "a request failed");
            done.load(Relaxed) > until
        })
        .await;
        let app = if round % 2 == 0 { &server.service.app } else { &other.service.app };
        let known = ids(&clients[round % 2]).await;
        let rotated = rotate(app, Rotation::Now).await.unwrap().unwrap();
        assert!(known.contains(&rotated.kid), "a key is published before it signs");
        eventually("both sign with it", async || {
            signing(&clients[0]).await == rotated.kid && signing(&clients[1]).await == rotated.kid
        })
        .await;
    }
    stop.store(true, Relaxed);
    let mut seen = BTreeSet::new();
    for task in load {
        seen.extend(task.await.expect("no request failed"));
    }
    assert!(seen.len() >= 4, "{seen:?}");
}

#[tokio::test]
async fn a_key_signs_for_ninety_days_and_is_published_until_its_last_token_is_over() {
    let server = rotating().await;
    let acme = server.tenant("Acme").await;
    let (first, both) = (signing(&acme.client).await, ids(&acme.client).await);
    let next = both.iter().find(|kid| **kid != first).unwrap().clone();
    server.advance(90 * DAY - 3600);
    assert_eq!(signing(&acme.client).await, first);
    let last = server.client(&token(&acme.client, &[]).await);
    server.advance(3600 - 1);
    last.get(OPEN).await.expect(200);
    server.advance(2);
    let late = RefCell::new(String::new());
    eventually("the next key signs", async || {
        let newest = token(&acme.client, &[]).await;
        server.advance(60); // what is looked after hourly may have been just before the time, and comes an hour later
        let is_of_next = text(&read(&newest).0["kid"]) == next;
        if !is_of_next {
            late.replace(newest);
        }
        is_of_next
    })
    .await;
    assert!(both.is_subset(&ids(&acme.client).await), "the first one is still published");
    assert_eq!(ids(&acme.client).await.len(), 3, "and there is another next one");
    server.client(&late.take()).get(OPEN).await.expect(200);
    server.advance(26 * 3600);
    eventually("the first one is gone", async || {
        server.advance(1);
        !ids(&acme.client).await.contains(&first)
    })
    .await;
    assert_eq!(signing(&acme.client).await, next);
    let server = server.restart().await;
    let again = server.client(acme.client.key.as_deref().unwrap());
    assert_eq!(signing(&again).await, next, "a start changes nothing");
    assert_eq!(ids(&again).await.len(), 2);
}

#[tokio::test]
async fn a_key_that_has_leaked_takes_its_tokens_with_it() {
    let server = rotating().await;
    let other = server.another(&[("TRACKSIDE_PUBLIC_URL", PUBLIC)]).await;
    let acme = server.tenant("Acme").await;
    let before = token(&acme.client, &[]).await;
    let there = other.client(&before);
    there.get(OPEN).await.expect(200);
    let rotated = rotate(&server.service.app, Rotation::Leaked).await.unwrap().unwrap();
    server.client(&before).get(OPEN).await.refused(401, "unauthenticated");
    eventually("it is refused there too", async || there.get(OPEN).await.status == 401).await;
    assert_eq!(signing(&acme.client).await, rotated.kid);
    assert_eq!(ids(&acme.client).await.len(), 2);
}

#[tokio::test]
async fn a_given_key_signs_and_one_that_takes_its_place_ends_no_token() {
    let server = server().await;
    let acme = server.tenant("Acme").await;
    let (first, token_of_first) = (signing(&acme.client).await, token(&acme.client, &[]).await);
    assert_eq!(ids(&acme.client).await, [first.clone()].into(), "the given key alone");
    let refused = rotate(&server.service.app, Rotation::Now).await.expect_err("it is given");
    assert!(refused.to_string().contains("TRACKSIDE_JWT_PRIVATE_KEY"), "{refused}");
    // First behind the old one, then before it.
    let [old, new] = [7, 8].map(|byte| SecretKey::from_slice(&[byte; 32]).unwrap());
    let key = acme.client.key.as_deref().unwrap();
    let mut clients = Vec::new();
    for pems in [pem(&old) + &pem(&new), pem(&new) + &pem(&old), pem(&new)] {
        let settings = [("TRACKSIDE_PUBLIC_URL", PUBLIC), ("TRACKSIDE_JWT_PRIVATE_KEY", &*pems)];
        let instance = server.another(&settings).await;
        let client = instance.client(key);
        instance.client(&token_of_first).get(OPEN).await.expect(200);
        clients.push((signing(&client).await, ids(&client).await.len()));
    }
    let second = clients[1].0.clone();
    assert_ne!(second, first);
    assert_eq!(clients, [(first, 2), (second.clone(), 2), (second, 2)]);
    let own = server.another(&[("TRACKSIDE_PUBLIC_URL", PUBLIC), ("TRACKSIDE_JWT_PRIVATE_KEY", "")]).await;
    own.client(&token_of_first).get(OPEN).await.expect(200);
}

#[tokio::test]
async fn the_command_line_rotates_keys_beside_a_running_service() {
    let folder = Scratch::new();
    let process = Process::serve(folder.path(), free_port(), &[], &[]).await;
    let at = folder.path();
    let client = process.client(Some(&output(at, &["key", "create", "--name", "me", "--role", "owner"])));
    let old = token(&client, &[]).await;
    for leaked in [&[][..], &["--leaked"]] {
        let kid = output(at, &[&["token", "rotate"], leaked].concat());
        eventually("the service signs with it", async || signing(&client).await == kid).await;
        let expected = if leaked.is_empty() { 200 } else { 401 };
        eventually("tokens end as they should", async || {
            client.showing(&old).get(OPEN).await.status == expected
        })
        .await;
    }
}
