//! `cargo xtask setup`: installs what is missing, and says what it did.

use crate::toolchain::{self, Compiler, LINKER_VERSION};
use crate::{place, step};
use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;

/// What needs a tool: some is needed only for tests and the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Building `weir`.
    Build,
    /// Networks of namespaces with real programs in them.
    Lab,
    /// As [`Lab`](Self::Lab), with what Weir is measured beside.
    Bench,
}

impl Purpose {
    fn tools(self) -> impl Iterator<Item = &'static Tool> {
        let lists: &[&[Tool]] = match self {
            Purpose::Build => &[],
            Purpose::Lab => &[LAB],
            Purpose::Bench => &[LAB, BENCH],
        };
        lists.iter().copied().flatten()
    }
}

/// A program, what it is for, and Debian's package of it.
struct Tool {
    // A name to be found along PATH, or a whole path.
    program: &'static str,
    package: &'static str,
    why: &'static str,
}

const LAB: &[Tool] = &[
    tool("ip", "iproute2", "makes namespaces and their wires"),
    tool("ethtool", "ethtool", "switches offloads of the wires"),
    tool(
        "nginx",
        "nginx-light",
        "is the web site behind the director",
    ),
    tool("curl", "curl", "asks for it"),
    tool("wrk", "wrk", "asks for it often"),
    tool("ping", "iputils-ping", "asks the director itself"),
    tool("socat", "socat", "sends frames made by hand"),
    tool("vsftpd", "vsftpd", "is the FTP site behind the director"),
    tool("sipp", "sip-tester", "calls by SIP, and is called"),
    tool(
        "dnsmasq",
        "dnsmasq-base",
        "is the DNS server behind the director",
    ),
    tool("dig", "bind9-dnsutils", "asks it"),
    tool("dnsperf", "dnsperf", "asks it often"),
    tool("traceroute", "traceroute", "asks every hop"),
    tool(
        "tracepath",
        "iputils-tracepath",
        "asks for the size that gets through",
    ),
    tool(
        "keepalived",
        "keepalived",
        "is the other VRRP router on the link",
    ),
    tool("bpftool", "bpftool", "shows what is attached in the kernel"),
];

const BENCH: &[Tool] = &[
    tool(
        "openssl",
        "openssl",
        "makes the certificate of a web site over TLS",
    ),
    tool("nft", "nftables", "is measured: destination NAT"),
    tool("conntrack", "conntrack", "empties the kernel's table of it"),
    tool("haproxy", "haproxy", "is measured: a proxy"),
    tool(
        STREAM_MODULE,
        "libnginx-mod-stream",
        "is measured: nginx as a proxy",
    ),
    tool("iperf3", "iperf3", "sends and receives in bulk"),
];

/// nginx's proxy for plain TCP, as Debian installs it.
pub const STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// Debian's compiler for BPF; the linker is built against the same LLVM.
const COMPILER_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"];
const LLVM_PACKAGE: &str = "llvm-22-dev";
const LLVM_PREFIX: &str = "/usr/lib/llvm-22";

const fn tool(program: &'static str, package: &'static str, why: &'static str) -> Tool {
    Tool {
        program,
        package,
        why,
    }
}

/// Sees that everything is there; installs what is missing on Debian, names it elsewhere.
pub fn run(purpose: Purpose) -> Result<()> {
    println!("set-up");
    let compiler = Compiler::find();
    let linker = toolchain::linker();
    let tools: Vec<&Tool> = purpose
        .tools()
        .filter(|tool| place::program(tool.program).is_none())
        .collect();
    if compiler.is_none() || linker.is_none() || !tools.is_empty() {
        if !is_debian() {
            bail!(missing(compiler, linker.is_some(), &tools));
        }
        install(compiler, linker.is_some(), &tools)?;
    }
    let Some(compiler) = Compiler::find() else {
        bail!(
            "the packages are installed, but /usr/bin/rustc still has no core for BPF: is it another rustc?"
        );
    };
    println!("  packet programs: {}", compiler.describe());
    Ok(())
}

