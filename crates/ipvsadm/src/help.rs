//! What `-h` and `-v` print: ipvsadm 1.31's text, byte for byte.

const HELP: &str = include_str!("help.txt");

pub(crate) fn version() -> String {
    "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\n".to_owned()
}

pub(crate) fn usage(program: &str) -> String {
    version() + &HELP.replace("{program}", program)
}
