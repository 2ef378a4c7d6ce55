//! A server that only writes to those who are connected: what telling anybody anything takes on this machine.

use std::{io, process::Command, sync::Arc};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
};

use super::{FRAME, servers::event};
use crate::{Result, cargo, child};

/// The server, in a process of its own; ends with its handle.
pub(super) struct Bare {
    pub(super) port: u16,
    _process: child::Running,
    _folder: TempDir,
}

impl Bare {
    pub(super) async fn start() -> Result<Self> {
        let (folder, port) = (TempDir::new()?, scratch::free_port()?);
        let mut command = Command::new(cargo::this_program()?);
        let process = child::spawn(command.args(["write", &port.to_string()]), folder.path())?;
        child::wait_until_ready(port).await?;
        Ok(Self { port, _process: process, _folder: folder })
    }
}

/// Serves until the process is ended: a `POST` has everybody told the time who has asked for something before.
pub(crate) async fn write(port: u16) -> Result<()> {
    let listener = trackside::server::bind(([127, 0, 0, 1], port).into())?;
    let tell = Arc::new(watch::channel(String::new()).0);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(attend(stream, Arc::clone(&tell)));
    }
}

async fn attend(mut stream: TcpStream, tell: Arc<watch::Sender<String>>) -> io::Result<()> {
    let (mut told, mut request) = (tell.subscribe(), [0; 1024]);
    let read = stream.read(&mut request).await?;
    if request[..read].starts_with(b"POST ") {
        tell.send_replace(event(FRAME));
        let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return stream.write_all(answer).await;
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
    while told.changed().await.is_ok() {
        let frame = told.borrow_and_update().clone();
        stream.write_all(frame.as_bytes()).await?;
    }
    Ok(())
}
