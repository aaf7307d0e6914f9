//! What XDP can do on each interface: the kernel's `netdev` family of generic netlink (Linux 6.3).

use std::collections::HashMap;
use std::io;

use netlink_packet_core::{
    DecodeError, Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NlasIterator,
    ParseableParametrized, parse_u32, parse_u64,
};
use netlink_packet_generic::ctrl::nlas::{GenlCtrlAttrs, McastGrpAttrs};
use netlink_packet_generic::ctrl::{GenlCtrl, GenlCtrlCmd};
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};
use netlink_sys::protocols::NETLINK_GENERIC;

use crate::netlink::Asker;

/// `NETDEV_XDP_ACT_*` of linux/netdev.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpFeatures(u64);

/// The family as this kernel numbers it.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    id: u16,
    /// The multicast group that tells of changes.
    pub changes: Option<u32>,
}

impl XdpFeatures {
    const BASIC: u64 = 1;
    const NDO_XMIT: u64 = 4;

    /// The driver runs XDP programs.
    pub const fn runs(self) -> bool {
        self.0 & Self::BASIC != 0
    }

    /// The driver sends XDP frames that others redirect to it, now.
    pub const fn transmits(self) -> bool {
        self.0 & Self::NDO_XMIT != 0
    }
}

/// The family, or nothing on a kernel before 6.3.
pub fn family() -> io::Result<Option<Family>> {
    let question = GenlMessage::from_payload(GenlCtrl {
        cmd: GenlCtrlCmd::GetFamily,
        nlas: vec![GenlCtrlAttrs::FamilyName(
            Question::family_name().to_owned(),
        )],
    });
    let answers = match Asker::new(NETLINK_GENERIC)?.ask(question, NLM_F_REQUEST | NLM_F_ACK) {
        Ok(answers) => answers,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let attributes = answers.into_iter().flat_map(|answer| answer.payload.nlas);
    let (mut id, mut changes) = (None, None);
    for attribute in attributes {
        if let GenlCtrlAttrs::FamilyId(number) = attribute {
            id = Some(number);
        } else if let GenlCtrlAttrs::McastGroups(groups) = attribute {
            changes = groups.iter().find_map(|group| group_called("mgmt", group));
        }
    }
    Ok(id.map(|id| Family { id, changes }))
}

/// The XDP features of every interface of this network namespace, by index.
pub fn xdp_features(family: Family) -> io::Result<HashMap<u32, XdpFeatures>> {
    let mut question = GenlMessage::from_payload(Question::default());
    question.set_resolved_family_id(family.id);
    let answers = Asker::new(NETLINK_GENERIC)?.ask(question, NLM_F_REQUEST | NLM_F_DUMP)?;
    let devices = answers.into_iter().map(|answer| answer.payload);
    Ok(devices
        .filter_map(|device| Some((device.index?, XdpFeatures(device.features?))))
        .collect())
}

fn group_called(name: &str, group: &[McastGrpAttrs]) -> Option<u32> {
    let mut named = false;
    let mut number = None;
    for attribute in group {
        match attribute {
            McastGrpAttrs::Name(this) => named = this == name,
            McastGrpAttrs::Id(this) => number = Some(*this),
        }
    }
    number.filter(|_| named)
}

/// `NETDEV_CMD_DEV_GET`, as a question (empty) and as an answer.
#[derive(Clone, Debug, Default)]
struct Question {
    index: Option<u32>,
    features: Option<u64>,
}

impl Question {
    const COMMAND_DEVICE_GET: u8 = 1;
    const ATTRIBUTE_INDEX: u16 = 1;
    const ATTRIBUTE_XDP_FEATURES: u16 = 3;
}

impl GenlFamily for Question {
    fn family_name() -> &'static str {
        "netdev"
    }

    fn command(&self) -> u8 {
        Self::COMMAND_DEVICE_GET
    }

    fn version(&self) -> u8 {
        1
    }
}

impl Emitable for Question {
    fn buffer_len(&self) -> usize {
        0
    }

    fn emit(&self, _: &mut [u8]) {}
}

impl ParseableParametrized<[u8], GenlHeader> for Question {
    fn parse_with_param(buffer: &[u8], _: GenlHeader) -> Result<Self, DecodeError> {
        let mut device = Self::default();
        for attribute in NlasIterator::new(buffer) {
            let attribute = attribute?;
            match attribute.kind() {
                Self::ATTRIBUTE_INDEX => device.index = Some(parse_u32(attribute.value())?),
                Self::ATTRIBUTE_XDP_FEATURES => {
                    device.features = Some(parse_u64(attribute.value())?);
                }
                _ => {}
            }
        }
        Ok(device)
    }
}
