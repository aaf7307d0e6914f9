//! Commands from standard input, `-R`.

/// The arguments on one line: what stands between blanks, without every word `ipvsadm`.
///
/// There is no quoting and there are no comments, as in ipvsadm.
pub fn arguments(line: &str) -> Vec<String> {
    line.split([' ', '\t', '\r', '\n'])
        .filter(|word| !word.is_empty() && *word != "ipvsadm")
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::arguments;

    #[test]
    fn a_line_is_cut_at_blanks() {
        assert_eq!(arguments("  ipvsadm -A\t-t x:80\r\n"), ["-A", "-t", "x:80"]);
        assert_eq!(arguments("-A -t ipvsadm 'a b'"), ["-A", "-t", "'a", "b'"]);
        assert_eq!(arguments(" \t"), [""; 0]);
    }
}
