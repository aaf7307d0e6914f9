//! Invocations of ipvsadm and what each printed, as text: `$` arguments, `<` a line of standard
//! input, `=` exit code, `>` a line of standard output, `!` one of standard error.

use crate::director::{Director, parts};

/// Runs every `$` line of `expected` in turn; all that the lines after it say must come out, to the
/// byte, and nothing else.
pub fn check(director: &Director, expected: &str) {
    let lines: Vec<&str> = expected.lines().map(str::trim_start).collect();
    let mut seen = String::new();
    for (number, line) in lines.iter().enumerate() {
        let Some(arguments) = line.strip_prefix("$ ") else {
            continue;
        };
        let rest = lines[number + 1..].iter();
        let input: Vec<&str> = rest.map_while(|line| line.strip_prefix("< ")).collect();
        seen += &invocation(director, arguments, &input);
    }
    let expected: String = lines
        .iter()
        .filter(|line| !line.is_empty())
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(seen, expected, "seen:\n{seen}\nexpected:\n{expected}");
}

fn invocation(director: &Director, arguments: &str, input: &[&str]) -> String {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let stdin: String = input.iter().map(|line| format!("{line}\n")).collect();
    let (code, output, error) = parts(&director.ipvsadm(&words, &stdin));
    let mut text = format!("$ {arguments}\n");
    for line in input {
        text += &format!("< {line}\n");
    }
    text += &format!("= {code}\n");
    text += &marked('>', &output);
    text += &marked('!', &error);
    text
}

fn marked(mark: char, output: &str) -> String {
    let mut text: String = output
        .lines()
        .map(|line| format!("{mark} {line}\n"))
        .collect();
    if !output.is_empty() && !output.ends_with('\n') {
        text += &format!("{mark} (no newline)\n");
    }
    text
}
