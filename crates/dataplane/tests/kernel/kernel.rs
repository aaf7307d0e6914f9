//! The kernel's bench.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aya::Pod;
use aya::maps::{Array, HashMap, Map, MapData, Stack};
use weir_abi::call::CallKey;
use weir_abi::check::{CheckKey, Checked};
use weir_abi::connection::{Connection4, Connection6};
use weir_abi::counters::Counters;
use weir_abi::flow_table::FlowBucket;
use weir_abi::fragment::{AddressKey, Held};
use weir_abi::hash_table::BucketPage;
use weir_abi::keys::{ServerKey, ServiceKey};
use weir_abi::names;
use weir_abi::pool::PoolAddress;
use weir_abi::reason::{Outcome, Reason};
use weir_abi::service::{Destination, Service};
use weir_abi::settings::{INTERFACE_XDP_TRANSMIT, Interface, Settings};
use weir_abi::tick::Tick;
use weir_control::Tables as _;
use weir_dataplane::{Attachment, Dataplane, TableSizes};
use weir_rows::bench::{Bench, Hook, TIMER_ROUND, Verdict};
use weir_rows::network::Link;

use crate::namespace;

const CONNECTIONS: u32 = 64;
const SLOTS: u32 = 16;
/// As in memory.
const PLACES: u32 = 32;

/// A place for a fragment, as bytes.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct HeldRow([u64; size_of::<Held>() / 8]);

// SAFETY: integers.
unsafe impl Pod for HeldRow {}

/// [`CheckKey`] for aya.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct CheckRow(CheckKey);

// SAFETY: integers without padding.
unsafe impl Pod for CheckRow {}

/// The programs, loaded and attached, on tables of their own.
pub struct Kernel {
    dataplane: Dataplane,
    free4: Stack<MapData, u32>,
    free6: Stack<MapData, u32>,
    reaper: Array<MapData, [u32; 6]>,
    services: Vec<ServiceKey>,
    servers: Vec<ServerKey>,
    addresses: HashSet<AddressKey>,
    fragments: HashMap<MapData, [u32; 10], [u32; 6]>,
    checks: HashMap<MapData, CheckRow, Checked>,
    held: Array<MapData, HeldRow>,
    hook: Hook,
    // Last: it is removed when all else is closed.
    _directory: Directory,
}

/// A directory on the BPF file system that goes with its value.
pub struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        // A test that fails already has said why.
        let _ = weir_dataplane::detach(&self.0);
        let _ = weir_dataplane::realserver::remove(&self.0);
        let _ = fs::remove_dir(&self.0);
    }
}

impl Directory {
    /// One of this process; those of processes that were killed are removed.
    pub fn new() -> Self {
        const PREFIX: &str = "weir-rows-";
        let entries = fs::read_dir("/sys/fs/bpf").expect("a BPF file system at /sys/fs/bpf");
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or("");
            let process = name
                .strip_prefix(PREFIX)
                .and_then(|rest| rest.split('-').next())
                .map(|id| format!("/proc/{id}"));
            if process.is_some_and(|process| !fs::exists(process).unwrap_or(true)) {
                drop(Self(path));
            }
        }
        static TESTS: AtomicU32 = AtomicU32::new(0);
        Self(PathBuf::from(format!(
            "/sys/fs/bpf/{PREFIX}{}-{}",
            std::process::id(),
            TESTS.fetch_add(1, Ordering::Relaxed)
        )))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn table(&self, name: &str) -> Map {
        let path = self
            .0
            .join(format!("v{}", weir_abi::LAYOUT_VERSION))
            .join(name);
        let data = MapData::from_pin(path).expect("the table is pinned");
        Map::from_map_data(data).expect("a table of a known kind")
    }
}

