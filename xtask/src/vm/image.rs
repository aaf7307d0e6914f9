//! The images that the machine boots from, made once and kept in the cache.

use super::{
    Series,
    kernel::{self, Kernel},
    tools::{self, call, progress},
};
use anyhow::{Context, bail};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

/// What a guest has beyond Debian's minimal root.
const PACKAGES: &str = "iproute2,ipvsadm,nftables,python3-minimal,libpython3-stdlib,kmod,procps,tcpdump,bpftool,\
                        iputils-ping,nginx-light,curl,conntrack,netcat-openbsd,strace,ethtool,keepalived";

/// Run as process 1 from the initial file system, to find the root.
const FIRST: &str = r"#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc p /proc; $b mount -t sysfs s /sys; $b mount -t devtmpfs d /dev
for m in $($b cat /modules/order); do $b insmod /modules/$m; done
$b mount -t ext4 -o rw /dev/vda /root && exec $b switch_root /root /init
";

/// Run as process 1 from the root: runs the job and switches the machine off.
const INIT: &str = r#"#!/bin/bash
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev 2>/dev/null; mkdir -p /dev/pts /dev/shm
mount -t devpts p /dev/pts; mount -t tmpfs t /run; mount -t tmpfs t /tmp
mount -t bpf b /sys/fs/bpf 2>/dev/null; mount -t cgroup2 c /sys/fs/cgroup 2>/dev/null
mount -t ext4 -o ro /dev/vdb /lib/modules
modprobe virtio_console
# The ports come up one by one, some time after their driver.
until [[ -c $output && -c $status ]]; do
  sleep 0.01
  for port in /sys/class/virtio-ports/*; do read -r name <$port/name && declare "$name=/dev/${port##*/}"; done
done 2>/dev/null
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
ip link set lo up
mkdir -p /job; cd /job; tar -xf /dev/vdc
(exec bash ./main </dev/null >$output 2>&1)
echo $? >$status
echo o >/proc/sysrq-trigger; sleep 60
"#;

/// Modules without which the root cannot be mounted, with what they need.
const FIRST_MODULES: &[&str] = &["virtio_pci", "virtio_blk", "ext4", "crc32c_generic"];

/// Parts of the kernel's modules that a guest may load.
const MODULES: &[&str] = &[
    "net",
    "lib",
    "crypto",
    "arch/x86/crypto",
    "drivers/char",
    "drivers/virtio",
    "drivers/net",
    "fs/fuse",
];

/// What a machine boots from.
pub struct Image {
    /// The kernel.
    pub kernel: PathBuf,
    /// The initial file system, which mounts the root.
    pub initial: PathBuf,
    /// The root file system.
    pub root: PathBuf,
    /// The file system of `/lib/modules`.
    pub modules: PathBuf,
}

/// Makes what is missing of the images for a kernel.
pub fn prepare(series: &Series) -> anyhow::Result<Image> {
    let cache = cache()?;
    fs::create_dir_all(&cache)
        .with_context(|| format!("cannot make the cache {}", cache.display()))?;
    // Two that want the same image: one makes it, the other waits.
    let lock = File::create(cache.join("lock"))?;
    lock.lock()?;
    tools::install()?;
    let root = cache.join("root.img");
    keep(&root, &root_recipe()?, make_root)?;
    let package = kernel::package(series)?;
    let directory = cache.join(&package);
    keep(
        &directory,
        &format!("{FIRST}{FIRST_MODULES:?}{MODULES:?}"),
        |work| make_kernel(&package, work),
    )?;
    Ok(Image {
        kernel: directory.join("vmlinuz"),
        initial: directory.join("initial.cpio"),
        modules: directory.join("modules.img"),
        root,
    })
}

fn cache() -> anyhow::Result<PathBuf> {
    let user = match std::env::var_os("XDG_CACHE_HOME") {
        Some(directory) => PathBuf::from(directory),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(user.join("weir/vm"))
}

/// Makes `path` with `make`, unless it was made by the same recipe. What is made appears whole or not at all.
fn keep(
    path: &Path,
    recipe: &str,
    make: impl FnOnce(&Path) -> anyhow::Result<PathBuf>,
) -> anyhow::Result<()> {
    let note = path.with_file_name(format!(
        "{}.recipe",
        path.file_name().unwrap_or_default().to_string_lossy()
    ));
    if path.exists() && fs::read_to_string(&note).is_ok_and(|made_by| made_by == recipe) {
        return Ok(());
    }
    let work = path.with_file_name("work");
    remove(&work)?;
    fs::create_dir_all(&work)?;
    let made = make(&work);
    if let Ok(made) = &made {
        remove(path)?;
        fs::rename(made, path)?;
        fs::write(&note, recipe)?;
    }
    remove(&work)?;
    made.map(drop)
}

fn remove(path: &Path) -> anyhow::Result<()> {
    let done = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match done {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// All that the root is made from: its programs are those of this machine's Debian release, so that what was built here
/// runs there.
fn root_recipe() -> anyhow::Result<String> {
    Ok(format!("{}\n{PACKAGES}\n{INIT}", suite()?))
}

fn suite() -> anyhow::Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("cannot tell the Debian release")?;
    let suite = text
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(suite
        .context("/etc/os-release names no release")?
        .trim_matches('"')
        .to_owned())
}

/// The mirror that apt takes Debian from.
fn mirror(suite: &str) -> anyhow::Result<String> {
    let targets = call(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(SUITE)$(RELEASE) $(REPO_URI)",
        "Created-By: Packages",
    ]))?;
    let mirror = targets.lines().find_map(|line| {
        let (release, uri) = line.split_once(' ')?;
        release
            .split(',')
            .any(|name| name.ends_with(suite))
            .then(|| uri.to_owned())
    });
    mirror.with_context(|| format!("apt's sources have no {suite}"))
}

