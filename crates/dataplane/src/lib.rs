//! Loads, attaches and pins the packet programs, fills their tables, reads their counters.
