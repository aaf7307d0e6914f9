//! A network namespace as a value.

use crate::command::{run, words};
use crate::error::{Result, While};
use rustix::process::Signal;
use rustix::thread::LinkNameSpaceType;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A network namespace with a name (`ip -n NAME ...` works on it). Its [`Lab`](crate::Lab) removes it.
#[derive(Debug, Clone)]
pub struct Namespace {
    name: String,
    handle: Arc<File>,
    lasting: bool,
}

impl Namespace {
    /// Makes the namespace and brings its loopback up.
    pub(crate) fn new(name: String, lasting: bool) -> Result<Namespace> {
        run(Command::new("ip").args(["netns", "add", &name]))?;
        let path = path(&name);
        let handle = File::open(&path).when(|| format!("cannot open {}", path.display()))?;
        let namespace = Namespace {
            name,
            handle: Arc::new(handle),
            lasting,
        };
        namespace.ip("link set lo up")?;
        // Addresses are usable at once: there is nobody else on these wires.
        namespace.sysctl("net/ipv6/conf/default/accept_dad", "0")?;
        namespace.sysctl("net/ipv6/conf/default/router_solicitations", "0")?;
        Ok(namespace)
    }

    /// The name that `ip netns` shows.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that will run in this namespace, and that is killed when the thread that started it ends, unless the lab
    /// is to be kept.
    ///
    /// Not `ip netns exec`: that mounts a new /sys, which hides the BPF file system.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let (handle, lasting) = (Arc::clone(&self.handle), self.lasting);
        let mut command = Command::new(program);
        let prepare = move || {
            join(&handle)?;
            if !lasting {
                rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec only these two system calls are made, without allocation or locks; the descriptor
        // is open, since the closure owns it, and close-on-exec acts later.
        unsafe {
            command.pre_exec(prepare);
        }
        command
    }

    /// Runs `work` on a thread of its own inside the namespace. Sockets that it opens stay in there wherever they go.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| join(&self.handle).map(|()| work()));
            match inside.join() {
                Ok(result) => result.when(|| format!("cannot enter namespace {}", self.name)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// `ip LINE` in here.
    pub fn ip(&self, line: &str) -> Result<String> {
        let mut command = Command::new("ip");
        command
            .args(["-n", &self.name])
            .args(line.split_whitespace());
        run(&mut command)
    }

    /// A program and its arguments, separated by blanks, run in here to its end.
    pub fn run(&self, line: &str) -> Result<String> {
        let plain = words(line);
        run(self.command(plain.get_program()).args(plain.get_args()))
    }

    /// Writes a setting below /proc/sys as this namespace sees it.
    pub fn sysctl(&self, name: &str, value: &str) -> Result<()> {
        let path = Path::new("/proc/sys").join(name);
        self.enter(|| std::fs::write(&path, value))?.when(|| {
            format!(
                "cannot write {value} to {} in {}",
                path.display(),
                self.name
            )
        })
    }

    /// Connects `interface` here with `peer` over there by a veth pair, both up.
    pub fn connect(&self, interface: &str, other: &Namespace, peer: &str) -> Result<()> {
        run(Command::new("ip")
            .args([
                "link", "add", "name", interface, "netns", &self.name, "type", "veth",
            ])
            .args(["peer", "name", peer, "netns", &other.name]))?;
        self.ip(&format!("link set {interface} up"))?;
        other.ip(&format!("link set {peer} up"))?;
        Ok(())
    }

    /// Switches an offload of an interface (`tx`, `gro`, `tso`, ...).
    pub fn offload(&self, interface: &str, feature: &str, on: bool) -> Result<()> {
        let state = if on { "on" } else { "off" };
        self.run(&format!("ethtool -K {interface} {feature} {state}"))
            .map(drop)
    }

    /// Forgets all neighbours, so that the next packet has to resolve its own.
    pub fn forget_neighbours(&self) -> Result<()> {
        self.ip("-4 neigh flush all nud all")?;
        self.ip("-6 neigh flush all nud all")?;
        Ok(())
    }
}

/// Where `ip netns` keeps the namespace `name`.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}

fn join(handle: &File) -> io::Result<()> {
    rustix::thread::move_into_link_name_space(handle.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(io::Error::from)
}
