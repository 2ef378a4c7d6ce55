//! The one HTTP client of the service, for addresses that somebody else chose.
//!
//! Who may name an address that is fetched would like it to lead inside: to the metadata of a cloud, to a database's
//! port, to this machine. So a fetch goes to the public internet alone, by https. It resolves the name itself, refuses
//! it unless every address it stands for is public, and connects to just those, so that a second answer of the name
//! server changes nothing. It follows no redirect and knows no proxy. It takes [`PATIENCE`] in all, and a body of a
//! bounded size. The operator may allow single hosts beyond that (`TRACKSIDE_FETCH_ALLOW`, and the issuers that the
//! settings name): those may be private, and speak plain http.
//!
//! Why a fetch failed may be shown to whoever named the address: of what is inside it tells no more than whether a name
//! stands for something there, because nothing inside was asked.

mod public;

use std::{fmt, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::FusedFuture as _;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Request, Response, Uri,
    client::conn::http1,
    header::{self, HeaderValue},
    http::uri::InvalidUri,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    sync::{OnceCell, Semaphore},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName},
    },
};
use url::{Host, Position, Url};

use self::public::is_public;
use crate::config::{AllowedHost, Config, IssuerUrl};

/// How long a fetch may take, from the first question to the last byte.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a body that [`Fetch::send`] takes.
const MAX_BYTES: usize = 1024 * 1024;
/// Bytes of an answer's head.
const MAX_HEAD: usize = 16 * 1024;
/// Fetches at once from hosts that anybody may name, and as many from issuers; more wait, within their time.
const AT_ONCE: usize = 32;

/// What fetches.
pub struct Fetch {
    allowed: Vec<AllowedHost>,
    own_roots: Vec<CertificateDer<'static>>,
    /// Made by the first fetch: reading the machine's certificate authorities takes a while.
    tls: OnceCell<TlsConnector>,
    turns: Semaphore,
    /// Those of issuers: whoever names hosts that do not answer keeps nobody from signing in.
    turns_of_issuers: Semaphore,
}

/// Why a fetch failed. What is displayed may be shown to whoever named the address; the cause is for the log.
#[derive(Debug)]
pub struct FetchError {
    why: &'static str,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl FetchError {
    fn new(why: &'static str) -> Self {
        Self { why, source: None }
    }

    /// For `map_err`: the error is the cause.
    fn why<E: Into<Box<dyn std::error::Error + Send + Sync>>>(why: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self { why, source: Some(source.into()) }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why)
    }
}

impl std::error::Error for FetchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

type Result<T> = std::result::Result<T, FetchError>;

impl Fetch {
    /// With what the settings allow.
    pub fn new(config: &Config) -> Self {
        Self {
            allowed: config
                .fetch_allow
                .iter()
                .chain(config.issuers().map(IssuerUrl::host))
                .cloned()
                .chain(config.git.github_host())
                .collect(),
            own_roots: config.authorities.clone(),
            tls: OnceCell::new(),
            turns: Semaphore::new(AT_ONCE),
            turns_of_issuers: Semaphore::new(AT_ONCE),
        }
    }

    /// Gets a document of at most `max_bytes`, whatever its status.
    ///
    /// # Errors
    /// Whatever keeps it from being fetched, a redirect among it.
    pub async fn get(&self, url: &Url, max_bytes: usize) -> Result<Response<Vec<u8>>> {
        self.get_in_turn(&self.turns, url, max_bytes).await
    }

    /// Gets a document as [`Fetch::get`] does, for an issuer that the settings name: it waits for no one else's.
    ///
    /// # Errors
    /// As [`Fetch::get`].
    pub async fn get_of_issuer(&self, url: &Url, max_bytes: usize) -> Result<Response<Vec<u8>>> {
        self.get_in_turn(&self.turns_of_issuers, url, max_bytes).await
    }

    async fn get_in_turn(&self, turns: &Semaphore, url: &Url, max_bytes: usize) -> Result<Response<Vec<u8>>> {
        if url.fragment().is_some() {
            return Err(FetchError::new("the address has a fragment; leave out what begins with #"));
        }
        let request = Request::get(url.as_str()).header(header::ACCEPT, "application/json").body(Vec::new());
        self.in_time(turns, request.map_err(FetchError::why(BAD_ADDRESS))?, max_bytes).await
    }

    /// Sends a request to an issuer that the settings name, and takes an answer of at most 1 MiB, whatever its status.
    ///
    /// # Errors
    /// As [`Fetch::get`].
    pub async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>> {
        self.in_time(&self.turns_of_issuers, request, MAX_BYTES).await
    }

    async fn in_time(
        &self,
        turns: &Semaphore,
        request: Request<Vec<u8>>,
        max_bytes: usize,
    ) -> Result<Response<Vec<u8>>> {
        let exchange = Box::pin(self.exchange(turns, request, max_bytes));
        timeout(PATIENCE, exchange)
            .await
            .unwrap_or(Err(FetchError::new("the host did not answer within 5 s")))
    }

    async fn exchange(
        &self,
        turns: &Semaphore,
        request: Request<Vec<u8>>,
        max_bytes: usize,
    ) -> Result<Response<Vec<u8>>> {
        let target = Target::parse(&request.uri().to_string(), &self.allowed)?;
        let _turn = turns.acquire().await.map_err(FetchError::why(UNREACHABLE))?;
        let addresses = target.addresses().await?;
        let stream = TcpStream::connect(&*addresses).await;
        let stream = stream.map_err(FetchError::why(UNREACHABLE))?;
        let request = target.addressed(request)?;
        if !target.is_tls {
            return converse(stream, request, max_bytes).await;
        }
        let tls = self.tls.get_or_try_init(|| connector(self.own_roots.clone())).await?;
        let stream = tls.connect(target.server_name()?, stream).await;
        let untrusted = "the host's certificate is not one that is trusted here, or it does not speak TLS";
        let stream = stream.map_err(FetchError::why(untrusted))?;
        converse(stream, request, max_bytes).await
    }
}

