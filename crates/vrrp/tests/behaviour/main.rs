//! What routers do, by name, with the section that asks for it.

mod announcing;
mod elections;
mod groups;
mod lifecycle;
#[path = "../network/mod.rs"]
mod network;
mod support;
mod tracking;
