//! Reconciling deliveries: GitHub never tries a delivery again by itself, but says for 3 days which it made and makes
//! them again when asked. So what was missed while nobody listened comes after all, signed and counted as any other.
//!
//! Asked with the project's provider token, which has to be able to read and write webhooks there. A delivery of which
//! there is a row was accepted, whatever GitHub saw of it; one that was tried [`TRIES`] times is left alone.

use std::collections::{BTreeMap, HashSet};

use chrono::TimeDelta;
use hyper::{
    Request, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, LINK},
};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use super::{source::Source, store, urls};
use crate::{app::App, clock::Time, database::TenantId, git::Credential, projects::Project};

/// How long GitHub remembers deliveries.
const REMEMBERED: TimeDelta = TimeDelta::days(3);
/// How often a delivery is tried, GitHub's own try among it.
const TRIES: usize = 4;
/// Pages of deliveries that are read, of 100 each.
const PAGES: usize = 50;
/// Deliveries asked for at once; more come with the next look.
const AT_ONCE: usize = 200;

/// Why GitHub could not be asked, in words that may be shown.
type Failed = String;

#[derive(Deserialize)]
struct Hook {
    id: u64,
    config: HookConfig,
}

#[derive(Deserialize)]
struct HookConfig {
    url: Option<String>,
}

/// One try to deliver something.
#[derive(Deserialize)]
struct Try {
    id: u64,
    guid: String,
    delivered_at: Time,
}

/// Has GitHub make again what it could not deliver in the last 3 days; gives how many deliveries that are. Nothing for a
/// project that is not on GitHub.
///
/// # Errors
/// Why it could not be asked.
pub async fn redeliver(
    app: &App,
    tenant: TenantId,
    project: &Project,
    credential: &Credential,
) -> Option<Result<u64, Failed>> {
    let api = Api { app, credential, repository: repository(app, &project.repo_url)? };
    Some(api.redeliver(tenant, project).await)
}

/// The address in the API of a repository on GitHub.
fn repository(app: &App, repo_url: &str) -> Option<String> {
    let (base, url) = (&app.config.git.github_api, Url::parse(repo_url).ok()?);
    let is_there = url.host() == base.host()
        || (url.host_str(), base.host_str()) == (Some("github.com"), Some("api.github.com"));
    let mut path = url.path_segments()?.filter(|part| !part.is_empty());
    let (owner, name) = (path.next()?, path.next()?);
    let name = name.strip_suffix(".git").unwrap_or(name);
    let base = base.as_str().trim_end_matches('/');
    is_there.then(|| format!("{base}/repos/{owner}/{name}"))
}

/// GitHub's API, for one repository.
struct Api<'a> {
    app: &'a App,
    credential: &'a Credential,
    repository: String,
}

impl Api<'_> {
    async fn redeliver(&self, tenant: TenantId, project: &Project) -> Result<u64, Failed> {
        let ours = urls(self.app, project.id).remove(Source::GitHub.as_str()).unwrap_or_default();
        let (hooks, _): (Vec<Hook>, _) = self.get(&format!("{}/hooks?per_page=100", self.repository)).await?;
        let is_ours =
            |hook: &Hook| hook.config.url.as_deref().map(|url| url.trim_end_matches('/')) == Some(&*ours);
        let Some(hook) = hooks.into_iter().find(is_ours) else {
            return Err(format!("the repository has no webhook to {ours}"));
        };
        let hook = format!("{}/hooks/{}/deliveries", self.repository, hook.id);
        let tries = self.tries(&hook).await?;
        let named = tries.keys().cloned().collect();
        let read = self
            .app
            .database
            .read(tenant, |tx| Box::pin(store::known(tx, project.id, Source::GitHub, named)));
        let known: HashSet<String> = read.await.map_err(|error| error.to_string())?;
        let missed = tries.into_iter().filter(|(guid, tries)| !known.contains(guid) && tries.len() < TRIES);
        let mut missed: Vec<_> = missed.filter_map(|(_, tries)| tries.into_iter().next()).collect();
        missed.sort_by_key(|newest| newest.delivered_at);
        missed.truncate(AT_ONCE);
        for newest in &missed {
            self.ask(&format!("{hook}/{}/attempts", newest.id)).await?;
        }
        Ok(missed.len() as u64)
    }

    /// The tries of the last 3 days by what they deliver, of each delivery the newest try first.
    async fn tries(&self, hook: &str) -> Result<BTreeMap<String, Vec<Try>>, Failed> {
        let since = self.app.clock.now() - REMEMBERED;
        let mut tries = BTreeMap::<String, Vec<Try>>::new();
        let mut next = Some(format!("{hook}?per_page=100"));
        for _ in 0..PAGES {
            let Some(page) = next else { break };
            let (found, behind): (Vec<Try>, _) = self.get(&page).await?;
            let is_old = found.iter().any(|one| one.delivered_at < since);
            for one in found.into_iter().filter(|one| one.delivered_at >= since) {
                tries.entry(one.guid.clone()).or_default().push(one);
            }
            next = behind.filter(|_| !is_old);
        }
        Ok(tries)
    }

    /// A page of something, and where the next one is.
    async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<(T, Option<String>), Failed> {
        let answer = self.send(Request::get(url)).await?;
        let next = answer.headers().get(LINK).and_then(|link| next_of(link.to_str().ok()?));
        // The token goes to the API alone, wherever a page says the next one is.
        let next = next.filter(|next| next.starts_with(&self.repository));
        let page = serde_json::from_slice(answer.body());
        Ok((page.map_err(|_| "GitHub's API does not answer as it is documented".to_owned())?, next))
    }

    async fn ask(&self, url: &str) -> Result<(), Failed> {
        self.send(Request::post(url)).await.map(drop)
    }

    async fn send(&self, request: hyper::http::request::Builder) -> Result<Response<Vec<u8>>, Failed> {
        let token = self.credential.token.expose_secret();
        let request = request
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header(ACCEPT, "application/vnd.github+json")
            .header("X-GitHub-Api-Version", "2022-11-28")
            .body(Vec::new());
        let request = request.map_err(|_| "the provider token cannot be sent".to_owned())?;
        let answer = self.app.fetch.send(request).await.map_err(|error| format!("GitHub's API: {error}"))?;
        match answer.status() {
            status if status.is_success() => Ok(answer),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Err(
                "the provider token does not reach the repository's webhooks: it needs to read and write them".to_owned(),
            ),
            status => Err(format!("GitHub's API answers {status}")),
        }
    }
}

/// Where `Link` says that the next page is (RFC 8288).
fn next_of(link: &str) -> Option<String> {
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    Some(next.split_once('<')?.1.split_once('>')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::next_of;

    #[test]
    fn the_next_page_is_found_among_links() {
        let link = r#"<https://api.github.com/a?cursor=1>; rel="prev", <https://api.github.com/a?cursor=2>; rel="next""#;
        assert_eq!(next_of(link).as_deref(), Some("https://api.github.com/a?cursor=2"));
        assert_eq!(next_of(r#"<https://api.github.com/a>; rel="last""#), None);
    }
}
