//! What the operator wrote, as types that cannot be wrong.

pub mod model;