fn install(compiler: Option<Compiler>, has_linker: bool, tools: &[&Tool]) -> Result<()> {
    let mut packages: Vec<&str> = tools.iter().map(|tool| tool.package).collect();
    if compiler.is_none() {
        packages.extend(COMPILER_PACKAGES);
    }
    if !has_linker && !Path::new(LLVM_PREFIX).join("bin/llvm-config").exists() {
        packages.push(LLVM_PACKAGE);
    }
    if !packages.is_empty() {
        install_packages(&packages)?;
    }
    if !has_linker {
        let mut command = place::cargo();
        command.args(["install", "bpf-linker", "--version", LINKER_VERSION]);
        command.args(["--no-default-features", "--features", "llvm-22"]);
        // Ours may be set for this clone only; the linker is for the machine.
        command
            .env_remove("CARGO_TARGET_DIR")
            .env("LLVM_PREFIX", LLVM_PREFIX);
        step::run(
            &format!("build and install bpf-linker {LINKER_VERSION} (a minute or two)"),
            &mut command,
        )?;
    }
    Ok(())
}

fn install_packages(packages: &[&str]) -> Result<()> {
    let title = format!("install {}", packages.join(" "));
    if !weir_lab::is_root() {
        bail!("root is needed to {title}");
    }
    let _guard = NoServices::new()?;
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("-y");
        command
    };
    step::run("fetch Debian's package lists", apt().arg("update"))?;
    step::run(
        &title,
        apt()
            .args(["install", "--no-install-recommends"])
            .args(packages),
    )?;
    Ok(())
}

/// While it lives, packages do not start services: installing nginx must not put a web server on this machine's port 80.
struct NoServices(bool);

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl NoServices {
    fn new() -> Result<NoServices> {
        use std::os::unix::fs::PermissionsExt;
        let ours = !Path::new(POLICY).exists();
        if ours {
            std::fs::write(POLICY, "#!/bin/sh\nexit 101\n")?;
            std::fs::set_permissions(POLICY, std::fs::Permissions::from_mode(0o755))?;
        }
        Ok(NoServices(ours))
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.0 {
            // Nothing to be done if it is gone.
            let _ = std::fs::remove_file(POLICY);
        }
    }
}

/// Says what a system that is not Debian lacks.
fn missing(compiler: Option<Compiler>, has_linker: bool, tools: &[&Tool]) -> String {
    let mut text = String::from("this is not Debian, so nothing was installed. Missing:\n");
    if compiler.is_none() {
        text.push_str("  a compiler for the packet programs: rustup toolchain install nightly --component rust-src\n");
    }
    if !has_linker {
        text.push_str(
            "  bpf-linker, built against the LLVM of that compiler: cargo install bpf-linker\n",
        );
    }
    for tool in tools {
        text.push_str(&format!(
            "  {}, which {} (Debian: {})\n",
            tool.program, tool.why, tool.package
        ));
    }
    text.push_str("Install these and run this again.");
    text
}

fn is_debian() -> bool {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    place::program("apt-get").is_some() && release.lines().any(|line| line.trim() == "ID=debian")
}

#[cfg(test)]
mod tests {
    use super::{Compiler, Purpose, missing};

    #[test]
    fn a_system_that_is_not_debian_is_told_what_it_lacks_and_no_more() {
        let nothing_there = missing(None, false, &Purpose::Bench.tools().collect::<Vec<_>>());
        for needed in [
            "nightly --component rust-src",
            "cargo install bpf-linker",
            "nginx",
            "ethtool",
            "haproxy",
        ] {
            assert!(
                nothing_there.contains(needed),
                "{needed} is not in: {nothing_there}"
            );
        }
        let only_linker = missing(Some(Compiler::Nightly), false, &[]);
        assert!(
            only_linker.contains("bpf-linker") && !only_linker.contains("rust-src"),
            "{only_linker}"
        );
    }
}
