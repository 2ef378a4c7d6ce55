//! The way out: every connection that git makes over http passes here, and goes only where it may.
//!
//! Git is told of a SOCKS proxy (RFC 1928) on this machine's loopback. It hands over names, not addresses, so what is
//! checked is what is dialled; a redirect is one more connection. Each fetch has a [`Pass`], whose random name is the
//! user that git signs in as: nobody else on this machine gets through, and all of its connections end with it.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};

use fast_socks5::{
    ReplyError, Socks5Command,
    server::{Socks5ServerProtocol, SocksServerError},
    util::target_addr::TargetAddr,
};
use parking_lot::Mutex;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Host;

use super::failure::{Fetched, GitError};
use crate::{config::AllowedHost, fetch};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

type Passes = Arc<Mutex<HashMap<String, Open>>>;

/// Listens on the loopback until it is dropped.
pub(super) struct Relay {
    address: SocketAddr,
    passes: Passes,
    _stop: DropGuard,
}

/// What a fetch may do, as long as its pass is there.
#[derive(Clone)]
struct Open {
    allowed: Arc<[AllowedHost]>,
    refused: Arc<OnceLock<&'static str>>,
    ended: CancellationToken,
}

/// A fetch's right to connect, which ends when this is dropped.
pub(super) struct Pass {
    name: String,
    address: SocketAddr,
    passes: Passes,
    open: Open,
}

impl Relay {
    pub(super) async fn start() -> Fetched<Self> {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let no_relay = || GitError::here("no port could be opened that git could connect through");
        let listener = bound.map_err(no_relay())?;
        let address = listener.local_addr().map_err(no_relay())?;
        let (passes, stop) = (Passes::default(), CancellationToken::new());
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept(listener, Arc::clone(&passes))));
        Ok(Self { address, passes, _stop: stop.drop_guard() })
    }

    /// Lets connections of one fetch through, to public addresses and to hosts that are allowed.
    pub(super) fn pass(&self, name: String, allowed: Arc<[AllowedHost]>) -> Pass {
        let open = Open { allowed, refused: Arc::default(), ended: CancellationToken::new() };
        self.passes.lock().insert(name.clone(), open.clone());
        Pass { name, address: self.address, passes: Arc::clone(&self.passes), open }
    }
}

impl Pass {
    /// The proxy that git is to use.
    pub(super) fn proxy(&self) -> String {
        format!("socks5h://{}:pass@{}", self.name, self.address)
    }

    /// Why a connection was refused, if one was.
    pub(super) fn refused(&self) -> Option<&'static str> {
        self.open.refused.get().copied()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.passes.lock().remove(&self.name);
        self.open.ended.cancel();
    }
}

async fn accept(listener: TcpListener, passes: Passes) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let passes = Arc::clone(&passes);
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, &passes).await {
                        tracing::debug!(%error, "a connection of git's ended early");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection of git's could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, passes: &Passes) -> Result<(), SocksServerError> {
    let sign_in =
        Socks5ServerProtocol::accept_password_auth(stream, |name, _| passes.lock().get(&name).cloned());
    let Ok(signed_in) = timeout(CONNECT, sign_in).await else { return Ok(()) };
    let (protocol, Some(open)) = signed_in? else { return Ok(()) };
    let Ok(command) = timeout(CONNECT, protocol.read_command()).await else { return Ok(()) };
    let (protocol, command, target) = command?;
    if command != Socks5Command::TCPConnect {
        return protocol.reply_error(&ReplyError::CommandNotSupported).await;
    }
    let mut there = match dial(target, &open).await {
        Ok(there) => there,
        Err(reply) => return protocol.reply_error(&reply).await,
    };
    let mut here = protocol.reply_success((Ipv4Addr::LOCALHOST, 0).into()).await?;
    tokio::select! {
        _ = copy_bidirectional(&mut here, &mut there) => {}
        () = open.ended.cancelled() => {}
    }
    Ok(())
}

/// Connects to what a target stands for, if all of it may be dialled.
async fn dial(target: TargetAddr, open: &Open) -> Result<TcpStream, ReplyError> {
    let (host, port) = match target {
        TargetAddr::Ip(SocketAddr::V4(address)) => (Host::Ipv4(*address.ip()), address.port()),
        TargetAddr::Ip(SocketAddr::V6(address)) => (Host::Ipv6(*address.ip()), address.port()),
        // A name that is an address in some spelling of it is one here as well.
        TargetAddr::Domain(name, port) => {
            (Host::parse(&name).map_err(|_| ReplyError::HostUnreachable)?, port)
        }
    };
    let Ok(addresses) = fetch::resolve(&host, port).await else { return Err(ReplyError::HostUnreachable) };
    let is_allowed = open.allowed.iter().any(|allowed| allowed.is(&host, port));
    if !is_allowed && !fetch::are_public(&addresses) {
        let _ = open.refused.set(
            "the address leads to a host that is not on the public internet; whoever operates this service may allow it \
             with TRACKSIDE_GIT_ALLOW",
        );
        return Err(ReplyError::ConnectionNotAllowed);
    }
    match timeout(CONNECT, TcpStream::connect(&*addresses)).await {
        Ok(Ok(stream)) => {
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(_)) => Err(ReplyError::ConnectionRefused),
        Err(_) => Err(ReplyError::ConnectionTimeout),
    }
}
