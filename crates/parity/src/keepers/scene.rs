//! The network of a keeper, and what it is told.

use super::configuration::{self, Edition};
use super::notices::Notices;
use super::servers::{self, SERVERS, Servers};
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use weir_lab::{Lab, Namespace, Process, Signal};

/// Where mail goes.
pub const MAIL: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 250)), 25);

/// Who keeps the director.
#[derive(Clone, Debug)]
pub enum Keeper {
    /// keepalived, with the kernel's IPVS.
    Keepalived,
    /// `weir run` of this binary.
    Weir(PathBuf),
}

impl Keeper {
    fn name(&self) -> &'static str {
        match self {
            Keeper::Keepalived => "keepalived",
            Keeper::Weir(_) => "weir",
        }
    }
}

/// A director, real servers, and a keeper that runs.
pub struct Scene {
    /// They can be told to fail.
    pub servers: Servers,
    /// What the keeper tells.
    pub notices: Notices,
    keeper: Keeper,
    director: Namespace,
    process: Process,
    place: PathBuf,
    socket: PathBuf,
}

impl Scene {
    /// Makes the network and starts the keeper.
    pub fn new(lab: &Lab, keeper: &Keeper) -> Result<Scene> {
        let director = lab.namespace(&format!("{}-director", keeper.name()))?;
        let inside = lab.namespace(&format!("{}-servers", keeper.name()))?;
        director.connect("servers", &inside, "eth0")?;
        director.ip("address add 10.0.0.1/24 dev servers")?;
        director.ip("-6 address add 2001:db8:2::1/64 dev servers")?;
        for number in 1..=SERVERS {
            inside.ip(&format!(
                "address add {}/24 dev eth0",
                servers::address(number)
            ))?;
            inside.ip(&format!(
                "-6 address add {}/64 dev eth0",
                servers::address6(number)
            ))?;
        }
        inside.ip(&format!("address add {}/24 dev eth0", MAIL.ip()))?;
        // The same for both, so that the same is told.
        let place = lab.directory().join("keeper");
        if place.exists() {
            fs::remove_dir_all(&place)?;
        }
        fs::create_dir_all(&place)?;
        write_scripts(&place)?;
        let mails = servers::take_mail(&inside, MAIL)?;
        let notices = Notices::listen(mails, &place)?;
        let servers = Servers::start(&inside, &[3])?;
        let file = place.join("keepalived.conf");
        fs::write(&file, configuration::text(&place, Edition::First))?;
        let socket = place.join("weir.sock");
        let process = start(lab, keeper, &director, &place, &socket)?;
        let mut scene = Scene {
            servers,
            notices,
            keeper: keeper.clone(),
            director,
            process,
            place,
            socket,
        };
        scene.wait_until_it_answers()?;
        Ok(scene)
    }

    /// Lets script `number` end with this code from now on.
    pub fn set_script(&self, number: u8, code: u8) -> Result<()> {
        set_code(&self.place, number, code)
    }

    /// Lets file `number` say another number from now on.
    pub fn set_file(&self, number: u8, value: i32) -> Result<()> {
        let file = self.place.join(format!("file{number}"));
        Ok(fs::write(file, format!("{value}\n"))?)
    }

    /// Lets the keeper read the second edition of its file.
    pub fn reload(&self) -> Result<()> {
        let text = configuration::text(&self.place, Edition::Second);
        fs::write(self.place.join("keepalived.conf"), text)?;
        self.process.signal(Signal::HUP);
        Ok(())
    }

    /// Lets the keeper end.
    pub fn stop(&mut self) -> Result<()> {
        self.process.terminate()?;
        Ok(())
    }

    /// What `ipvsadm -Ln` says.
    pub fn listing(&mut self) -> Result<String> {
        if !self.process.runs() {
            bail!("{} has ended:\n{}", self.keeper.name(), self.process.said());
        }
        let mut command = match &self.keeper {
            Keeper::Keepalived => self.director.command("ipvsadm"),
            Keeper::Weir(binary) => {
                let mut command = self.director.command(binary);
                command.arg("ipvsadm").env("WEIR_SOCKET", &self.socket);
                command
            }
        };
        Ok(weir_lab::run(command.arg("-Ln"))?)
    }

    /// All that the keeper said.
    pub fn said(&self) -> String {
        self.process.said()
    }

    fn wait_until_it_answers(&mut self) -> Result<()> {
        if let Keeper::Keepalived = self.keeper {
            // It may take its time before it begins.
            let began = || {
                self.listing()
                    .is_ok_and(|listing| listing.contains("192.0.2.1:80"))
            };
            return Ok(weir_lab::until(
                "keepalived begins",
                Duration::from_secs(300),
                began,
            )?);
        }
        let (process, socket) = (&mut self.process, &self.socket);
        // The verifier has much to look at, and the guest is slow.
        weir_lab::until("weir answers", Duration::from_secs(300), || {
            !process.runs() || UnixStream::connect(socket).is_ok()
        })?;
        if !process.runs() {
            bail!("weir has ended:\n{}", process.said());
        }
        Ok(())
    }
}

fn start(
    lab: &Lab,
    keeper: &Keeper,
    director: &Namespace,
    place: &Path,
    socket: &Path,
) -> Result<Process> {
    let file = place.join("keepalived.conf");
    let mut command = match keeper {
        Keeper::Keepalived => {
            let mut command = director.command("keepalived");
            command.args(["--dont-fork", "--log-console", "--use-file"]);
            command.arg(file);
            for (option, name) in [("--pid", "parent.pid"), ("--checkers_pid", "checkers.pid")] {
                command.arg(option).arg(place.join(name));
            }
            command
        }
        Keeper::Weir(binary) => {
            let mut command = director.command(binary);
            command.args(["run", "--mode", "tc", "--interface", "servers"]);
            command.arg("--config").arg(file);
            command.arg("--socket").arg(socket);
            command.arg("--bpffs").arg(lab.bpffs()?.join("keepers"));
            command.arg("--state").arg(place.join("state"));
            command
        }
    };
    // What scripts get of it is told too.
    command.env_clear();
    for (name, value) in [
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        ("HOME", "/root"),
        ("TERM", "dumb"),
    ] {
        command.env(name, value);
    }
    Process::start(&mut command, &place.join("log")).context("cannot start the keeper")
}

/// `check` ends with the code in the file that it is given; `note` writes down how it was called.
fn write_scripts(place: &Path) -> Result<()> {
    let notes = place.join("scripts");
    for (name, text) in [
        (
            "check",
            "#!/bin/sh\nread code <\"$1\"\nexit $code\n".to_owned(),
        ),
        (
            "note",
            format!(
                "#!/bin/sh\nnames=$(env | cut -d= -f1 | grep -vx -e _ -e SHLVL -e PWD -e OLDPWD | sort | tr '\\n' ' ')\n\
                 echo \"$# $*; as $(id -un); environment: $names\" >>{}\n",
                notes.display()
            ),
        ),
    ] {
        let path = place.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    for number in 1..=2 {
        set_code(place, number, 0)?;
        fs::write(place.join(format!("file{number}")), "0\n")?;
    }
    Ok(())
}

fn set_code(place: &Path, number: u8, code: u8) -> Result<()> {
    let file = place.join(format!("code{number}"));
    // Whole or not at all: it may be read at this moment.
    let new = place.join("code");
    fs::write(&new, format!("{code}\n"))?;
    Ok(fs::rename(new, file)?)
}
