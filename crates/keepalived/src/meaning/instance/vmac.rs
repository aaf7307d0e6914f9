//! `use_vmac`: the virtual interface of an instance.

use weir_config::model::InterfaceName;

use super::super::values::Troubles;
use crate::grammar::Node;

/// A virtual interface as `use_vmac` asks for it.
#[derive(Default)]
pub(super) struct Vmac {
    pub(super) name: Option<InterfaceName>,
    pub(super) link_address: Option<Vec<u8>>,
}

/// `use_vmac [[name] NAME] [MAC] [netlink_notify_msg] [group GROUP]`
pub(super) fn vmac(node: &Node, troubles: &mut Troubles) -> Vmac {
    let mut vmac = Vmac::default();
    let mut words = node.words().iter();
    while let Some(word) = words.next() {
        match word.text.as_str() {
            text if text.contains(':') => {
                vmac.link_address = link_address(text);
                if vmac.link_address.is_none() {
                    let expected = "expected a unicast link address of 5 or 6 bytes";
                    troubles.wrong(word, expected);
                }
            }
            "netlink_notify_msg" => {}
            "group" => {
                let message = "the virtual interface is in the group of its interface";
                troubles.note(word.place, message, "this has no effect in Weir");
                words.next();
            }
            "name" => match words.next() {
                Some(name) => vmac.name = troubles.interface_in(name),
                None => troubles.wrong(word, "expected a name behind it"),
            },
            _ => vmac.name = troubles.interface_in(word),
        }
    }
    vmac
}

fn link_address(text: &str) -> Option<Vec<u8>> {
    let parts = text.trim_end_matches(':').split(':');
    let byte = |part: &str| (part.len() <= 2).then(|| u8::from_str_radix(part, 16).ok())?;
    let bytes: Vec<u8> = parts.map(byte).collect::<Option<_>>()?;
    let rfc = bytes.starts_with(&[0, 0, 0x5e, 0, 1]) || bytes.starts_with(&[0, 0, 0x5e, 0, 2]);
    ((5..=6).contains(&bytes.len()) && bytes[0] & 1 == 0 && !rfc).then_some(bytes)
}
