//! Where the tables of hashing schedulers lie: runs of pages that belong to a service.

use weir_abi::hash_table::{BUCKETS_PER_PAGE, BucketPage, HashTable};
use weir_abi::service::PRESENT;

use crate::error::Error;
use crate::tables::Tables;

/// Puts a table in force in place of the one that the service has; an empty one removes it. What is
/// there already is not written again.
pub(crate) fn put<T: Tables>(
    tables: &T,
    slot: u32,
    buckets: &[u32],
) -> Result<(), Error<T::Error>> {
    let cell = &tables.services()[slot as usize].hash_table;
    let old = HashTable(cell.load());
    if buckets.is_empty() {
        cell.store(HashTable::NONE.0);
        free(tables.bucket_pages(), slot, old);
        return Ok(());
    }
    if read(tables.bucket_pages(), old).as_deref() == Some(buckets) {
        return Ok(());
    }
    let pages = tables.bucket_pages();
    let wanted = HashTable::new(0, buckets.len() as u32);
    // Beside the one before, so that many changes later a packet that looks there still finds a
    // table of the same service.
    let hint = match old {
        HashTable::NONE => slot.saturating_mul(2),
        old => old.first_page() + old.pages(),
    };
    let Some(first) = find(pages, hint, wanted.pages()) else {
        if old.buckets() == wanted.buckets() {
            // No room for another: each bucket for itself is still right before and after.
            fill(pages, old, buckets);
            return Ok(());
        }
        return Err(Error::TableFull {
            table: "services",
            capacity: tables.services().len(),
        });
    };
    let new = HashTable::new(first, wanted.buckets());
    for page in &pages[run(new)] {
        page.owner.store(slot + 1);
    }
    fill(pages, new, buckets);
    cell.store(new.0);
    free(pages, slot, old);
    Ok(())
}

/// The buckets of a table; nothing where there is none.
pub(crate) fn read(pages: &[BucketPage], table: HashTable) -> Option<Vec<u32>> {
    if table == HashTable::NONE {
        return None;
    }
    let buckets = pages.get(run(table))?.iter().flat_map(|page| &page.buckets);
    let buckets = buckets.map(|bucket| bucket.load());
    Some(buckets.take(table.buckets() as usize).collect())
}

/// Frees pages that no service points to: whoever wrote them may have been killed before or after.
pub(crate) fn mend<T: Tables>(tables: &T) {
    let pages = tables.bucket_pages();
    let mut used = vec![false; pages.len()];
    for (slot, service) in (0..).zip(tables.services()) {
        let table = HashTable(service.hash_table.load());
        let run = run(table);
        let is_whole = pages.get(run.clone()).is_some_and(|pages| {
            let is_present = service.flags.load() & PRESENT != 0;
            is_present && pages.iter().all(|page| page.owner.load() == slot + 1)
        });
        if is_whole {
            used[run].fill(true);
        } else {
            service.hash_table.store(HashTable::NONE.0);
        }
    }
    for (page, used) in pages.iter().zip(used) {
        if !used && page.owner.load() != 0 {
            page.owner.store(0);
        }
    }
}

/// The first of so many free pages on end, looked for from one on.
fn find(pages: &[BucketPage], hint: u32, wanted: u32) -> Option<u32> {
    let length = pages.len() as u32;
    let hint = hint.checked_rem(length)?;
    let free_from = |first: u32, end: u32| {
        let mut run = 0;
        for page in first..end {
            run = if pages[page as usize].owner.load() == 0 {
                run + 1
            } else {
                0
            };
            if run == wanted {
                return Some(page + 1 - wanted);
            }
        }
        None
    };
    free_from(hint, length).or_else(|| free_from(0, length.min(hint + wanted)))
}

fn fill(pages: &[BucketPage], table: HashTable, buckets: &[u32]) {
    let chunks = buckets.chunks(BUCKETS_PER_PAGE as usize);
    for (page, chunk) in pages[run(table)].iter().zip(chunks) {
        for (bucket, server) in page.buckets.iter().zip(chunk) {
            bucket.store(*server);
        }
    }
}

fn free(pages: &[BucketPage], slot: u32, table: HashTable) {
    let of_table = pages.get(run(table)).unwrap_or_default();
    for page in of_table.iter().filter(|page| page.owner.load() == slot + 1) {
        page.owner.store(0);
    }
}

fn run(table: HashTable) -> std::ops::Range<usize> {
    let first = table.first_page() as usize;
    first..first + table.pages() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_around_the_end() {
        let pages = vec![BucketPage::default(); 8];
        assert_eq!(find(&pages, 6, 2), Some(6));
        assert_eq!(find(&pages, 7, 2), Some(0));
        pages[1].owner.store(1);
        assert_eq!(find(&pages, 7, 2), Some(2));
        pages[4].owner.store(1);
        assert_eq!(find(&pages, 5, 3), Some(5));
        assert_eq!(find(&pages, 3, 4), None);
        assert_eq!(find(&[], 0, 1), None);
    }
}
