//! Programs on interfaces.
//!
//! TC is attached to every interface; XDP before it where the interface's mode says so. An
//! attachment is a pinned link, so it outlives the daemon, and the next daemon puts its own program
//! in its place by updating the link: no packet meets an interface without a program. Where the
//! kernel has no links for TC (before 6.6) the program is a filter of the `clsact` qdisc, with a
//! priority and handle that are known, and its pinned program marks that it is there.
//!
//! While there are checks that go the way of the traffic, real servers that are the director itself, or clients
//! on it, a program for them is at the egress hook too: for clients also at the loopback interface's.

use std::ffi::{CStr, CString};
use std::fs;
use std::path::{Path, PathBuf};

use aya::Ebpf;
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::tc::{
    NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle, qdisc_add_clsact,
    qdisc_detach_program,
};
use aya::programs::{LinkOrder, SchedClassifier, TcAttachType, Xdp, XdpMode};
use aya::util::KernelVersion;
use weir_abi::settings::LOOPBACK_INDEX;
use weir_abi::{names, realserver};

use crate::{Dataplane, Error, link, object, pins};

/// Which programs an interface has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// XDP in the driver, and TC behind it.
    Xdp,
    /// XDP in the kernel's generic path, and TC behind it.
    XdpGeneric,
    /// TC alone.
    Tc,
}

/// A pinned attachment.
pub struct Pinned {
    pub ifindex: u32,
    /// Nothing when the interface is gone.
    pub name: Option<String>,
    /// How packets are taken; nothing for the program at the egress hook.
    pub how: Option<Attachment>,
    path: PathBuf,
    is_filter: bool,
}

/// A classifier, where it is attached, and its place among the filters where the kernel has no links.
pub struct Classifier {
    pub program: &'static str,
    hook: TcAttachType,
    /// The kind in the names of its pins: as a link and as a filter.
    kinds: [&'static str; 2],
    priority: u16,
}

/// The director's.
pub const DIRECTOR: Classifier = Classifier {
    program: names::PROGRAM_TC,
    hook: TcAttachType::Ingress,
    kinds: TAKING,
    priority: 1,
};
/// The director's for what it sends itself.
pub const EGRESS: Classifier = Classifier {
    program: names::PROGRAM_TC_EGRESS,
    hook: TcAttachType::Egress,
    kinds: SENDING,
    priority: 1,
};
/// The real server's, after the director's: a host may be both.
pub const REAL_SERVER: Classifier = Classifier {
    program: realserver::PROGRAM_DECAPSULATE,
    hook: TcAttachType::Ingress,
    kinds: TAKING,
    priority: 2,
};

const TAKING: [&str; 2] = ["tc", "tc-filter"];
const SENDING: [&str; 2] = ["egress", "egress-filter"];
/// The same in every network namespace.
const LOOPBACK: (u32, &str) = (LOOPBACK_INDEX, "lo");
const FILTER_HANDLE: TcHandle = TcHandle::new(0, 1);

impl Attachment {
    const fn kind(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::XdpGeneric => "xdp-generic",
            Self::Tc => "tc",
        }
    }

    fn of_kind(kind: &str) -> Option<Self> {
        match kind {
            "xdp" => Some(Self::Xdp),
            "xdp-generic" => Some(Self::XdpGeneric),
            _ if TAKING.contains(&kind) => Some(Self::Tc),
            _other => None,
        }
    }
}

impl Dataplane {
    /// Puts the programs on an interface, in place of what an earlier daemon has put there.
    ///
    /// # Errors
    ///
    /// When the kernel refuses: the driver has no XDP, somebody else's XDP program is there.
    pub fn attach(&mut self, ifindex: u32, name: &str, how: Attachment) -> Result<(), Error> {
        // TC first: what XDP leaves over must find it.
        attach_classifier(&mut self.object, &self.bpffs, ifindex, name, &DIRECTOR)?;
        for other in [Attachment::Xdp, Attachment::XdpGeneric] {
            if other != how {
                remove_link(&self.link(ifindex, other.kind()))?;
            }
        }
        if self.egress.is_wanted() {
            attach_classifier(&mut self.object, &self.bpffs, ifindex, name, &EGRESS)?;
        }
        match how {
            Attachment::Tc => Ok(()),
            Attachment::Xdp => self.attach_xdp(ifindex, how, XdpMode::Driver),
            Attachment::XdpGeneric => self.attach_xdp(ifindex, how, XdpMode::Skb),
        }
    }

    /// What is attached: interface index, name, and how.
    ///
    /// # Errors
    ///
    /// When the pins cannot be read.
    pub fn attached(&self) -> Result<Vec<(u32, String, Attachment)>, Error> {
        attached(&self.bpffs)
    }

