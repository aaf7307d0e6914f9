//! The object with the packet programs.

use std::num::NonZero;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

use aya::maps::{MapData, ProgramArray};
use aya::programs::{Program, SchedClassifier, TestRun as _, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use weir_abi::flow_table::buckets_for;
use weir_abi::locality::LOCALITIES_OF_SERVICE;
use weir_abi::pool::POOL_PLACES;
use weir_abi::{names, realserver};

use crate::{Error, TableSizes, pins};

#[cfg(feature = "embed-bpf")]
const OBJECT: Option<&[u8]> = Some(aya::include_bytes_aligned!(concat!(
    env!("OUT_DIR"),
    "/weir-ebpf"
)));
#[cfg(not(feature = "embed-bpf"))]
const OBJECT: Option<&[u8]> = None;

/// Loads the programs, on tables that are pinned already or are made and pinned now.
pub fn load(bpffs: &Path, sizes: TableSizes) -> Result<Ebpf, Error> {
    let bytes = OBJECT.ok_or(Error::NoPrograms)?;
    let mut loader = EbpfLoader::new();
    for (name, size) in table_sizes(sizes) {
        loader.map_max_entries(name, size.max(1));
    }
    // A real server's, which has its own.
    for name in [realserver::MAP_PREPARED, realserver::MAP_PORTIONS] {
        loader.map_max_entries(name, 1);
    }
    for name in names::MAPS {
        loader.map_pin_path(name, pins::table(bpffs, name));
    }
    let mut object = loader.load(bytes)?;
    let first = [
        names::PROGRAM_START_REAPER,
        names::PROGRAM_TC,
        names::PROGRAM_TC_EGRESS,
    ];
    let local = PARTS_TC_APART.map(|(_, name)| name);
    verify(&mut object, &[&PARTS_TC[..], &local, &first].concat())?;
    Ok(object)
}

/// Loads XDP's programs: they take a second, so only where an interface has XDP. Once is enough.
pub fn load_xdp(object: &mut Ebpf, parts: &mut ProgramArray<MapData>) -> Result<(), Error> {
    if loaded::<Xdp>(object, names::PROGRAM_XDP)?.fd().is_ok() {
        return Ok(());
    }
    verify(object, &PARTS_XDP)?;
    for (number, name) in (0..).zip(PARTS_XDP) {
        parts.set(number, loaded::<Xdp>(object, name)?.fd()?, 0)?;
    }
    // The last one: while it is not there, this is to be done again.
    verify(object, &[names::PROGRAM_XDP])
}

/// Hands programs to the kernel, on all processors at once: the verifier looks at each of them for up to a second.
fn verify(object: &mut Ebpf, names: &[&'static str]) -> Result<(), Error> {
    for name in names {
        object.program(name).ok_or(Error::NoSuchProgram(name))?;
    }
    let waiting: Vec<&mut Program> = object
        .programs_mut()
        .filter_map(|(name, program)| names.contains(&name).then_some(program))
        .collect();
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = threads.min(waiting.len());
    let waiting = Mutex::new(waiting);
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let work = || {
        while let Some(program) = next() {
            if let Program::Xdp(program) = program {
                program.load()?;
            } else {
                <&mut SchedClassifier>::try_from(program)?.load()?;
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        others.into_iter().fold(own, |so_far, other| {
            so_far.and(
                other
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            )
        })
    })
}

/// Loads the program of a real server alone. Its tables are pinned in `directory`; those of a
/// director, which the object has too, are made as small as can be, and go with the object.
pub fn load_decapsulation(directory: &Path) -> Result<Ebpf, Error> {
    let bytes = OBJECT.ok_or(Error::NoPrograms)?;
    let mut loader = EbpfLoader::new();
    for name in names::MAPS {
        loader.map_max_entries(name, 1);
    }
    for name in [realserver::MAP_PREPARED, realserver::MAP_DECAPSULATIONS] {
        loader.map_pin_path(name, directory.join(name));
    }
    let mut object = loader.load(bytes)?;
    program::<SchedClassifier>(&mut object, realserver::PROGRAM_DECAPSULATE)?.load()?;
    Ok(object)
}

/// XDP's parts, by their numbers (`weir_forward::part::Part`).
const PARTS_XDP: [&str; 2] = [names::PROGRAM_XDP_LENGTH4, names::PROGRAM_XDP_LENGTH6];

/// TC's parts.
const PARTS_TC: [&str; 21] = [
    names::PROGRAM_TC_LENGTH4,
    names::PROGRAM_TC_LENGTH6,
    names::PROGRAM_TC_RELATED,
    names::PROGRAM_TC_FRAGMENT,
    names::PROGRAM_TC_APPLICATION4,
    names::PROGRAM_TC_SELDOM4,
    names::PROGRAM_TC_SELDOM6,
    names::PROGRAM_TC_CARRY4,
    names::PROGRAM_TC_CARRY6,
    names::PROGRAM_TC_APPLICATION6,
    names::PROGRAM_TC_TUNNELLED,
    names::PROGRAM_TC_CHECK,
    names::PROGRAM_TC_CROSS4,
    names::PROGRAM_TC_CROSS6,
    names::PROGRAM_TC_CROSS_ERROR4,
    names::PROGRAM_TC_CROSS_ERROR6,
    names::PROGRAM_TC_CALL4,
    names::PROGRAM_TC_CALL6,
    names::PROGRAM_TC_STRAY,
    names::PROGRAM_TC_ADOPT,
    names::PROGRAM_TC_CUT,
];

/// Those whose numbers do not follow.
const PARTS_TC_APART: [(u32, &str); 8] = [
    (22, names::PROGRAM_TC_CARRY_LOCAL4),
    (23, names::PROGRAM_TC_CARRY_LOCAL6),
    (25, names::PROGRAM_TC_TUNNELLED6),
    (26, names::PROGRAM_TC_FRAGMENT_SELDOM),
    (27, names::PROGRAM_TC_CARRY_SELDOM4),
    (28, names::PROGRAM_TC_CARRY_SELDOM6),
    (29, names::PROGRAM_TC_CARRY_LOCAL_SELDOM4),
    (30, names::PROGRAM_TC_CARRY_LOCAL_SELDOM6),
];

/// Lets TC's programs go on to their parts. Parts of an earlier daemon's programs are replaced.
pub fn connect_parts(object: &Ebpf, parts: &mut ProgramArray<MapData>) -> Result<(), Error> {
    for (number, name) in (0..).zip(PARTS_TC).chain(PARTS_TC_APART) {
        let part: &SchedClassifier = loaded(object, name)?;
        parts.set(number, part.fd()?, 0)?;
    }
    // What the director sends itself goes the way of what it gets.
    let whole: &SchedClassifier = loaded(object, names::PROGRAM_TC)?;
    parts.set(names::PART_DEPART, whole.fd()?, 0)?;
    Ok(())
}

/// A program of the object, to be looked at.
fn loaded<'o, P>(object: &'o Ebpf, name: &'static str) -> Result<&'o P, Error>
where
    &'o P: TryFrom<&'o aya::programs::Program, Error = aya::programs::ProgramError>,
{
    let program = object.program(name).ok_or(Error::NoSuchProgram(name))?;
    Ok(program.try_into()?)
}

/// A page for a table of every service and another for the one that takes its place: half as many
/// services can have dh or sh, or a sixteenth of that mh.
const fn bucket_pages(services: u32) -> u32 {
    let pages = services.saturating_mul(2);
    if pages < 64 { 64 } else { pages }
}

/// The sizes of all tables that have a choice.
fn table_sizes(sizes: TableSizes) -> [(&'static str, u32); 15] {
    [
        (names::MAP_SERVICES, sizes.services),
        (names::MAP_SERVICE_INDEX, sizes.services),
        (names::MAP_POOLS, sizes.services.saturating_mul(POOL_PLACES)),
        (names::MAP_DESTINATIONS, sizes.real_servers),
        (names::MAP_COUNTERS, sizes.real_servers),
        (names::MAP_SERVER_INDEX, sizes.real_servers),
        (
            names::MAP_ADDRESSES,
            sizes.services.saturating_add(sizes.real_servers),
        ),
        (names::MAP_BUCKETS, bucket_pages(sizes.services)),
        (names::MAP_LOCALITIES, 8 * LOCALITIES_OF_SERVICE),
        (names::MAP_CONNECTIONS4, sizes.connections4),
        (names::MAP_FREE4, sizes.connections4),
        (names::MAP_FLOWS4, buckets_for(sizes.connections4)),
        (names::MAP_CONNECTIONS6, sizes.connections6),
        (names::MAP_FREE6, sizes.connections6),
        (names::MAP_FLOWS6, buckets_for(sizes.connections6)),
    ]
}

/// A program of the object.
pub fn program<'o, P>(object: &'o mut Ebpf, name: &'static str) -> Result<&'o mut P, Error>
where
    &'o mut P: TryFrom<&'o mut aya::programs::Program, Error = aya::programs::ProgramError>,
{
    let program = object.program_mut(name).ok_or(Error::NoSuchProgram(name))?;
    Ok(program.try_into()?)
}

/// Starts the timer that ends connections. One that an earlier daemon has started goes on with this
/// object's code.
pub fn start_reaper(object: &Ebpf) -> Result<(), Error> {
    const XDP_PASS: u32 = 2;
    let frame = [0; 64];
    let (result, _) = test_run(object, names::PROGRAM_START_REAPER, &frame, None, &mut [])?;
    match result {
        XDP_PASS => Ok(()),
        other => Err(Error::Reaper(other)),
    }
}

/// Runs a program on a frame (`BPF_PROG_TEST_RUN`): what it returns, and how long the frame is that
/// it leaves in `out`. The context is a `struct xdp_md` or `struct __sk_buff`.
pub fn test_run(
    object: &Ebpf,
    name: &'static str,
    frame: &[u8],
    context: Option<&[u8]>,
    out: &mut [u8],
) -> Result<(u32, usize), Error> {
    let options = TestRunOptions {
        data_in: Some(frame),
        data_out: (!out.is_empty()).then_some(out),
        ctx_in: context,
        ..TestRunOptions::new()
    };
    let program = object.program(name).ok_or(Error::NoSuchProgram(name))?;
    let result = if let Ok(program) = <&Xdp>::try_from(program) {
        program.test_run(options)?
    } else {
        <&SchedClassifier>::try_from(program)?.test_run(options)?
    };
    Ok((result.return_value, result.data_size_out as usize))
}
