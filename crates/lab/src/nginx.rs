//! A web server that answers with its name.

use crate::error::{Error, Result, While};
use crate::lab::Lab;
use crate::network::RealServer;
use crate::process::Process;
use crate::wait::until;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The size of `/big`.
pub const BIG_FILE_BYTES: u64 = 100 << 20;

/// nginx on a real server: `/` is its name, `/big` is 100 MB of noise, the same on all.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    access_log: PathBuf,
}

impl Nginx {
    /// Starts it on `port`, IPv4 and IPv6; when this returns it listens.
    pub fn start(lab: &Lab, server: &RealServer, port: u16) -> Result<Nginx> {
        Self::start_logging(lab, server, port, true)
    }

    /// As [`start`](Self::start), for loads that a log would slow down: it counts no answers and no clients.
    pub fn start_without_log(lab: &Lab, server: &RealServer, port: u16) -> Result<Nginx> {
        Self::start_logging(lab, server, port, false)
    }

    fn start_logging(lab: &Lab, server: &RealServer, port: u16, log: bool) -> Result<Nginx> {
        let place = lab.directory().join(format!("{}-{port}", server.name));
        fs::create_dir_all(&place).when(|| format!("cannot make {}", place.display()))?;
        let file = place.join("nginx.conf");
        fs::write(
            &file,
            configuration(&place, &lab.directory(), &server.name, port, log),
        )
        .when(|| format!("cannot write {}", file.display()))?;
        let mut command = server.namespace.command("nginx");
        command
            .arg("-c")
            .arg(&file)
            .arg("-e")
            .arg(place.join("error.log"));
        let mut process = Process::start(&mut command, &place.join("output.log"))?;
        // nginx writes its process id when its sockets listen.
        let listening = place.join("pid");
        until(
            &format!("nginx on {} listening", server.name),
            Duration::from_secs(10),
            || !process.runs() || listening.exists(),
        )?;
        if !process.runs() {
            return Err(Error::Ended {
                said: process.said(),
            });
        }
        Ok(Nginx {
            process,
            access_log: place.join("access.log"),
        })
    }

    /// Makes the file `/big`, once for all servers of a lab; returns where it is.
    pub fn make_big_file(lab: &Lab) -> Result<PathBuf> {
        let path = lab.directory().join("big");
        if !path.exists() {
            let noise =
                fs::File::open("/dev/urandom").when(|| "cannot open /dev/urandom".to_owned())?;
            let mut file =
                fs::File::create(&path).when(|| format!("cannot make {}", path.display()))?;
            std::io::copy(&mut noise.take(BIG_FILE_BYTES), &mut file)
                .when(|| "cannot write /big".to_owned())?;
        }
        Ok(path)
    }

    /// How many requests it has answered.
    pub fn answered(&self) -> usize {
        fs::read(&self.access_log)
            .map_or(0, |log| log.iter().filter(|byte| **byte == b'\n').count())
    }

    /// From which addresses it was asked.
    pub fn clients(&self) -> BTreeSet<String> {
        let log = fs::read_to_string(&self.access_log).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Leaves it running when this value is dropped.
    pub fn keep(&mut self) {
        self.process.keep();
    }
}

fn configuration(place: &Path, files: &Path, name: &str, port: u16, log: bool) -> String {
    let (place, files) = (place.display(), files.display());
    let log = if log {
        format!("{place}/access.log short")
    } else {
        "off".to_owned()
    };
    format!(
        "user root;
daemon off;
master_process off;
pid {place}/pid;
worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
    log_format short '$remote_addr';
    access_log {log};
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    keepalive_requests 1000000000;
    sendfile on;
    tcp_nodelay on;
    server {{
        listen {port} backlog=16384;
        listen [::]:{port} ipv6only=on backlog=16384;
        location = / {{ default_type text/plain; return 200 '{name}\\n'; }}
        location = /big {{ default_type application/octet-stream; alias {files}/big; }}
    }}
}}
"
    )
}
