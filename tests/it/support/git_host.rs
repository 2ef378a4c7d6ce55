//! A Git host on this machine: `git http-backend` behind a small server that can also do what hosts do at their worst.

use std::{path::PathBuf, process::Stdio, sync::Arc};

use parking_lot::Mutex;
use poem::{
    Endpoint, IntoResponse as _, Request, Response, Result, Server,
    http::{HeaderMap, StatusCode},
    listener::{Acceptor as _, Listener as _, TcpListener},
};
use tokio::{io::AsyncWriteExt as _, process::Command, sync::watch, task::JoinHandle};

use super::repository::Origin;

/// How the host is today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It serves whoever asks.
    Well,
    /// It serves whoever shows this token.
    Private(String),
    /// It shows where the repository is, and wants a token for what it holds.
    ClosedInside,
    /// It takes requests and never answers.
    Silent,
    /// It takes requests, and answers once it is in another mood.
    Thoughtful,
    /// It answers with this status.
    Status(u16),
    /// It sends everybody elsewhere.
    Redirect(String),
    /// It answers, but not as a Git host does.
    Babble,
    /// It sends half of an answer.
    Half,
}

/// What a host was asked: the path, and what came as `Authorization`.
pub(crate) type Asked = (String, Option<String>);

/// The host; dropped, it is gone.
pub(crate) struct GitHost {
    pub(crate) port: u16,
    mood: watch::Sender<Mood>,
    asked: Arc<Mutex<Vec<Asked>>>,
    serving: JoinHandle<()>,
}

struct Backend {
    root: PathBuf,
    mood: watch::Receiver<Mood>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl GitHost {
    /// A host of one repository, `/rocket`.
    pub(crate) async fn of(origin: &Origin) -> Self {
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
        let port = acceptor.local_addr()[0].as_socket_addr().unwrap().port();
        let (mood, seen) = watch::channel(Mood::Well);
        let asked = Arc::default();
        let backend = Backend { root: origin.path().to_owned(), mood: seen, asked: Arc::clone(&asked) };
        let serving = tokio::spawn(async move {
            Server::new_with_acceptor(acceptor).run(backend).await.unwrap();
        });
        Self { port, mood, asked, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/rocket", self.port)
    }

    /// What lets a server read from here.
    pub(crate) fn allowed(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn is(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Everything that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }
}

impl Drop for GitHost {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Endpoint for Backend {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let path = request.uri().path().to_owned();
        let shown = text(request.headers(), "authorization");
        self.asked.lock().push((path.clone(), shown.clone()));
        let mood = self.mood.clone().wait_for(|mood| *mood != Mood::Thoughtful).await.unwrap().clone();
        let unauthorized = || {
            StatusCode::UNAUTHORIZED.with_header("www-authenticate", "Basic realm=\"git\"").into_response()
        };
        Ok(match mood {
            Mood::Well => self.serve(request).await,
            Mood::Private(token) => match shown.is_some_and(|shown| shown == basic(&token)) {
                true => self.serve(request).await,
                false => unauthorized(),
            },
            Mood::ClosedInside if path.ends_with("/info/refs") => self.serve(request).await,
            Mood::ClosedInside => unauthorized(),
            Mood::Silent | Mood::Thoughtful => std::future::pending().await,
            Mood::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
            Mood::Redirect(to) => StatusCode::MOVED_PERMANENTLY
                .with_header(
                    "location",
                    format!("{to}{}", request.uri().to_string().replacen("/rocket", "", 1)),
                )
                .into_response(),
            Mood::Babble => "<html>Sign in</html>".into_response(),
            Mood::Half if path.ends_with("/info/refs") => self.serve(request).await,
            Mood::Half => {
                let (parts, body) = self.serve(request).await.into_parts();
                let whole = body.into_bytes().await.unwrap();
                Response::from_parts(parts, whole.slice(..whole.len() / 2).into())
            }
        })
    }
}

impl Backend {
    /// What `git http-backend` answers (RFC 3875).
    async fn serve(&self, mut request: Request) -> Response {
        let headers = request.headers().clone();
        let body = request.take_body().into_bytes().await.unwrap();
        let path = request.uri().path().strip_prefix("/rocket").unwrap_or("/nowhere").replacen(".git", "", 1);
        let mut running = Command::new("git")
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", self.root.join(".git"))
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_COUNT", "2")
            .env("GIT_CONFIG_KEY_0", "uploadpack.allowFilter")
            .env("GIT_CONFIG_VALUE_0", "true")
            .env("GIT_CONFIG_KEY_1", "http.receivepack")
            .env("GIT_CONFIG_VALUE_1", "false")
            .env("REQUEST_METHOD", request.method().as_str())
            .env("PATH_INFO", path)
            .env("QUERY_STRING", request.uri().query().unwrap_or_default())
            .env("CONTENT_TYPE", text(&headers, "content-type").unwrap_or_default())
            .env("CONTENT_LENGTH", body.len().to_string())
            .env("HTTP_CONTENT_ENCODING", text(&headers, "content-encoding").unwrap_or_default())
            .env("GIT_PROTOCOL", text(&headers, "git-protocol").unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = running.stdin.take().unwrap();
        tokio::spawn(async move { stdin.write_all(&body).await });
        let printed = running.wait_with_output().await.unwrap().stdout;
        let Some(end) = printed.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let mut response = Response::builder();
        for line in String::from_utf8_lossy(&printed[..end]).lines() {
            let Some((name, value)) = line.split_once(": ") else { continue };
            response = match name {
                "Status" => response.status(StatusCode::from_bytes(&value.as_bytes()[..3]).unwrap()),
                _ => response.header(name, value),
            };
        }
        response.body(printed[end + 4..].to_vec())
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// What a client shows of the usual user and a token.
pub(crate) fn basic(token: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("Basic {}", STANDARD.encode(format!("x-access-token:{token}")))
}
