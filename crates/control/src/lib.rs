//! Services and real servers as IPVS keeps them: wanted state and facts in, table changes out.
//!
//! A [`Director`] knows which slot of the tables holds what; the records themselves lie in memory
//! that the packet programs read and write at the same time, behind [`Tables`]. All that matters is
//! in the records: a director that is made anew by [`Director::adopt`] goes on where another ended.
//!
//! Nothing here has a clock. Where time matters the caller says it, as the time since any moment
//! that stays the same while the director lives.
#![forbid(unsafe_code)]

mod addresses;
mod adopt;
mod check_way;
pub mod connection;
pub mod defence;
mod director;
mod error;
mod estimator;
pub mod farewells;
pub mod history;
mod kinds;
mod listing;
mod localities;
pub mod marks;
mod observation;
pub mod plan;
mod pools;
pub mod record;
mod scheduling;
mod server_index;
mod servers;
pub mod settings;
mod slots;
mod statistics;
pub mod sync_daemons;
mod tables;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod trash;
pub mod wanted;

pub use addresses::addresses;
pub use check_way::CheckWay;
pub use director::Director;
pub use error::Error;
pub use estimator::Rates;
pub use listing::{ServerListing, ServiceListing, Snapshot};
pub use observation::Observation;
pub use server_index::Way;
pub use tables::{LocalityUse, Tables};

#[cfg(test)]
mod tests;
