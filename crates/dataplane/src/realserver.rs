//! The program of a real server, and what it was prepared for.
//!
//! ```text
//! <bpffs>/tables/NAME    its tables
//! <bpffs>/links/IF-KIND  what is attached, as a director's
//! ```

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use aya::Ebpf;
use aya::maps::{HashMap, Map, MapData, PerCpuArray};
use weir_abi::realserver::{
    Decapsulation, MAP_DECAPSULATIONS, MAP_PREPARED, PROGRAM_DECAPSULATE, Prepared,
};

use crate::attach::{self, REAL_SERVER};
use crate::{Error, object, pins};

/// The program that takes packets out of their tunnels, and its tables, which are pinned: both
/// outlive this value.
pub struct Decapsulator {
    bpffs: PathBuf,
    object: Ebpf,
    tables: Tables,
}

/// The tables of a [`Decapsulator`], its own or those that another process has pinned.
struct Tables {
    prepared: HashMap<MapData, PreparedRow, u32>,
    decapsulations: PerCpuArray<MapData, u64>,
}

/// [`Prepared`] for aya.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct PreparedRow(Prepared);

// SAFETY: `Prepared` is five words without padding; any bytes are a value of it.
unsafe impl aya::Pod for PreparedRow {}

/// What is in the kernel.
#[derive(Debug)]
pub struct State {
    /// Where the program is attached: index, and name if the interface still exists.
    pub interfaces: Vec<(u32, Option<String>)>,
    /// What it was prepared for.
    pub prepared: Vec<Prepared>,
    /// What became of packets.
    pub decapsulations: Vec<(Decapsulation, u64)>,
}

impl Decapsulator {
    /// Loads the program, on tables that are pinned in `bpffs` already or are made and pinned now.
    ///
    /// # Errors
    ///
    /// When the kernel refuses, or when this build carries no programs.
    pub fn open(bpffs: &Path) -> Result<Self, Error> {
        for directory in [tables_directory(bpffs), pins::links_directory(bpffs)] {
            fs::create_dir_all(&directory).map_err(|source| pins::at(&directory, source))?;
        }
        let mut object = object::load_decapsulation(&tables_directory(bpffs))?;
        let tables = Tables {
            prepared: HashMap::try_from(crate::take(&mut object, MAP_PREPARED)?)?,
            decapsulations: PerCpuArray::try_from(crate::take(&mut object, MAP_DECAPSULATIONS)?)?,
        };
        Ok(Self {
            bpffs: bpffs.to_owned(),
            object,
            tables,
        })
    }

    /// Prepares for exactly that, and nothing else.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn prepare(&mut self, wanted: &[Prepared]) -> Result<(), Error> {
        // First what is new: what stays is never gone for a moment.
        for one in wanted {
            self.tables.prepared.insert(PreparedRow(*one), 0, 0)?;
        }
        for one in self.tables.prepared()? {
            if !wanted.contains(&one) {
                crate::tables::gone(self.tables.prepared.remove(&PreparedRow(one)))?;
            }
        }
        Ok(())
    }

    /// Puts the program on an interface, in place of what an earlier process has put there.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn attach(&mut self, ifindex: u32, name: &str) -> Result<(), Error> {
        attach::attach_classifier(&mut self.object, &self.bpffs, ifindex, name, &REAL_SERVER)
    }

    /// What became of packets, summed over processors.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn decapsulations(&self) -> Result<Vec<(Decapsulation, u64)>, Error> {
        self.tables.decapsulations()
    }

    /// Runs the program on a frame, as `BPF_PROG_TEST_RUN` does, for tests: what it returns, and the
    /// length of the frame that it leaves in `out`.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn test_run(&self, frame: &[u8], out: &mut [u8]) -> Result<(u32, usize), Error> {
        object::test_run(&self.object, PROGRAM_DECAPSULATE, frame, None, out)
    }
}

impl Tables {
    fn prepared(&self) -> Result<Vec<Prepared>, Error> {
        let keys = self.prepared.keys();
        keys.map(|key| Ok(key?.0)).collect()
    }

    fn decapsulations(&self) -> Result<Vec<(Decapsulation, u64)>, Error> {
        Decapsulation::ALL
            .iter()
            .map(|&one| {
                let counts = self.decapsulations.get(&(one as u32), 0)?;
                Ok((one, counts.iter().sum()))
            })
            .collect()
    }
}

/// What is in the kernel; nothing where no real server was prepared with that directory.
///
/// # Errors
///
/// When it is there and cannot be read.
pub fn state(bpffs: &Path) -> Result<Option<State>, Error> {
    let table = |name: &str| -> Result<Map, Error> {
        let path = tables_directory(bpffs).join(name);
        Ok(Map::from_map_data(MapData::from_pin(path)?)?)
    };
    if !tables_directory(bpffs).join(MAP_PREPARED).exists() {
        return Ok(None);
    }
    let tables = Tables {
        prepared: HashMap::try_from(table(MAP_PREPARED)?)?,
        decapsulations: PerCpuArray::try_from(table(MAP_DECAPSULATIONS)?)?,
    };
    let interfaces = attach::pinned(bpffs)?.into_iter();
    Ok(Some(State {
        interfaces: interfaces.map(|one| (one.ifindex, one.name)).collect(),
        prepared: tables.prepared()?,
        decapsulations: tables.decapsulations()?,
    }))
}

/// Takes everything out of the kernel that a [`Decapsulator`] with this directory has put there:
/// the interfaces from which its program was taken.
///
/// # Errors
///
/// When something cannot be removed.
pub fn remove(bpffs: &Path) -> Result<Vec<(u32, Option<String>)>, Error> {
    let mut interfaces = Vec::new();
    for pinned in attach::pinned(bpffs)? {
        attach::remove(&pinned, &REAL_SERVER)?;
        interfaces.push((pinned.ifindex, pinned.name));
    }
    for directory in [
        pins::links_directory(bpffs),
        tables_directory(bpffs),
        bpffs.to_owned(),
    ] {
        if directory != bpffs {
            pins::remove_all(&directory)?;
        }
        match fs::remove_dir(&directory) {
            Ok(()) => {}
            // Not ours alone, or the mount point itself.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::ResourceBusy | ErrorKind::DirectoryNotEmpty
                ) => {}
            Err(source) => return Err(pins::at(&directory, source)),
        }
    }
    Ok(interfaces)
}

fn tables_directory(bpffs: &Path) -> PathBuf {
    bpffs.join("tables")
}
