//! Debian's nginx with nchan: whoever posts to a channel tells those who follow it by server-sent events.

use std::{
    fs, iter,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::FILES;
use crate::{Result, child, peers};

/// Where Debian has it.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// The nginx of this machine.
pub(super) struct Nginx {
    program: PathBuf,
    /// Processes that serve.
    pub(super) workers: usize,
}

impl Nginx {
    /// The one that is installed, if nchan is too.
    pub(super) fn find() -> Option<Self> {
        let program = peers::program("nginx")?;
        Path::new(MODULE).is_file().then_some(Self { program, workers: 1 })
    }

    /// The same with so many workers.
    pub(super) fn with_workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// Starts it in a folder of its own; returns when it is ready.
    pub(super) async fn start(&self) -> Result<Nchan> {
        let (folder, port) = (TempDir::new()?, scratch::free_port()?);
        fs::write(folder.path().join("nginx.conf"), self.configuration(port))?;
        let mut command = Command::new(&self.program);
        command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf"]).current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let nchan = Nchan { port, master: command.spawn()?, folder };
        match child::wait_until_ready(port).await {
            Ok(()) => Ok(nchan),
            Err(error) => Err(format!("nginx: {error}: {}", nchan.log()).into()),
        }
    }

    /// Everything stays in the folder. Who is not root is who they are, whatever `user` says. Nothing is kept for those
    /// who come later.
    fn configuration(&self, port: u16) -> String {
        let workers = self.workers;
        format!(
            "\
load_module {MODULE};
daemon off;
user root;
worker_processes {workers};
error_log error.log;
pid nginx.pid;
events {{ worker_connections {FILES}; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /health/ready {{ return 204; }}
        location ~ ^/publish/(.+)$ {{
            nchan_publisher;
            nchan_channel_id $1;
            nchan_message_buffer_length 0;
        }}
        location ~ ^/subscribe/(.+)$ {{
            nchan_subscriber eventsource;
            nchan_channel_id $1;
            nchan_subscriber_first_message newest;
        }}
    }}
}}
"
        )
    }
}

/// A running nginx; ends with its handle.
pub(super) struct Nchan {
    pub(super) port: u16,
    master: Child,
    folder: TempDir,
}

impl Nchan {
    /// Memory of all its processes, KiB; what they share counts once.
    pub(super) fn memory_kib(&self) -> Result<u64> {
        let master = self.master.id();
        let workers = fs::read_to_string(format!("/proc/{master}/task/{master}/children"))?;
        let workers = workers.split_whitespace().map(str::to_owned);
        iter::once(master.to_string()).chain(workers).map(|process| proportional_kib(&process)).sum()
    }

    /// What it had to say.
    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }
}

/// A process's memory, KiB: of what several share, its part.
fn proportional_kib(process: &str) -> Result<u64> {
    let memory = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = memory.lines().find(|line| line.starts_with("Pss:")).ok_or("no Pss")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}

impl Drop for Nchan {
    fn drop(&mut self) {
        // Killed, it would leave its workers behind.
        let _ = Command::new("kill").arg(self.master.id().to_string()).status();
        let _ = self.master.wait();
    }
}
