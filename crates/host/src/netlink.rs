//! Questions to the kernel over netlink: one request, all its answers.
// The kernel's messages are open-ended: what is not asked for is passed over.
#![allow(clippy::wildcard_enum_match_arm)]

use std::io;

use netlink_packet_core::{
    NetlinkDeserializable, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_sys::{Socket, SocketAddr};

/// The kernel's largest part of a dump is 32 KiB; a single message stays well below.
const BUFFER: usize = 64 << 10;

/// An open socket that asks.
pub struct Asker {
    socket: Socket,
    sequence: u32,
}

impl Asker {
    /// A socket of that netlink protocol.
    pub fn new(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// Sends the question with those flags and gathers the answers to it.
    pub fn ask<M>(
        &mut self,
        question: impl Into<NetlinkPayload<M>>,
        flags: u16,
    ) -> io::Result<Vec<M>>
    where
        M: NetlinkSerializable + NetlinkDeserializable,
    {
        self.sequence += 1;
        let mut message = NetlinkMessage::new(Default::default(), question.into());
        message.header.flags = flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        self.gather()
    }

    /// Reads until the kernel says that it has said everything: each question asks for that, being
    /// a dump or with an acknowledgement.
    fn gather<M: NetlinkDeserializable>(&self) -> io::Result<Vec<M>> {
        let mut answers = Vec::new();
        let mut buffer = Vec::with_capacity(BUFFER);
        loop {
            buffer.clear();
            self.socket.recv(&mut buffer, 0)?;
            let mut rest = &buffer[..];
            while !rest.is_empty() {
                let message = NetlinkMessage::<M>::deserialize(rest).map_err(io::Error::other)?;
                let length = message.header.length as usize;
                if message.header.sequence_number == self.sequence {
                    match message.payload {
                        NetlinkPayload::Done(_) => return Ok(answers),
                        NetlinkPayload::Error(error) if error.code.is_none() => {
                            return Ok(answers);
                        }
                        NetlinkPayload::Error(error) => return Err(error.to_io()),
                        NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                        // Nothing that answers a question, and no kind that is known today.
                        _ => {}
                    }
                }
                // Messages are padded to four bytes.
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            }
        }
    }
}
