//! Networks of namespaces for demo, tests and benches.