impl Kernel {
    /// Loads and attaches, in the namespace of this thread.
    pub fn new() -> Self {
        let directory = Directory::new();
        let sizes = TableSizes {
            services: SLOTS,
            real_servers: SLOTS,
            connections4: CONNECTIONS,
            connections6: CONNECTIONS,
        };
        let mut dataplane = Dataplane::open(&directory.0, sizes).expect("the programs load");
        for link in Link::ALL {
            let index = namespace::index(link);
            let interface = Interface {
                mac: link.station(),
                flags: INTERFACE_XDP_TRANSMIT,
            };
            dataplane
                .set_interface(index, interface)
                .expect("an interface");
            // BPF_PROG_TEST_RUN takes a device only once XDP is on it.
            dataplane
                .attach(index, namespace::name(link), Attachment::Xdp)
                .expect("the programs attach");
        }
        Self {
            free4: Stack::try_from(directory.table(names::MAP_FREE4)).expect("slots"),
            free6: Stack::try_from(directory.table(names::MAP_FREE6)).expect("slots"),
            reaper: Array::try_from(directory.table(names::MAP_REAPER)).expect("a timer"),
            services: Vec::new(),
            servers: Vec::new(),
            addresses: HashSet::new(),
            fragments: HashMap::try_from(directory.table(names::MAP_FRAGMENTS)).expect("fragments"),
            checks: HashMap::try_from(directory.table(names::MAP_CHECK_REPLIES)).expect("checks"),
            held: Array::try_from(directory.table(names::MAP_HELD)).expect("places"),
            hook: Hook::Xdp,
            dataplane,
            _directory: directory,
        }
    }

    /// Empties all tables, for the next row at that hook.
    pub fn reset(&mut self, hook: Hook) {
        self.hook = hook;
        for record in self.dataplane.connections4() {
            record.word.store(0);
            record.company.controls.store(0);
        }
        for record in self.dataplane.connections6() {
            record.word.store(0);
            record.company.controls.store(0);
        }
        let buckets = self.dataplane.flows4().iter();
        for bucket in buckets.chain(self.dataplane.flows6()) {
            for entry in &bucket.entries {
                entry.store(0);
            }
        }
        while self.free4.pop(0).is_ok() {}
        while self.free6.pop(0).is_ok() {}
        for key in self.services.drain(..) {
            self.dataplane.remove_service(key).expect("a service");
        }
        for key in self.servers.drain(..) {
            self.dataplane.remove_server(key).expect("a real server");
        }
        for record in self.dataplane.services() {
            record.flags.store(0);
            record.length.store(0);
            record.memory.store(0);
        }
        for (slot, record) in (0..).zip(self.dataplane.destinations()) {
            for cell in [
                &record.flags,
                &record.weight,
                &record.active,
                &record.inactive,
            ] {
                cell.store(0);
            }
            for cell in [
                &record.observed.begun,
                &record.observed.answered,
                &record.observed.refused,
                &record.observed.unanswered,
            ] {
                cell.store(0);
            }
            self.dataplane.clear_counters(slot).expect("counters");
        }
        self.addresses.clear();
        let seen: Vec<_> = self.fragments.keys().flatten().collect();
        for key in seen {
            self.fragments.remove(&key).expect("it is there");
        }
        let known: Vec<_> = self.checks.keys().flatten().collect();
        for key in known {
            self.checks.remove(&key).expect("it is there");
        }
        for place in 0..PLACES {
            self.held
                .set(place, HeldRow([0; size_of::<Held>() / 8]), 0)
                .expect("a place");
        }
        let settings = self.dataplane.settings();
        settings.held_capacity.store(PLACES);
        settings.held_hand.store(0);
        settings.held.store(0);
        for (live, high_water, capacity) in [
            (&settings.live4, &settings.high_water4, &settings.capacity4),
            (&settings.live6, &settings.high_water6, &settings.capacity6),
        ] {
            live.store(0);
            high_water.store(0);
            capacity.store(CONNECTIONS);
        }
    }

