//! Tells both ends of connections that have expired, where their service wants it.

use host::farewell::{Sender, Way};
use weir_abi::settings::USE_FAREWELLS;
use weir_config::model::Protocol;
use weir_control::farewells::{self, words};
use weir_host as host;

use super::Daemon;
use crate::plane::Plane;

/// How far the telling has come.
#[derive(Debug, Default)]
pub struct Farewells {
    /// The number of the connection that is told of next; nothing before the first look.
    next: Option<u32>,
    sender: Option<Sender>,
    /// Why they cannot be told, once that was said.
    silent: Option<String>,
}

impl<P: Plane> Daemon<P> {
    /// Tells of those that have expired since the last time.
    pub(super) fn say_farewell(&self) {
        let words = {
            let plane = self.plane();
            let settings = plane.settings();
            let mut farewells = self.farewells();
            // What has expired before this daemon was there is told of by nobody.
            let next = farewells
                .next
                .get_or_insert_with(|| settings.farewells.load());
            if !settings.uses(USE_FAREWELLS) {
                return;
            }
            words(&*plane, next)
        };
        if words.is_empty() {
            return;
        }
        let mut farewells = self.farewells();
        if farewells.sender.is_none() {
            match Sender::new() {
                Ok(sender) => farewells.sender = Some(sender),
                Err(error) => {
                    let why = error.to_string();
                    if farewells.silent.as_ref() != Some(&why) {
                        tracing::warn!(
                            "the ends of connections that expire are not told: {why} (it takes CAP_NET_RAW)"
                        );
                        farewells.silent = Some(why);
                    }
                    return;
                }
            }
        }
        let Some(sender) = &farewells.sender else {
            return;
        };
        for word in words {
            let Some(way) = self.way_of_farewell(word.way) else {
                continue;
            };
            let told = match word.protocol {
                Protocol::Tcp => sender.reset(word.from, word.to, word.sequence, way),
                Protocol::Udp => sender.unreachable(word.from, word.to, way),
                Protocol::Sctp => Ok(()),
            };
            if let Err(error) = told {
                tracing::debug!(
                    "{} is not told that its connection is over: {error}",
                    word.to
                );
            }
        }
    }

    /// The same way by an interface's index; nothing where the interface is gone.
    fn way_of_farewell(&self, way: farewells::Way) -> Option<Way> {
        Some(match way {
            farewells::Way::Routed => Way::Routed,
            farewells::Way::Link(link) => {
                let index = self.plane().interface_index(link.beside())?;
                Way::Neighbour(index, link.mac())
            }
            farewells::Way::Tunnel(tunnel, from, to) => Way::Tunnel(tunnel, from, to),
        })
    }
}
