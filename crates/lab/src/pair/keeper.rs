//! What keeps the directors of a pair.

use super::{Pair, site::WEB};
use crate::command::output;
use crate::error::{Result, While};
use crate::network::Family;
use crate::process::Process;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What keeps a director: both read the same `keepalived.conf`.
#[derive(Debug, Clone)]
pub enum Keeper {
    /// keepalived, which commands the kernel's IPVS.
    Keepalived,
    /// `weir run` of this binary.
    Weir(PathBuf),
}

impl Pair {
    /// Starts what keeps director `number`, counted from 0, with its [file](Self::file); what it says is in `log` beside.
    pub fn start(&self, number: usize, keeper: &Keeper) -> Result<Process> {
        let place = self.place(number);
        fs::create_dir_all(&place).when(|| format!("cannot make {}", place.display()))?;
        let file = self.file(number);
        if !file.exists() {
            let text = configuration(number, self.real_servers.len() as u8);
            fs::write(&file, text).when(|| format!("cannot write {}", file.display()))?;
        }
        let mut command = match keeper {
            Keeper::Keepalived => self.keepalived(number, &file),
            Keeper::Weir(binary) => self.weir_run(number, binary, &file)?,
        };
        Process::start(&mut command, &place.join("log"))
    }

    /// `weir ARGUMENTS` as on director `number`, to its end, whatever its exit code.
    pub fn weir(&self, number: usize, binary: &Path, arguments: &[&str]) -> Result<Output> {
        let mut command = self.directors[number].command(binary);
        command.env("WEIR_SOCKET", self.socket(number));
        output(command.args(arguments))
    }

    /// The `keepalived.conf` of director `number`: written when that is started first, and whoever changes it later keeps
    /// what is changed.
    pub fn file(&self, number: usize) -> PathBuf {
        self.place(number).join("keepalived.conf")
    }

    fn place(&self, number: usize) -> PathBuf {
        let name = format!("director{}", number + 1);
        self.lab().directory().join(name)
    }

    fn socket(&self, number: usize) -> PathBuf {
        self.place(number).join("weir.sock")
    }

    fn weir_run(&self, number: usize, binary: &Path, file: &Path) -> Result<Command> {
        let bpffs = self.lab().bpffs()?.join(format!("director{}", number + 1));
        let mut command = self.directors[number].command(binary);
        command.args(["run", "--mode", "tc"]);
        for interface in ["clients", "servers"] {
            command.args(["--interface", interface]);
        }
        command.arg("--config").arg(file);
        command.arg("--socket").arg(self.socket(number));
        command.arg("--bpffs").arg(bpffs);
        command.arg("--state").arg(self.place(number).join("state"));
        Ok(command)
    }

    fn keepalived(&self, number: usize, file: &Path) -> Command {
        let mut command = self.directors[number].command("keepalived");
        command.args(["--dont-fork", "--log-console", "--use-file"]);
        command.arg(file);
        for (option, name) in [
            ("--pid", "parent.pid"),
            ("--vrrp_pid", "vrrp.pid"),
            ("--checkers_pid", "checkers.pid"),
        ] {
            command.arg(option).arg(self.place(number).join(name));
        }
        command
    }
}

/// As an operator would have written it years ago.
fn configuration(number: usize, real_servers: u8) -> String {
    let priority = [150, 100][number];
    let virtual_address = Family::V4.virtual_address();
    let gateway = Family::V4.gateway();
    let mut text = format!(
        "global_defs {{
    router_id director{number}
}}
vrrp_sync_group SITE {{
    group {{
        OUTSIDE
        INSIDE
    }}
}}
vrrp_instance OUTSIDE {{
    state BACKUP
    interface clients
    virtual_router_id 51
    priority {priority}
    advert_int 1
    virtual_ipaddress {{
        {virtual_address}/24
    }}
}}
vrrp_instance INSIDE {{
    state BACKUP
    interface servers
    virtual_router_id 52
    priority {priority}
    advert_int 1
    virtual_ipaddress {{
        {gateway}/24
    }}
}}
virtual_server {virtual_address} {WEB} {{
    delay_loop 1
    lb_algo rr
    lb_kind NAT
    protocol TCP
"
    );
    for number in 1..=real_servers {
        let server = Family::V4.real_server(number);
        text += &format!(
            "    real_server {server} {WEB} {{
        weight 1
        HTTP_GET {{
            url {{
                path /
                status_code 200
            }}
            connect_timeout 1
            retry 1
            delay_before_retry 1
        }}
    }}
"
        );
    }
    text + "}\n"
}