    fn test_run(&self, link: Link, frame: &[u8]) -> (u32, Vec<u8>) {
        let index = namespace::index(link).to_ne_bytes();
        let mut out = vec![0; 4096];
        // `struct xdp_md` and `struct __sk_buff` (linux/bpf.h), zero but for these fields.
        let mut context = match self.hook {
            Hook::Xdp => vec![0; 24],
            Hook::Tc => vec![0; 192],
        };
        match self.hook {
            Hook::Xdp => {
                context[4..8].copy_from_slice(&(frame.len() as u32).to_ne_bytes());
                context[12..16].copy_from_slice(&index);
            }
            Hook::Tc => context[40..44].copy_from_slice(&index),
        }
        let program = match self.hook {
            Hook::Xdp => names::PROGRAM_XDP,
            Hook::Tc => names::PROGRAM_TC,
        };
        let result = self.dataplane.test_run(program, &context, frame, &mut out);
        let (action, length) = result.unwrap_or_else(|error| {
            panic!(
                "{:?}: BPF_PROG_TEST_RUN of {} bytes: {error:?}",
                self.hook,
                frame.len()
            )
        });
        out.truncate(length);
        (action, out)
    }

    /// What has been counted since.
    fn moved(&self, before: &[(Reason, u64)]) -> Vec<(Reason, u64)> {
        let after = self.dataplane.reasons().expect("reasons");
        before
            .iter()
            .zip(&after)
            .filter(|(before, after)| before != after)
            .map(|(before, after)| (after.0, after.1 - before.1))
            .collect()
    }

    /// What the program must return for a packet of that reason.
    fn check_action(&self, action: u32, reason: Option<Reason>) {
        let fine: &[i64] = match (self.hook, reason.map_or(Outcome::Passed, Reason::outcome)) {
            (Hook::Xdp, Outcome::Passed) => &[2],
            (Hook::Xdp, Outcome::Dropped) => &[1],
            (Hook::Xdp, Outcome::Answered | Outcome::Forwarded) => &[4],
            (Hook::Tc, Outcome::Passed) => &[-1],
            (Hook::Xdp, Outcome::Held) => &[],
            (Hook::Tc, Outcome::Dropped | Outcome::Held) => &[2],
            (Hook::Tc, Outcome::Answered | Outcome::Forwarded) => &[7],
        };
        let action = i64::from(action as i32);
        assert!(
            fine.contains(&action),
            "{:?} returned {action} for {reason:?}",
            self.hook
        );
    }
}

impl Kernel {
    /// What the rows of lblc and lblcr have left can be listed and removed.
    pub fn forgets_localities(&self) {
        let all = self.dataplane.localities().expect("localities");
        assert!(!all.is_empty());
        assert!(all.iter().all(|(_, used)| used.epoch != 0));
        let keys: Vec<_> = all.into_iter().map(|(key, _)| key).collect();
        let remove = || self.dataplane.remove_localities(&keys);
        remove().expect("removed");
        remove().expect("removed before");
        assert!(self.dataplane.localities().expect("localities").is_empty());
    }
}

/// The packet's own reason, and what was counted beside it.
fn told(moved: &[(Reason, u64)]) -> (Option<Reason>, BTreeMap<Reason, u64>) {
    let mut others: BTreeMap<Reason, u64> = moved.iter().copied().collect();
    let own = moved
        .iter()
        .map(|(reason, _)| *reason)
        .find(|reason| matches!(reason, Reason::FragmentsReleased | Reason::Cut))
        .or_else(|| {
            let mut reasons = moved.iter().map(|(reason, _)| *reason);
            let own = reasons.find(|reason| *reason != Reason::FragmentLost);
            own.or(moved.first().map(|(reason, _)| *reason))
        });
    if let Some(count) = own.and_then(|own| others.get_mut(&own)) {
        *count -= 1;
    }
    others.retain(|_, count| *count != 0);
    (own, others)
}

fn count(moved: &[(Reason, u64)]) -> u64 {
    moved.iter().map(|(_, count)| count).sum()
}

