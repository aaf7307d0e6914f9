//! As much of HTTP as the loads need: what they ask nginx for, and where its answer ends.

/// One request on a connection that nginx then closes.
pub(crate) const ASK_AND_CLOSE: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

/// One request on a connection that goes on.
pub(crate) const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: weir\r\n\r\n";

/// How long the answer is that `text` begins with; nothing if its head is not complete or says no length.
pub(crate) fn answer_length(text: &[u8]) -> Option<usize> {
    let end = text.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&text[..end]).ok()?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    Some(end + length.1.trim().parse::<usize>().ok()?)
}

/// Whether this is the begin of a good answer.
pub(crate) fn is_good(text: &[u8]) -> bool {
    text.starts_with(b"HTTP/1.1 200 ")
}

#[cfg(test)]
mod tests {
    use super::answer_length;

    #[test]
    fn an_answer_ends_where_its_head_says() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n";
        assert_eq!(answer_length(head), Some(head.len() + 6));
        assert_eq!(answer_length(&head[..head.len() - 1]), None);
        assert_eq!(answer_length(b"HTTP/1.1 200 OK\r\n\r\n"), None);
    }
}
