//! Debian's nginx with nchan: whoever posts to a channel tells those who follow it by server-sent events.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{Result, child, peers, tree::Tree};

/// Where Debian has it.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// The nginx of this machine.
pub(crate) struct Nginx {
    pub(crate) program: PathBuf,
    /// Processes that serve.
    pub(crate) workers: usize,
    /// Connections that each of them may have, for which it takes memory at once.
    connections: u64,
}

impl Nginx {
    /// The one that is installed, if nchan is too, with one worker.
    pub(crate) fn find(connections: u64) -> Option<Self> {
        let program = peers::program("nginx")?;
        Path::new(MODULE).is_file().then_some(Self { program, workers: 1, connections })
    }

    /// The same with so many workers.
    pub(crate) fn with_workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// Bytes of the program and of nchan.
    pub(crate) fn bytes(&self) -> Result<u64> {
        Ok(fs::metadata(&self.program)?.len() + fs::metadata(MODULE)?.len())
    }

    /// What serves on a port, out of a folder.
    pub(crate) fn command(&self, folder: &Path, port: u16) -> Result<Command> {
        fs::write(folder.join("nginx.conf"), self.configuration(port))?;
        let mut command = Command::new(&self.program);
        command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(folder).current_dir(folder);
        Ok(command)
    }

    /// Starts it in a folder of its own; returns when it is ready.
    pub(crate) async fn start(&self) -> Result<Nchan> {
        let (folder, port) = (TempDir::new()?, scratch::free_port()?);
        let tree = Tree::start(&mut self.command(folder.path(), port)?)?;
        let nchan = Nchan { port, tree, folder };
        match child::wait_until_ready(port).await {
            Ok(()) => Ok(nchan),
            Err(error) => Err(format!("nginx: {error}: {}", nchan.log()).into()),
        }
    }

    /// Everything stays in the folder. Who is not root is who they are, whatever `user` says. Nothing is kept for those
    /// who come later.
    fn configuration(&self, port: u16) -> String {
        let Self { workers, connections, .. } = self;
        format!(
            "\
load_module {MODULE};
daemon off;
user root;
worker_processes {workers};
error_log error.log;
pid nginx.pid;
events {{ worker_connections {connections}; }}
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
pub(crate) struct Nchan {
    pub(crate) port: u16,
    pub(crate) tree: Tree,
    folder: TempDir,
}

impl Nchan {
    /// What it had to say.
    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }
}
