//! Lists of processors, as the kernel reads and shows them (`bitmap_parselist`).

/// A bit for each processor.
pub(super) type Words = [u32; 8];

const PROCESSORS: u32 = 256;

/// Reads one; nothing where it is none. A range may name a part of each group: `0-15:2/4` is two of
/// every four; `N` is the last processor, `all` are all.
pub(super) fn read(text: &str) -> Option<Words> {
    let mut words = Words::default();
    for region in text
        .split([',', ' ', '\t', '\n'])
        .filter(|one| !one.is_empty())
    {
        for processor in processors(region)? {
            words[(processor / 32) as usize] |= 1 << (processor % 32);
        }
    }
    Some(words)
}

fn processors(region: &str) -> Option<Vec<u32>> {
    let (range, group) = match region.split_once(':') {
        Some((range, group)) => (range, Some(group.split_once('/')?)),
        None => (region, None),
    };
    let (first, last) = match range.split_once('-') {
        _ if range.eq_ignore_ascii_case("all") => (0, PROCESSORS - 1),
        Some((first, last)) => (number(first)?, number(last)?),
        // Only a range has groups.
        None if group.is_some() => return None,
        None => (number(range)?, number(range)?),
    };
    let (used, size) = match group {
        Some((used, size)) => (number(used)?, number(size)?),
        None => (1, 1),
    };
    if first > last || last >= PROCESSORS || size == 0 || used > size {
        return None;
    }
    let all = first..=last;
    Some(all.filter(|one| (one - first) % size < used).collect())
}

fn number(text: &str) -> Option<u32> {
    if text == "N" {
        return Some(PROCESSORS - 1);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// Shows one.
pub(super) fn show(words: Words) -> String {
    let has = |processor: u32| words[(processor / 32) as usize] >> (processor % 32) & 1 == 1;
    let mut shown: Vec<String> = Vec::new();
    let mut next = 0;
    while next < PROCESSORS {
        if !has(next) {
            next += 1;
            continue;
        }
        let first = next;
        while next < PROCESSORS && has(next) {
            next += 1;
        }
        shown.push(match next - 1 {
            last if last == first => first.to_string(),
            last => format!("{first}-{last}"),
        });
    }
    shown.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_kernel_reads_and_shows_them() {
        for (text, shown) in [
            ("0", "0"),
            ("0-3", "0-3"),
            ("3,0-1\n", "0-1,3"),
            ("1,2 3", "1-3"),
            ("", ""),
            ("0-15:2/4", "0-1,4-5,8-9,12-13"),
            ("31-33,255", "31-33,255"),
            ("all", "0-255"),
        ] {
            assert_eq!(read(text).map(show).as_deref(), Some(shown), "{text}");
        }
        for text in [
            "x", "-1", "3-1", "256", "0-", "1:1/2", "0-3:5/4", "0-3:1/0", "+1",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
