//! Which sockets are those of checks that go the way of the traffic.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Arc, Mutex};

use aya::Pod;
use aya::maps::{Map, MapData, SkStorage};
use weir_abi::check::CheckWay as Record;
use weir_control::CheckWay;

use crate::{Error, lock};

/// Lets the packets of sockets go the way of their service's. It can be cloned, and used by any thread.
#[derive(Clone)]
pub struct CheckWays(Arc<Mutex<SkStorage<MapData, Row>>>);

/// [`Record`] for aya.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Row(Record);

// SAFETY: a record of integers without padding, from the border crate.
unsafe impl Pod for Row {}

impl CheckWays {
    pub(crate) fn new(table: Map) -> Result<Self, Error> {
        Ok(Self(Arc::new(Mutex::new(SkStorage::try_from(table)?))))
    }

    /// Lets the packets of a socket of TCP or UDP go that way: before it is connected to the real server's own
    /// address, and bound already to a port that the kernel has chosen (so it is this socket's alone). It holds
    /// for as long as the socket lives, and does nothing where no checks
    /// [are carried](crate::Dataplane::carry_checks).
    ///
    /// # Errors
    ///
    /// When the kernel refuses: no memory, or no socket.
    pub fn set(&self, socket: BorrowedFd<'_>, way: &CheckWay) -> Result<(), Error> {
        let row = Row(way.record());
        Ok(lock(&self.0).insert(&socket.as_raw_fd(), row, 0)?)
    }
}