const BAD_ADDRESS: &str = "it is not an address that can be fetched";
const UNREACHABLE: &str = "the host cannot be reached";
const NO_TLS: &str = "this service cannot speak TLS";
const BROKEN: &str = "the host did not answer in HTTP, or not to the end";

/// All that a host's name stands for.
///
/// # Errors
/// When it stands for nothing, or nobody says what for.
pub(crate) async fn resolve(host: &Host, port: u16) -> io::Result<Vec<SocketAddr>> {
    match host {
        Host::Ipv4(address) => Ok(vec![(*address, port).into()]),
        Host::Ipv6(address) => Ok(vec![(*address, port).into()]),
        Host::Domain(name) => Ok(lookup_host((name.as_str(), port)).await?.collect()),
    }
}

/// Whether all of some addresses are on the public internet.
pub(crate) fn are_public(addresses: &[SocketAddr]) -> bool {
    addresses.iter().all(|address| is_public(address.ip()))
}

/// What is asked, once it is known that it may be.
struct Target {
    is_tls: bool,
    host: Host,
    port: u16,
    /// Whether the operator allows it wherever it is.
    is_allowed: bool,
    path: Uri,
}

impl Target {
    fn parse(text: &str, allowed: &[AllowedHost]) -> Result<Self> {
        let url = Url::parse(text).map_err(FetchError::why(BAD_ADDRESS))?;
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(FetchError::new(BAD_ADDRESS));
        };
        let is_allowed = allowed.iter().any(|allowed| allowed.is(&host, port));
        let is_tls = match url.scheme() {
            "https" => true,
            "http" if is_allowed => false,
            _ => return Err(FetchError::new("only https addresses are fetched")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::new("the address names a user; leave that out"));
        }
        let path = url[Position::BeforePath..Position::AfterQuery].parse();
        let path = path.map_err(FetchError::why::<InvalidUri>(BAD_ADDRESS))?;
        Ok(Self { is_tls, host: host.to_owned(), port, is_allowed, path })
    }

    /// All that its name stands for, if all of it may be asked.
    async fn addresses(&self) -> Result<Vec<SocketAddr>> {
        let addresses = resolve(&self.host, self.port).await.map_err(FetchError::why(UNREACHABLE))?;
        if self.is_allowed || are_public(&addresses) {
            return Ok(addresses);
        }
        Err(FetchError::new(
            "the host is not on the public internet; whoever operates this service may allow it with TRACKSIDE_FETCH_ALLOW",
        ))
    }

    fn server_name(&self) -> Result<ServerName<'static>> {
        match &self.host {
            Host::Ipv4(address) => Ok(ServerName::from(std::net::IpAddr::from(*address))),
            Host::Ipv6(address) => Ok(ServerName::from(std::net::IpAddr::from(*address))),
            Host::Domain(name) => ServerName::try_from(name.clone()).map_err(FetchError::why(BAD_ADDRESS)),
        }
    }

    /// The request as it is sent to the host itself.
    fn addressed(&self, request: Request<Vec<u8>>) -> Result<Request<Full<Bytes>>> {
        let (mut parts, body) = request.into_parts();
        parts.uri = self.path.clone();
        let is_usual = self.port == if self.is_tls { 443 } else { 80 };
        let host = if is_usual { self.host.to_string() } else { format!("{}:{}", self.host, self.port) };
        let host = HeaderValue::try_from(host).map_err(FetchError::why(BAD_ADDRESS))?;
        parts.headers.insert(header::HOST, host);
        let agent = HeaderValue::from_static(concat!("trackside/", env!("CARGO_PKG_VERSION")));
        parts.headers.insert(header::USER_AGENT, agent);
        Ok(Request::from_parts(parts, Full::new(Bytes::from(body))))
    }
}

/// One request and its answer, on a connection of its own, which ends with this.
async fn converse<S>(stream: S, request: Request<Full<Bytes>>, max_bytes: usize) -> Result<Response<Vec<u8>>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    let handshake = builder.max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(FetchError::why(BROKEN))?;
    let answer = async move {
        let (parts, body) = sender.send_request(request).await.map_err(FetchError::why(BROKEN))?.into_parts();
        if parts.status.is_redirection() {
            return Err(FetchError::new(
                "the host answers with a redirect, and none is followed; name where it leads",
            ));
        }
        let body = Limited::new(body, max_bytes).collect().await.map_err(|error| match error {
            error if error.is::<LengthLimitError>() => FetchError::new("the document is too large"),
            error => FetchError::why(BROKEN)(error),
        })?;
        Ok(Response::from_parts(parts, body.to_bytes().into()))
    };
    let (mut answer, mut connection) = (pin!(answer), pin!(connection.fuse()));
    loop {
        tokio::select! {
            answer = &mut answer => return answer,
            // What it has read by now is still to be taken.
            _ = &mut connection, if !connection.is_terminated() => {}
        }
    }
}

/// What speaks TLS: it trusts whom this machine trusts, and the operator's own authorities.
async fn connector(own: Vec<CertificateDer<'static>>) -> Result<TlsConnector> {
    let native = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    let native = native.map_err(FetchError::why(NO_TLS))?;
    for error in &native.errors {
        tracing::warn!(%error, "some of this machine's certificate authorities cannot be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(native.certs.into_iter().chain(own));
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(FetchError::why(NO_TLS))?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}
