//! A host on this machine that answers over TLS, well or badly, with a certificate of an authority of its own.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, pem::PemObject as _},
    },
};

/// What the host answers at a path.
#[derive(Clone)]
pub(crate) enum Reply {
    /// A status, headers and a body.
    Whole(u16, Vec<(&'static str, String)>, String),
    /// A body that never ends.
    Endless,
    /// One byte now and then, of the head already.
    Drip,
    /// A head that never ends.
    EndlessHead,
}

impl Reply {
    pub(crate) fn json(body: &serde_json::Value) -> Self {
        Self::Whole(200, vec![("content-type", "application/json".to_owned())], body.to_string())
    }
}

/// The host; dropped, it is gone.
pub(crate) struct TlsHost {
    pub(crate) port: u16,
    folder: TempDir,
    connections: Arc<AtomicUsize>,
    replies: Arc<Mutex<HashMap<String, (Reply, usize)>>>,
    serving: JoinHandle<()>,
}

impl TlsHost {
    /// `localhost`, by https.
    pub(crate) async fn start() -> Self {
        Self::start_as(true).await
    }

    /// `localhost`, by plain http.
    pub(crate) async fn start_plain() -> Self {
        Self::start_as(false).await
    }

    async fn start_as(is_tls: bool) -> Self {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.pem"), own.cert.pem()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(own.signing_key.serialize_pem().as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        let acceptor = is_tls.then(|| TlsAcceptor::from(Arc::new(config)));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (connections, replies) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<HashMap<_, _>>>::default());
        let serving = tokio::spawn({
            let (connections, replies) = (Arc::clone(&connections), Arc::clone(&replies));
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (acceptor, replies) = (acceptor.clone(), Arc::clone(&replies));
                    let connections = Arc::clone(&connections);
                    tokio::spawn(async move {
                        // Who only looks whether the port is free says nothing.
                        if stream.peek(&mut [0]).await.unwrap_or(0) == 0 {
                            return;
                        }
                        connections.fetch_add(1, Relaxed);
                        match acceptor {
                            Some(acceptor) => {
                                if let Ok(stream) = acceptor.accept(stream).await {
                                    answer(stream, &replies).await;
                                }
                            }
                            None => answer(stream, &replies).await,
                        }
                    });
                }
            }
        });
        Self { port, folder, connections, replies, serving }
    }

    /// What is answered at a path from now on.
    pub(crate) fn at(&self, path: &str, reply: Reply) {
        self.replies.lock().insert(path.to_owned(), (reply, 0));
    }

    /// How often a path was asked for since it has its answer.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.replies.lock()[path].1
    }

    /// How many connections there were on which something was said.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// An address there.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// The file of its authority.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What `TRACKSIDE_FETCH_ALLOW` has to say for it.
    pub(crate) fn allowed(&self) -> String {
        format!("localhost:{}", self.port)
    }
}

impl Drop for TlsHost {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer<S>(mut stream: S, replies: &Mutex<HashMap<String, (Reply, usize)>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap();
    let reply = replies.lock().get_mut(path).map(|(reply, asked)| {
        *asked += 1;
        reply.clone()
    });
    let _ = write(&mut stream, reply.unwrap_or_else(|| Reply::Whole(404, Vec::new(), "{}".to_owned()))).await;
    let _ = stream.shutdown().await;
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, reply: Reply) -> std::io::Result<()> {
    match reply {
        Reply::Whole(status, headers, body) => {
            let headers: String =
                headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let length = body.len();
            let text = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n{body}");
            stream.write_all(text.as_bytes()).await
        }
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            loop {
                stream.write_all(format!("400\r\n{}\r\n", "x".repeat(0x400)).as_bytes()).await?;
            }
        }
        Reply::EndlessHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                stream.write_all(format!("x-more: {}\r\n", "x".repeat(0x400)).as_bytes()).await?;
            }
        }
        Reply::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nx-more: ").await?;
            let mut beat = tokio::time::interval(std::time::Duration::from_millis(100));
            loop {
                beat.tick().await;
                stream.write_all(b"x").await?;
            }
        }
    }
}
