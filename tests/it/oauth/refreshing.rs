//! Refresh tokens: each is good once, and who brings one again is told apart from who only asks twice.

use chrono::TimeDelta;
use futures::future::join_all;
use proptest::{prelude::*, test_runner::TestRunner};
use trackside::{accounts::oauth::refresh, clock::Time, error::Code};

use super::{first_token, grant, has_ended, noted, rotate, signed_in, visitor};
use crate::support::{Server, number};

#[tokio::test]
async fn two_who_refresh_at_once_go_on_with_the_same_token() {
    let server = Server::start().await;
    let (app, person) = (&server.service.app, signed_in(&server.tenant("Acme").await).await);
    let given = grant(app, &person).await;
    let first = first_token(app, &given).await;
    let all = join_all((0..8).map(|_| rotate(app, &first))).await;
    let next = all[0].clone().expect("good");
    assert!(all.iter().all(|token| token.as_ref() == Ok(&next)), "one successor for all");
    server.advance(61);
    rotate(app, &next).await.expect("good");
    let kept = server.database().await;
    assert_eq!(number(&kept, "SELECT count(*) FROM refresh_token").await, 3);
    assert_eq!(rotate(app, &first).await, Err(Code::Unauthenticated), "a minute is over");
    assert!(has_ended(app, &person, &given).await, "somebody else has it");
    assert_eq!(rotate(app, &first).await, Err(Code::Unauthenticated));
    assert_eq!(noted(&server, "refresh_token_reused").await, 1, "the grant has ended once");
}

#[tokio::test]
async fn a_refresh_token_is_of_no_use_to_another_client() {
    let server = Server::start().await;
    let (app, person) = (&server.service.app, signed_in(&server.tenant("Acme").await).await);
    let token = first_token(app, &grant(app, &person).await).await;
    for (token, client) in [(&*token, "other"), ("tsr_x", &*visitor().id), ("", &visitor().id)] {
        let refused = refresh::look_up(app, token, client).await.expect_err("not good");
        assert_eq!(refused.code, Code::Unauthenticated);
    }
    rotate(app, &token).await.expect("still good for its own");
}

/// What is known of a refresh token, in the simplest terms.
struct Known {
    token: String,
    expires_at: Time,
    used: Option<(Time, String)>,
}

/// What a grant's tokens ought to do.
struct Model {
    tokens: Vec<Known>,
    has_ended: bool,
}

impl Model {
    /// What bringing a token does; `next` is what was answered, if a new one was.
    fn bring(&mut self, index: usize, now: Time, answered: Option<&String>) -> Option<String> {
        let token = &mut self.tokens[index];
        match &token.used {
            _ if self.has_ended || token.expires_at <= now => None,
            Some((used_at, next)) if now - *used_at <= TimeDelta::seconds(60) => Some(next.clone()),
            Some(_) => {
                self.has_ended = true;
                None
            }
            None => {
                let next = answered.expect("a good token is answered").clone();
                assert!(self.tokens.iter().all(|known| known.token != next), "a new one");
                self.tokens[index].used = Some((now, next.clone()));
                let expires_at = now + TimeDelta::days(30);
                self.tokens.push(Known { token: next.clone(), expires_at, used: None });
                Some(next)
            }
        }
    }
}

/// Which token is brought, or the newest, and how long after the one before, in seconds.
fn steps() -> impl Strategy<Value = Vec<(prop::sample::Index, bool, i64)>> {
    let wait = prop_oneof![
        4 => Just(0), 4 => Just(1), 2 => Just(30), 1 => Just(60), 1 => Just(61),
        1 => Just(29 * 86_400), 1 => Just(30 * 86_400),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), wait), 1..25)
}

#[test]
fn refresh_tokens_do_as_their_model_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start());
    let config = ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() };
    let all_go_well = TestRunner::new(config).run(&steps(), |steps| {
        runtime.block_on(bring_in_turn(&server, steps));
        Ok(())
    });
    all_go_well.unwrap();
}

async fn bring_in_turn(server: &Server, steps: Vec<(prop::sample::Index, bool, i64)>) {
    let (app, person) = (&server.service.app, signed_in(&server.tenant("Acme").await).await);
    let given = grant(app, &person).await;
    let token = first_token(app, &given).await;
    let expires_at = app.clock.now() + TimeDelta::days(30);
    let mut model = Model { tokens: vec![Known { token, expires_at, used: None }], has_ended: false };
    for (which, newest, seconds) in steps {
        server.advance(seconds);
        let last = model.tokens.len() - 1;
        let index = if newest { last } else { which.index(model.tokens.len()) };
        let token = model.tokens[index].token.clone();
        let answered = rotate(app, &token).await;
        let expected = model.bring(index, app.clock.now(), answered.as_ref().ok());
        assert_eq!(answered.ok(), expected);
        // A grant is forgotten some time after its last token.
        let is_over = model.tokens.iter().all(|token| token.expires_at <= app.clock.now());
        assert!(is_over || has_ended(app, &person, &given).await == model.has_ended);
    }
}
