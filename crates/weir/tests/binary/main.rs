//! The binary as people and scripts use it: processes of its own, in front of a daemon on tables in
//! plain memory. Needs neither root nor a kernel that takes our programs.

mod changes;
mod director;
mod health;
mod ipvsadm;
mod languages;
mod nonsense;
mod plane;
mod proc;
mod recorded;
mod transcript;
mod verbs;
