//! The order of listings.
//!
//! ipvsadm compares numbers by the sign of their 32-bit difference. For numbers that are more than
//! half the range apart that is no order at all (192.0.2.1 comes before 10.0.0.1, 10.0.0.1 before
//! 127.0.0.1, and 127.0.0.1 before 192.0.2.1), so the result depends on where the sorting starts
//! and how it goes: a merge sort, as in the C library.

use std::cmp::Ordering;
use std::net::IpAddr;

use weir_config::model::{Family, ServiceKey};

use super::{ServerListing, ServiceListing};

/// The services as a sorted list.
pub(super) fn services(list: &[ServiceListing]) -> Vec<&ServiceListing> {
    merge_sorted(list.iter().collect(), &|a, b| {
        compare_services(&a.key, &b.key)
    })
}

/// The real servers as a sorted list.
pub(super) fn servers(list: &[ServerListing]) -> Vec<&ServerListing> {
    merge_sorted(list.iter().collect(), &|a, b| {
        compare_addresses(a.address.ip(), b.address.ip())
            .then(a.address.port().cmp(&b.address.port()))
    })
}

/// Marks before all, where an address counts as mark 0; then family, protocol, address, port.
fn compare_services(a: &ServiceKey, b: &ServiceKey) -> Ordering {
    let (
        ServiceKey::Address { protocol, address },
        ServiceKey::Address {
            protocol: other_protocol,
            address: other,
        },
    ) = (a, b)
    else {
        return by_difference(mark(a), mark(b)).then(family(a).cmp(&family(b)));
    };
    address
        .is_ipv6()
        .cmp(&other.is_ipv6())
        .then(protocol.number().cmp(&other_protocol.number()))
        .then_with(|| compare_addresses(address.ip(), other.ip()))
        .then(address.port().cmp(&other.port()))
}

/// Word by word as far as the first one's family goes; an IPv4 address is one word and three zeros.
fn compare_addresses(a: IpAddr, b: IpAddr) -> Ordering {
    let words = if a.is_ipv6() { 4 } else { 1 };
    words_of(a)
        .into_iter()
        .zip(words_of(b))
        .take(words)
        .map(|(a, b)| by_difference(a, b))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn words_of(address: IpAddr) -> [u32; 4] {
    match address {
        IpAddr::V4(v4) => [v4.to_bits(), 0, 0, 0],
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            [96, 64, 32, 0].map(|shift| (bits >> shift) as u32)
        }
    }
}

fn by_difference(a: u32, b: u32) -> Ordering {
    a.wrapping_sub(b).cast_signed().cmp(&0)
}

const fn mark(key: &ServiceKey) -> u32 {
    match key {
        ServiceKey::Address { .. } => 0,
        ServiceKey::FirewallMark { mark, .. } => *mark,
    }
}

fn family(key: &ServiceKey) -> u8 {
    match key.family() {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}

/// glibc's `qsort` of Debian 12: halves, the first one the smaller, merged with the first one's
/// element taken when equal. `sort_by` may panic on an order that is none, and would differ.
fn merge_sorted<T: Copy>(list: Vec<T>, compare: &impl Fn(T, T) -> Ordering) -> Vec<T> {
    if list.len() < 2 {
        return list;
    }
    let (first, second) = list.split_at(list.len() / 2);
    let first = merge_sorted(first.to_vec(), compare);
    let second = merge_sorted(second.to_vec(), compare);
    let mut merged = Vec::with_capacity(list.len());
    let (mut first, mut second) = (first.into_iter().peekable(), second.into_iter().peekable());
    while let (Some(&a), Some(&b)) = (first.peek(), second.peek()) {
        if compare(a, b).is_le() {
            merged.extend(first.next());
        } else {
            merged.extend(second.next());
        }
    }
    merged.extend(first);
    merged.extend(second);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_go_around() {
        assert_eq!(by_difference(0xc000_0201, 0x0a00_0001), Ordering::Less);
        assert_eq!(by_difference(0x0a00_0001, 0x7f00_0001), Ordering::Less);
        assert_eq!(by_difference(0x7f00_0001, 0xc000_0201), Ordering::Less);
        assert_eq!(by_difference(7, 7), Ordering::Equal);
    }

    #[test]
    fn merge_sorting_sorts() {
        let sorted = merge_sorted(vec![3, 1, 2, 9, 8, 7, 0], &|a: i32, b: i32| a.cmp(&b));
        assert_eq!(sorted, [0, 1, 2, 3, 7, 8, 9]);
    }
}
