//! Weir on the director.

use crate::say;
use crate::service::Service;
use crate::topology::{CLIENTS_SIDE, SERVERS_SIDE, Topology};
use anyhow::{Context, Result, bail};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use weir_lab::{Namespace, Process, until};

/// How many connections the tables have room for.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Of IPv4.
    pub connections4: u32,
    /// Of IPv6.
    pub connections6: u32,
}

/// A daemon and what it set up; dropped, it is killed.
pub struct Weir {
    binary: PathBuf,
    socket: PathBuf,
    bpffs: PathBuf,
    director: Namespace,
    _process: Process,
}

impl Weir {
    /// Starts it on the director, with the service.
    pub fn start(
        topology: &Topology,
        binary: &Path,
        mode: &str,
        room: Room,
        service: &Service,
    ) -> Result<Weir> {
        topology.own_virtual_address()?;
        let directory = topology.directory();
        let (config, socket) = (directory.join("weir.toml"), directory.join("weir.sock"));
        let bpffs = topology.bpffs()?.join("weir");
        let Room {
            connections4,
            connections6,
        } = room;
        std::fs::write(
            &config,
            format!("[tables]\nconnections = {connections4}\nconnections6 = {connections6}\n"),
        )?;
        let mut command = topology.director.command(binary);
        command.arg("run").args(["--mode", mode]);
        for (name, path) in [
            ("--config", &config),
            ("--socket", &socket),
            ("--bpffs", &bpffs),
        ] {
            command.arg(name).arg(path);
        }
        command.args(["--interface", CLIENTS_SIDE, "--interface", SERVERS_SIDE]);
        let mut process = Process::start(&mut command, &directory.join("weir.log"))?;
        until(
            "weir answering on its socket",
            Duration::from_secs(300),
            || !process.runs() || UnixStream::connect(&socket).is_ok(),
        )?;
        if !process.runs() {
            bail!("weir ended by itself: {}", process.said());
        }
        let weir = Weir {
            binary: binary.to_owned(),
            socket,
            bpffs,
            director: topology.director.clone(),
            _process: process,
        };
        service.restore(topology, &mut weir.command(&["ipvsadm"]))?;
        say::note(&format!(
            "Weir {mode}: {}, tables for {connections4} connections of IPv4, {connections6} of IPv6",
            crate::contender::version(binary, "--version")
        ));
        Ok(weir)
    }

    /// `weir ipvsadm WORDS`, to its end.
    pub fn ipvsadm(&self, words: &[&str]) -> Result<String> {
        Ok(weir_lab::run(self.command(&["ipvsadm"]).args(words))?)
    }

    /// Connections that the listing counts, active and not.
    pub fn connections(&self) -> Result<u64> {
        let said = self.ipvsadm(&["-L", "-n"])?;
        let rows = said
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("->"));
        let counts = rows.skip(1).map(|row| {
            let fields: Vec<&str> = row.split_whitespace().collect();
            let last = fields
                .iter()
                .rev()
                .take(2)
                .map(|count| count.parse::<u64>());
            last.sum::<std::result::Result<u64, _>>()
                .with_context(|| format!("expected two counts at the end of `{row}`"))
        });
        counts.sum()
    }

    /// Memory of everything that is pinned, as the kernel counts it.
    pub fn bytes(&self) -> Result<u64> {
        let mut sum = 0;
        let mut places = vec![self.bpffs.clone()];
        while let Some(place) = places.pop() {
            for entry in std::fs::read_dir(&place)? {
                let path = entry?.path();
                if path.is_dir() {
                    places.push(path);
                } else if let Ok(map) = aya::maps::MapData::from_pin(&path) {
                    // Programs and links are pinned there too.
                    sum += locked(map.fd().as_fd().as_raw_fd())?;
                }
            }
        }
        Ok(sum)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.director.command(&self.binary);
        command.args(words).env("WEIR_SOCKET", &self.socket);
        command
    }
}

/// The memory of what a descriptor stands for, if that is a map.
fn locked(descriptor: i32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}"))?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    if field("map_type:").is_none() {
        return Ok(0);
    }
    let value = field("memlock:").context("the kernel does not say how much memory a map has")?;
    Ok(value.trim().parse()?)
}