    /// Takes the programs off an interface.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn detach_interface(&mut self, ifindex: u32) -> Result<(), Error> {
        for pinned in pinned(&self.bpffs)? {
            if pinned.ifindex == ifindex {
                remove_of_director(&pinned)?;
            }
        }
        Ok(())
    }

    /// Lets checks go the way of the traffic, on all interfaces where packets are taken, or no more. The
    /// program that does it costs all packets that leave there something: without such checks it is not
    /// there.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn carry_checks(&mut self, wanted: bool) -> Result<(), Error> {
        self.egress.checks = wanted;
        if !wanted {
            weir_control::settings::use_checks(self.settings.first(), false);
        }
        self.settle_egress()?;
        weir_control::settings::use_checks(self.settings.first(), wanted);
        Ok(())
    }

    /// Translates replies of real servers by NAT that are the director itself, on all interfaces where packets
    /// are taken, or no more: by the same program.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn translate_local_replies(&mut self, wanted: bool) -> Result<(), Error> {
        self.egress.local_replies = wanted;
        self.settle_egress()?;
        weir_control::settings::use_local_replies(self.settings.first(), wanted);
        Ok(())
    }

    /// Serves clients on the director itself, on all interfaces where packets are taken and where they leave for
    /// its own addresses, or no more: by the same program.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn serve_local_clients(&mut self, wanted: bool) -> Result<(), Error> {
        self.egress.local_clients = wanted;
        self.settle_egress()?;
        weir_control::settings::use_local_clients(self.settings.first(), wanted);
        Ok(())
    }

    /// Attaches the program for what the director sends itself, or takes it away.
    fn settle_egress(&mut self) -> Result<(), Error> {
        let (index, name) = LOOPBACK;
        let mut wanted: Vec<(u32, String)> = Vec::new();
        if self.egress.is_wanted() {
            let attached = self.attached()?.into_iter();
            wanted.extend(attached.map(|(index, name, _)| (index, name)));
        }
        if self.egress.local_clients {
            wanted.push((index, name.to_owned()));
        }
        for (ifindex, name) in &wanted {
            attach_classifier(&mut self.object, &self.bpffs, *ifindex, name, &EGRESS)?;
        }
        for pinned in pinned(&self.bpffs)? {
            let is_wanted = wanted.iter().any(|(index, _)| *index == pinned.ifindex);
            if pinned.how.is_none() && !is_wanted {
                remove(&pinned, &EGRESS)?;
            }
        }
        Ok(())
    }

    fn link(&self, ifindex: u32, kind: &str) -> PathBuf {
        link_path(&self.bpffs, ifindex, kind)
    }

    fn attach_xdp(&mut self, ifindex: u32, how: Attachment, mode: XdpMode) -> Result<(), Error> {
        object::load_xdp(&mut self.object, &mut self.parts_xdp)?;
        let path = self.link(ifindex, how.kind());
        let program: &mut Xdp = object::program(&mut self.object, names::PROGRAM_XDP)?;
        if path.exists() {
            let link = FdLink::from(PinnedLink::from_pin(&path)?);
            let id = program.attach_to_link(link.try_into()?)?;
            // Closes this process's descriptor; the pin holds the link.
            drop(program.take_link(id)?);
            return Ok(());
        }
        let id = program.attach_to_if_index(ifindex, mode)?;
        let link: FdLink = program.take_link(id)?.try_into()?;
        link.pin(&path)?;
        Ok(())
    }
}

/// Puts a classifier on an interface, in place of what was pinned there before.
pub fn attach_classifier(
    object: &mut Ebpf,
    bpffs: &Path,
    ifindex: u32,
    name: &str,
    classifier: &Classifier,
) -> Result<(), Error> {
    let has_links =
        KernelVersion::current().is_ok_and(|running| running >= KernelVersion::new(6, 6, 0));
    if !has_links {
        return attach_filter(object, bpffs, ifindex, name, classifier);
    }
    let [kind, _] = classifier.kinds;
    let path = link_path(bpffs, ifindex, kind);
    let program: &mut SchedClassifier = object::program(object, classifier.program)?;
    if path.exists() {
        let link = FdLink::from(PinnedLink::from_pin(&path)?);
        let id = program.attach_to_link(link.try_into()?)?;
        drop(program.take_link(id)?);
        return Ok(());
    }
    let order = TcAttachOptions::TcxOrder(LinkOrder::default());
    let id = program.attach_with_options(name, classifier.hook, order)?;
    let link: FdLink = program.take_link(id)?.try_into()?;
    link.pin(&path)?;
    Ok(())
}

