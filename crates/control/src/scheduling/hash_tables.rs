//! What the tables of the hashing schedulers hold: `ip_vs_dh_reassign` and its siblings.

use weir_abi::hash_table::{
    DH_BUCKETS, MAGLEV_KEY_1, MAGLEV_KEY_2, MH_BUCKETS, SH_BUCKETS, maglev_hash,
};
use weir_abi::keys::FAMILY_V4;
use weir_abi::service::{Destination, DestinationAddress};

/// Destination hashing: the list over and over, whatever the weights.
pub(crate) fn destination_hashing(servers: &[u32]) -> Vec<u32> {
    let round = servers.iter().copied().cycle();
    round.take(DH_BUCKETS as usize).collect()
}

/// Source hashing: the list over and over, each server as often as its weight, but once at least.
pub(crate) fn source_hashing(servers: &[u32], destinations: &[Destination]) -> Vec<u32> {
    let weight = |slot: u32| {
        destinations[slot as usize]
            .weight
            .load()
            .clamp(1, SH_BUCKETS)
    };
    let round = servers
        .iter()
        .flat_map(|slot| std::iter::repeat_n(*slot, weight(*slot) as usize));
    round.cycle().take(SH_BUCKETS as usize).collect()
}

/// A server of Maglev's table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    slot: u32,
    /// Where it wants to be next, and how far on if somebody is there.
    place: u32,
    skip: u32,
    /// How many places it takes before it is the next one's turn.
    turns: u32,
}

/// Maglev hashing: the servers take places in turn, each in the order of its own permutation.
/// `family` is the service's.
pub(crate) fn maglev_hashing(
    servers: &[u32],
    destinations: &[Destination],
    family: u8,
) -> Vec<u32> {
    let mut members = members(servers, destinations, family);
    if members.is_empty() {
        return Vec::new();
    }
    let mut table = vec![None; MH_BUCKETS as usize];
    let mut left = MH_BUCKETS;
    loop {
        for member in &mut members {
            for _ in 0..member.turns {
                while table[member.place as usize].is_some() {
                    member.place = (member.place + member.skip) % MH_BUCKETS;
                }
                table[member.place as usize] = Some(member.slot);
                left -= 1;
                if left == 0 {
                    return table.into_iter().flatten().collect();
                }
            }
        }
    }
}

/// All servers that have a share in the table.
fn members(servers: &[u32], destinations: &[Destination], family: u8) -> Vec<Member> {
    let last_weight = |slot: u32| destinations[slot as usize].last_weight.load();
    let weights = || servers.iter().map(|slot| last_weight(*slot));
    let divisor = weights().fold(0, super::greatest_common_divisor);
    if divisor == 0 {
        return Vec::new();
    }
    // So many turns that the greatest weight has six bits of them (`IP_VS_MH_TAB_BITS`).
    let greatest = weights().max().unwrap_or(0) / divisor;
    let shift = (u32::BITS - greatest.leading_zeros()).saturating_sub(6);
    let member = |slot: u32| {
        let weight = last_weight(slot);
        let turns = ((weight / divisor) >> shift).max(u32::from(weight != 0));
        let value = server_value(destinations[slot as usize].address.load(), family);
        (turns > 0).then_some(Member {
            slot,
            place: maglev_hash(value, MAGLEV_KEY_1) % MH_BUCKETS,
            skip: maglev_hash(value, MAGLEV_KEY_2) % (MH_BUCKETS - 1) + 1,
            turns,
        })
    };
    servers.iter().filter_map(|slot| member(*slot)).collect()
}

/// What a real server's permutation follows from: its address, folded as the service's family has
/// it, and its port.
fn server_value(server: DestinationAddress, family: u8) -> u32 {
    let [first, others @ ..] = server.address;
    let folded = if family == FAMILY_V4 {
        first
    } else {
        others.iter().fold(first, |folded, word| folded ^ word)
    };
    u32::from_be(folded).wrapping_add(u16::from_be(server.port).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destination_hashing_goes_round_the_list() {
        let buckets = destination_hashing(&[7, 5, 6]);
        assert_eq!(buckets.len(), 256);
        assert_eq!(buckets[..4], [7, 5, 6, 7]);
        assert_eq!(buckets[255], 7);
        assert!(destination_hashing(&[]).is_empty());
    }

    #[test]
    fn source_hashing_goes_round_by_weight() {
        let destinations = vec![Destination::default(); 3];
        for (record, weight) in destinations.iter().zip([0, 3, 1000]) {
            record.weight.store(weight);
        }
        let buckets = source_hashing(&[1, 0], &destinations);
        assert_eq!(buckets.len(), 256);
        assert_eq!(buckets[..6], [1, 1, 1, 0, 1, 1]);
        assert_eq!(source_hashing(&[0, 2], &destinations)[1..], [2; 255]);
        assert!(source_hashing(&[], &destinations).is_empty());
    }

    #[test]
    fn maglev_shares_places_by_the_last_weight() {
        let destinations = vec![Destination::default(); 4];
        for (number, (record, weight)) in (1..).zip(destinations.iter().zip([2, 1, 0, 1])) {
            record.last_weight.store(weight);
            let mut address = DestinationAddress::default();
            address.address[0] = u32::from_be_bytes([10, 2, 0, number]).to_be();
            record.address.store(address);
        }
        let buckets = maglev_hashing(&[0, 1, 2, 3], &destinations, FAMILY_V4);
        assert_eq!(buckets.len(), 4093);
        let places = |slot| buckets.iter().filter(|server| **server == slot).count();
        assert_eq!([0, 1, 2, 3].map(places), [2047, 1023, 0, 1023]);
        assert!(maglev_hashing(&[2], &destinations, FAMILY_V4).is_empty());
    }
}
