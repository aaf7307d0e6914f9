//! The management API: its types, its server, its client.
