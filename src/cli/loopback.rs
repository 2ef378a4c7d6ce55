//! A small HTTP client for the service in this very process: what `demo` posts and follows with.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http1,
    header::{self, HeaderName},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::error::{Error, Result};

/// Sends one request on a connection of its own and gives back the answer's head; its body follows.
pub(super) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(HeaderName, String)],
    body: Vec<u8>,
) -> Result<Response<Incoming>> {
    let stream = TcpStream::connect(address).await.map_err(Error::internal)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Error::internal)?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, address.to_string());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(body))).map_err(Error::internal)?;
    sender.send_request(request).await.map_err(Error::internal)
}

/// Reads the next frame of a server-sent event stream; `buffer` keeps what has come of the one after.
pub(super) async fn next_frame(body: &mut Incoming, buffer: &mut String) -> Option<String> {
    loop {
        if let Some((frame, rest)) = buffer.split_once("\n\n") {
            let frame = frame.to_owned();
            *buffer = rest.to_owned();
            return Some(frame);
        }
        let chunk = body.frame().await?.ok()?.into_data().ok()?;
        buffer.push_str(&String::from_utf8_lossy(&chunk));
    }
}
