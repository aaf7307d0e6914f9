//! How routers prove who they are.

pub(crate) mod header;
pub(crate) mod trailer;

#[cfg(test)]
mod tests;

/// Whether bytes are the same, in a time that does not tell where they differ.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    let differences = one
        .iter()
        .zip(other)
        .fold(0, |all, (one, other)| all | (one ^ other));
    one.len() == other.len() && core::hint::black_box(differences) == 0
}
