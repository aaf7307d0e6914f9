//! ICMP errors about connections between the families.

use crate::row::Row;

pub fn rows() -> Vec<Row> {
    Vec::new()
}