fn make_root(work: &Path) -> anyhow::Result<PathBuf> {
    let (suite, root) = (suite()?, work.join("root"));
    progress(&format!(
        "making the root file system of Debian {suite} (a minute or two, once)"
    ));
    if !fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        bail!("making the root file system needs root: run this once with sudo");
    }
    call(
        Command::new("debootstrap")
            .args([
                "--variant=minbase",
                &format!("--include={PACKAGES}"),
                &suite,
            ])
            .arg(&root)
            .arg(mirror(&suite)?),
    )?;
    write_program(&root.join("init"), INIT)?;
    fs::create_dir_all(root.join("lib/modules"))?;
    for unused in [
        "var/cache/apt",
        "var/lib/apt/lists",
        "usr/share/doc",
        "usr/share/locale",
        "usr/share/man",
    ] {
        remove(&root.join(unused))?;
    }
    make_file_system(&root, &work.join("root.img"), 1536)
}

fn make_kernel(package: &str, work: &Path) -> anyhow::Result<PathBuf> {
    progress(&format!("fetching {package}"));
    let kernel = kernel::unpack(package, work)?;
    let made = work.join("made");
    fs::create_dir_all(&made)?;
    fs::copy(&kernel.image, made.join("vmlinuz"))?;
    make_initial(&kernel, work, &made.join("initial.cpio"))?;
    make_modules(&kernel, work, &made.join("modules.img"))?;
    Ok(made)
}

/// The initial file system: a shell, and the modules that the root needs.
fn make_initial(kernel: &Kernel, work: &Path, into: &Path) -> anyhow::Result<()> {
    let initial = work.join("initial");
    for directory in ["bin", "modules", "proc", "sys", "dev", "root"] {
        fs::create_dir_all(initial.join(directory))?;
    }
    fs::copy(
        tools::find("busybox").context("no busybox")?,
        initial.join("bin/busybox"),
    )?;
    write_program(&initial.join("init"), FIRST)?;
    call(
        Command::new("depmod")
            .arg("-b")
            .arg(&kernel.root)
            .arg(&kernel.release),
    )?;
    let mut order = String::new();
    for module in FIRST_MODULES {
        let needed = call(
            Command::new("modprobe")
                .arg("--dirname")
                .arg(&kernel.root)
                .args(["--set-version", &kernel.release, "--show-depends", module]),
        )?;
        for file in needed
            .lines()
            .filter_map(|line| line.strip_prefix("insmod "))
        {
            let file = Path::new(file.trim());
            let name = file
                .file_name()
                .context("modprobe named no file")?
                .to_string_lossy()
                .into_owned();
            let plain = name.trim_end_matches(".xz");
            if order.lines().any(|line| line == plain) {
                continue;
            }
            fs::copy(file, initial.join("modules").join(&name))?;
            order.push_str(plain);
            order.push('\n');
        }
    }
    decompress(&initial)?;
    fs::write(initial.join("modules/order"), order)?;
    let script = "find . | cpio --quiet -o -H newc >\"$1\"";
    call(
        Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(into)
            .current_dir(&initial),
    )?;
    Ok(())
}

fn make_modules(kernel: &Kernel, work: &Path, into: &Path) -> anyhow::Result<PathBuf> {
    let root = work.join("modules");
    let (from, to) = (
        kernel.root.join("lib/modules").join(&kernel.release),
        root.join("lib/modules").join(&kernel.release),
    );
    fs::create_dir_all(to.join("kernel"))?;
    for list in [
        "modules.builtin",
        "modules.builtin.modinfo",
        "modules.order",
    ] {
        fs::copy(from.join(list), to.join(list))?;
    }
    for part in MODULES
        .iter()
        .filter(|part| from.join("kernel").join(part).is_dir())
    {
        let parent = to
            .join("kernel")
            .join(part)
            .parent()
            .context("a part has a parent")?
            .to_owned();
        fs::create_dir_all(&parent)?;
        call(
            Command::new("cp")
                .arg("-r")
                .arg(from.join("kernel").join(part))
                .arg(&parent),
        )?;
    }
    for hardware in ["wireless", "ethernet", "usb", "can", "wan"] {
        remove(&to.join("kernel/drivers/net").join(hardware))?;
    }
    // Decompressing is the host's work: the guest is some thirty times slower.
    decompress(&to)?;
    call(
        Command::new("depmod")
            .arg("-b")
            .arg(&root)
            .arg(&kernel.release),
    )?;
    make_file_system(&root.join("lib/modules"), into, 256)
}

fn decompress(directory: &Path) -> anyhow::Result<()> {
    call(
        Command::new("find")
            .arg(directory)
            .args(["-name", "*.ko.xz", "-exec", "xz", "-d", "{}", "+"]),
    )?;
    Ok(())
}

fn make_file_system(from: &Path, image: &Path, mib: u64) -> anyhow::Result<PathBuf> {
    File::create(image)?.set_len(mib << 20)?;
    call(
        Command::new("mkfs.ext4")
            .args(["-q", "-m", "0", "-O", "^has_journal", "-d"])
            .args([from, image]),
    )?;
    Ok(image.to_owned())
}

fn write_program(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
