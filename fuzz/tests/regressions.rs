//! Every find of the past, once more.

use std::fs;

#[test]
fn stay_fixed() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/regressions");
    let mut played = 0;
    for entry in fs::read_dir(directory).expect("the directory of regressions") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str());
        let target = match name.and_then(|name| name.split_once('-')) {
            Some(("packet", _)) => weir_fuzz::packet,
            Some(("operations", _)) => weir_fuzz::operations,
            Some(("answers", _)) => weir_fuzz::answers,
            Some(("vrrp", _)) => weir_fuzz::vrrp,
            Some(("bfd", _)) => weir_fuzz::bfd,
            Some(("messages", _)) => weir_fuzz::messages,
            _ => continue,
        };
        let text = fs::read_to_string(&path).expect("a text");
        let hex = text.lines().nth(1).expect("a sentence and an input");
        let data: Vec<u8> = hex
            .as_bytes()
            .chunks(2)
            .map(|digits| std::str::from_utf8(digits).expect("digits"))
            .map(|digits| u8::from_str_radix(digits, 16).expect("hexadecimal"))
            .collect();
        target(&data);
        played += 1;
    }
    assert!(played > 0, "no regression was found to play");
}
