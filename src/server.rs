//! The accept loop: hyper's HTTP/1 under poem's endpoint.
//!
//! Written by hand because poem's own server leaves Nagle's algorithm on and goes on polling connections whose
//! client has left. Small buffers keep an idle stream cheap; a peer that is slow to send its headers, or that
//! stops reading, is let go and holds nobody else up; that bound stays with a connection that becomes a WebSocket.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::{
    Endpoint, Request, Response,
    http::{header, uri::Scheme},
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// Connections that the kernel holds until they are accepted.
const BACKLOG: u32 = 4_096;
/// How long a client may take to send its request's head.
const HEAD: Duration = Duration::from_secs(10);
/// How long a client may read nothing while there is something to read.
const STALLED: Duration = Duration::from_secs(5);
/// Bytes buffered per connection; also the largest head that is taken.
const BUFFER: usize = 8_192;

/// Keeps a connection counted, among those that may be open and those that are waited for at shutdown. A
/// request that asks to take its connection over finds one among its extensions, and holds it as long as it
/// holds the connection.
#[derive(Clone)]
pub struct Hold {
    _slot: Arc<OwnedSemaphorePermit>,
    _open: TaskTrackerToken,
}

/// Listens on `address`; port 0 takes a free one.
///
/// # Errors
/// A port that is taken, or an address that is not this machine's.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `stop`, then lets requests in flight finish for at most `grace`. At most `connections` are open
/// at once; more wait in the backlog.
pub async fn serve(
    listener: TcpListener,
    endpoint: impl Endpoint<Output = Response> + 'static,
    connections: usize,
    stop: CancellationToken,
    grace: Duration,
) {
    let endpoint = Arc::new(endpoint);
    let slots = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
    let open = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        match accepted {
            Ok((stream, remote, slot)) => {
                let hold = Hold { _slot: Arc::new(slot), _open: open.token() };
                tokio::spawn(connection(stream, remote, Arc::clone(&endpoint), hold, stop.clone()));
            }
            Err(error) => {
                // Out of file handles, most likely: what is open goes on, and some of it will end.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    open.close();
    if tokio::time::timeout(grace, open.wait()).await.is_err() {
        tracing::warn!(connections = open.len(), "some requests did not finish in time");
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, remote) = listener.accept().await?;
    Ok((stream, remote, slot))
}

async fn connection<E>(
    stream: TcpStream,
    remote: SocketAddr,
    endpoint: Arc<E>,
    hold: Hold,
    stop: CancellationToken,
) where
    E: Endpoint<Output = Response> + 'static,
{
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALLED));
    let service = service_fn(move |request| {
        let endpoint = Arc::clone(&endpoint);
        let mut request =
            Request::from((request, LocalAddr(local.into()), RemoteAddr(remote.into()), Scheme::HTTP));
        if request.headers().contains_key(header::UPGRADE) {
            request.extensions_mut().insert(hold.clone());
        }
        async move {
            let response = match endpoint.call(request).await {
                Ok(response) => response,
                Err(error) => error.into_response(),
            };
            Ok::<hyper::Response<_>, std::convert::Infallible>(response.into())
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .writev(false)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
        .with_upgrades();
    let mut connection = Box::pin(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%remote, %error, "a connection ended early");
    }
}