fn attach_filter(
    object: &mut Ebpf,
    bpffs: &Path,
    ifindex: u32,
    name: &str,
    classifier: &Classifier,
) -> Result<(), Error> {
    let [_, kind] = classifier.kinds;
    let path = link_path(bpffs, ifindex, kind);
    let program: &mut SchedClassifier = object::program(object, classifier.program)?;
    let is_there = path.exists();
    let id = if is_there {
        let link = SchedClassifierLink::attached(
            name,
            classifier.hook,
            classifier.priority,
            FILTER_HANDLE,
            None,
        )
        .map_err(|source| pins::at(&path, source))?;
        program.attach_to_link(link)?
    } else {
        // There already is as good.
        let _ = qdisc_add_clsact(name);
        let options = TcAttachOptions::Netlink(NlOptions {
            priority: classifier.priority,
            handle: FILTER_HANDLE,
            classid: None,
        });
        program.attach_with_options(name, classifier.hook, options)?
    };
    // Dropped, such a link detaches; and the filter is to stay.
    std::mem::forget(program.take_link(id)?);
    remove_pin(&path)?;
    program.pin(&path)?;
    Ok(())
}

fn link_path(bpffs: &Path, ifindex: u32, kind: &str) -> PathBuf {
    pins::links_directory(bpffs).join(format!("{ifindex}-{kind}"))
}

/// What is attached: index, name, how. Asks the pins alone, so that it can be known before the tables are
/// opened.
///
/// # Errors
///
/// When the kernel refuses.
pub fn attached(bpffs: &Path) -> Result<Vec<(u32, String, Attachment)>, Error> {
    let mut attached: Vec<(u32, String, Attachment)> = Vec::new();
    for pinned in pinned(bpffs)? {
        let (Some(name), Some(how)) = (pinned.name, pinned.how) else {
            continue;
        };
        match attached.iter_mut().find(|known| known.0 == pinned.ifindex) {
            // XDP has TC behind it: one line for both.
            Some(known) if known.2 == Attachment::Tc => known.2 = how,
            Some(_) => {}
            None => attached.push((pinned.ifindex, name, how)),
        }
    }
    attached.sort_by_key(|known| known.0);
    Ok(attached)
}

/// All attachments that are pinned.
pub fn pinned(bpffs: &Path) -> Result<Vec<Pinned>, Error> {
    let mut all = Vec::new();
    for path in pins::read_directory(&pins::links_directory(bpffs))? {
        let Some((index, kind)) = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.split_once('-'))
        else {
            continue;
        };
        let how = Attachment::of_kind(kind);
        let (Ok(ifindex), true) = (index.parse(), how.is_some() || SENDING.contains(&kind)) else {
            continue;
        };
        let is_filter = TAKING[1] == kind || SENDING[1] == kind;
        all.push(Pinned {
            ifindex,
            name: interface_name(ifindex),
            how,
            path,
            is_filter,
        });
    }
    all.sort_by_key(|pinned| pinned.ifindex);
    Ok(all)
}

/// Takes one attachment of a director away.
pub fn remove_of_director(pinned: &Pinned) -> Result<(), Error> {
    let classifier = match pinned.how {
        Some(_) => &DIRECTOR,
        None => &EGRESS,
    };
    remove(pinned, classifier)
}

/// Takes one attachment away.
pub fn remove(pinned: &Pinned, classifier: &Classifier) -> Result<(), Error> {
    if !pinned.is_filter {
        return remove_link(&pinned.path);
    }
    if let Some(name) = &pinned.name {
        // Not found is as good: somebody has removed the qdisc.
        let _ = qdisc_detach_program(name, classifier.hook, classifier.program);
    }
    remove_pin(&pinned.path)
}

fn remove_link(path: &Path) -> Result<(), Error> {
    match link::detach(path) {
        Ok(()) => {}
        // Never attached, or its interface is gone and the link defunct.
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound
                || error.raw_os_error() == Some(libc::ENOLINK) => {}
        Err(source) => return Err(pins::at(path, source)),
    }
    remove_pin(path)
}

fn remove_pin(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(pins::at(path, source)),
    }
}

/// The name of an interface of this network namespace.
fn interface_name(ifindex: u32) -> Option<String> {
    let mut buffer = [0; libc::IF_NAMESIZE];
    // SAFETY: the buffer has the size that the call wants.
    let name = unsafe { libc::if_indextoname(ifindex, buffer.as_mut_ptr()) };
    if name.is_null() {
        return None;
    }
    // SAFETY: the call has put a terminated name there.
    let name: CString = unsafe { CStr::from_ptr(name) }.to_owned();
    name.into_string().ok()
}
