//! A web server that answers with its name.

use crate::command::run;
use crate::error::{Error, Result, While};
use crate::lab::Lab;
use crate::network::RealServer;
use crate::process::Process;
use crate::wait::until;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The size of `/big`.
pub const BIG_FILE_BYTES: u64 = 100 << 20;

/// The file whose presence lets it fail.
const FAILING: &str = "failing";

/// What it is for.
#[derive(Clone, Copy)]
enum Purpose {
    /// It logs every request.
    Counting,
    /// It logs nothing.
    Load,
    /// It can be told to fail, and logs only who asks from next to it: checks.
    Failing,
    /// It logs nothing and speaks TLS, with a certificate that nobody signs but itself.
    Tls,
}

/// nginx on a real server: `/` is its name, `/big` is 100 MB of noise, the same on all.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    access_log: PathBuf,
}

impl Nginx {
    /// Starts it on `port`, IPv4 and IPv6; when this returns it listens.
    pub fn start(lab: &Lab, server: &RealServer, port: u16) -> Result<Nginx> {
        Self::start_for(lab, server, port, Purpose::Counting)
    }

    /// As [`start`](Self::start), for loads that a log would slow down: it counts no answers and no clients.
    pub fn start_without_log(lab: &Lab, server: &RealServer, port: u16) -> Result<Nginx> {
        Self::start_for(lab, server, port, Purpose::Load)
    }

    /// It can be told to [`fail`](Self::fail), and [counts](Self::answered) only what comes from the first director of a
    /// [pair](crate::Pair) itself: checks.
    pub fn start_to_fail(lab: &Lab, server: &RealServer, port: u16) -> Result<Nginx> {
        Self::start_for(lab, server, port, Purpose::Failing)
    }

    /// As [`start_without_log`](Self::start_without_log), over TLS. Needs `openssl`.
    pub fn start_with_tls(lab: &Lab, server: &RealServer, port: u16) -> Result<Nginx> {
        Self::start_for(lab, server, port, Purpose::Tls)
    }

    fn start_for(lab: &Lab, server: &RealServer, port: u16, purpose: Purpose) -> Result<Nginx> {
        let place = lab.directory().join(format!("{}-{port}", server.name));
        fs::create_dir_all(&place).when(|| format!("cannot make {}", place.display()))?;
        if let Purpose::Tls = purpose {
            make_certificate(&place)?;
        }
        let file = place.join("nginx.conf");
        fs::write(
            &file,
            configuration(&place, &lab.directory(), &server.name, port, purpose),
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

    /// Lets it answer everything by an error, or as it should; of one that was [started for
    /// it](Self::start_to_fail).
    pub fn fail(&self, failing: bool) -> Result<()> {
        let sign = self.access_log.with_file_name(FAILING);
        let done = if failing {
            fs::write(&sign, "")
        } else {
            fs::remove_file(&sign)
        };
        done.when(|| format!("cannot change {}", sign.display()))
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
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

fn make_certificate(place: &Path) -> Result<()> {
    let mut command = Command::new("openssl");
    let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=lab";
    command.args(words.split(' '));
    command.arg("-keyout").arg(place.join("key.pem"));
    command.arg("-out").arg(place.join("certificate.pem"));
    run(&mut command).map(drop)
}

fn configuration(place: &Path, files: &Path, name: &str, port: u16, purpose: Purpose) -> String {
    let (place, files) = (place.display(), files.display());
    let log = match purpose {
        Purpose::Counting => format!("{place}/access.log short"),
        Purpose::Load | Purpose::Tls => "off".to_owned(),
        Purpose::Failing => format!("{place}/access.log short if=$of_director"),
    };
    let director = match purpose {
        Purpose::Counting | Purpose::Load | Purpose::Tls => String::new(),
        Purpose::Failing => {
            format!(
                "geo $of_director {{ default 0; {} 1; }}",
                crate::pair::FIRST_INSIDE
            )
        }
    };
    // A look at a file for every request: not for loads.
    let failing = match purpose {
        Purpose::Counting | Purpose::Load | Purpose::Tls => String::new(),
        Purpose::Failing => format!("if (-e {place}/{FAILING}) {{ return 500; }}"),
    };
    let (tls, certificate) = match purpose {
        Purpose::Counting | Purpose::Load | Purpose::Failing => ("", String::new()),
        Purpose::Tls => (
            " ssl",
            format!(
                "ssl_certificate {place}/certificate.pem; ssl_certificate_key {place}/key.pem;"
            ),
        ),
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
    {director}
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
        listen {port}{tls} backlog=16384;
        listen [::]:{port}{tls} ipv6only=on backlog=16384;
        {certificate}
        {failing}
        location = / {{ default_type text/plain; return 200 '{name}\\n'; }}
        location = /big {{ default_type application/octet-stream; alias {files}/big; }}
    }}
}}
"
    )
}