impl Bench for Kernel {
    fn hook(&self) -> Hook {
        self.hook
    }
    fn settings(&self) -> &Settings {
        self.dataplane.settings()
    }
    fn services(&self) -> &[Service] {
        self.dataplane.services()
    }
    fn destinations(&self) -> &[Destination] {
        self.dataplane.destinations()
    }
    fn put_service(&mut self, key: ServiceKey, slot: u32) {
        self.dataplane
            .insert_service(key, slot)
            .expect("room for a service");
        self.services.push(key);
    }
    fn put_server(&mut self, key: ServerKey, slot: u32) {
        self.dataplane
            .insert_server(key, slot)
            .expect("room for a real server");
        self.servers.push(key);
    }
    fn call_id(&self, key: CallKey) -> Option<Vec<u8>> {
        Some(self.dataplane.call_id(key)?.bytes().collect())
    }
    fn put_check(&mut self, key: CheckKey, server: Checked) {
        self.checks
            .insert(CheckRow(key), server, 0)
            .expect("room for a check");
    }
    fn bucket_pages(&self) -> &[BucketPage] {
        self.dataplane.bucket_pages()
    }
    fn put_address(&mut self, address: AddressKey) {
        self.addresses.insert(address);
        self.dataplane
            .set_addresses(self.addresses.clone())
            .expect("room for an address");
    }
    fn pools(&self) -> &[PoolAddress] {
        self.dataplane.pools()
    }
    fn reap(&mut self) {
        // The step that was under way may have passed the slots already; after a round and one more
        // all have been looked at.
        let steps = || self.reaper.get(&0, 0).expect("the timer")[4];
        let (begun, start) = (steps(), self.now());
        let deadline = Instant::now() + Duration::from_secs(10);
        while steps().wrapping_sub(begun) <= TIMER_ROUND {
            assert!(Instant::now() < deadline, "the timer stands still");
            std::thread::yield_now();
        }
        // Rows know nothing of the second that this took.
        self.shift(self.now().since(start) as u32);
    }
    fn counters(&self, slot: u32) -> Counters {
        self.dataplane.counters(slot).expect("counters")
    }
    fn connections4(&self) -> &[Connection4] {
        self.dataplane.connections4()
    }
    fn connections6(&self) -> &[Connection6] {
        self.dataplane.connections6()
    }
    fn flows4(&self) -> &[FlowBucket] {
        self.dataplane.flows4()
    }
    fn flows6(&self) -> &[FlowBucket] {
        self.dataplane.flows6()
    }
    fn now(&self) -> Tick {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: a pointer to a timespec that outlives the call.
        let done = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
        assert_eq!(done, 0);
        Tick::from_nanoseconds(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
    }
    fn run(&mut self, link: Link, frame: &[u8]) -> Verdict {
        let before = self.dataplane.reasons().expect("reasons");
        let waiting = self.settings().held.load();
        let (action, frame) = self.test_run(link, frame);
        let mut moved = self.moved(&before);
        // What goes round comes in by the softirq that the kernel runs before this call returns, or
        // soon after.
        if moved.contains(&(Reason::FragmentsReleased, 1)) {
            let round = 1 + waiting - self.settings().held.load();
            let deadline = Instant::now() + Duration::from_secs(5);
            while count(&moved) < 1 + u64::from(round) {
                assert!(Instant::now() < deadline, "{round} go round: {moved:?}");
                std::thread::yield_now();
                moved = self.moved(&before);
            }
        }
        // Each cut lets two pieces go round.
        let cuts = |moved: &[(Reason, u64)]| {
            let cuts = moved.iter().filter(|(reason, _)| *reason == Reason::Cut);
            cuts.map(|(_, count)| count).sum::<u64>()
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        while cuts(&moved) > 0 && count(&moved) < 1 + 2 * cuts(&moved) {
            assert!(Instant::now() < deadline, "pieces go round: {moved:?}");
            std::thread::yield_now();
            moved = self.moved(&before);
        }
        let (reason, others) = told(&moved);
        self.check_action(action, reason);
        Verdict {
            reason,
            frame,
            others,
            round: None,
            copies: None,
        }
    }
}
