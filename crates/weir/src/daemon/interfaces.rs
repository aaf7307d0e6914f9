//! The interfaces on which packets are taken, and what the packet programs know of all of them.

use std::io;

use abi::settings::{INTERFACE_XDP_TRANSMIT, Interface as Record};
use config::file::Mode;
use host::interface::{self, Interface};
use host::mode::{self, Choice, Hook};
use weir_abi as abi;
use weir_config as config;
use weir_control as control;
use weir_host as host;

use super::Daemon;
use crate::plane::Plane;

/// Where packets are to be taken, and where they are.
#[derive(Debug, Default)]
pub struct Interfaces {
    pub wanted: Vec<String>,
    pub mode: Mode,
    pub taken: Vec<Taken>,
    /// What the packet programs were told last.
    told: Vec<(u32, Record)>,
}

/// An interface on which packets are taken.
#[derive(Clone, Debug)]
pub struct Taken {
    pub interface: Interface,
    pub choice: Choice,
}

/// Why packets cannot be taken as they should be.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// An interface is not there, or the kernel does not say.
    #[error(transparent)]
    Interface(#[from] interface::Error),
    /// The mode is impossible on an interface.
    #[error(transparent)]
    Mode(#[from] mode::Refusal),
    /// The kernel refused.
    #[error("cannot take packets on {interface} by {hook}: {reason}")]
    Refused {
        /// Which interface.
        interface: String,
        /// By which hook.
        hook: Hook,
        /// What the kernel said.
        reason: String,
    },
}

impl<P: Plane> Daemon<P> {
    /// Takes packets on those interfaces. Nothing is attached unless all of them are there and can
    /// be used in that mode.
    pub fn take(&self, wanted: &[String], mode: Mode) -> Result<Vec<Taken>, AttachError> {
        let all = interface::all().map_err(interface::Error::from)?;
        let chosen = interface::select(wanted, &all)?;
        let choices = chosen
            .iter()
            .map(|interface| Ok((interface, mode::choose(mode, interface, &chosen)?)))
            .collect::<Result<Vec<_>, mode::Refusal>>()?;
        self.tell(&all);
        let mut taken = Vec::new();
        for (interface, choice) in choices {
            let choice = self.attach(interface, choice, mode)?;
            taken.push(Taken {
                interface: interface.clone(),
                choice,
            });
        }
        let mut interfaces = self.interfaces();
        interfaces.wanted = wanted.to_vec();
        interfaces.mode = mode;
        interfaces.taken.clone_from(&taken);
        Ok(taken)
    }

    /// Looks at the interfaces again after something changed: the packet programs learn what is
    /// different, and interfaces that went and came back are taken again.
    pub fn look_again(&self) -> io::Result<()> {
        let all = interface::all()?;
        self.tell(&all);
        let (wanted, mode, before) = {
            let interfaces = self.interfaces();
            let taken = interfaces.taken.clone();
            (interfaces.wanted.clone(), interfaces.mode, taken)
        };
        let present: Vec<Interface> = all
            .into_iter()
            .filter(|interface| wanted.contains(&interface.name))
            .collect();
        let mut taken = Vec::new();
        for interface in &present {
            let known = before
                .iter()
                .find(|one| one.interface.index == interface.index);
            let choice = match known {
                Some(known) => Some(known.choice.clone()),
                None => self.take_returned(interface, mode, &present),
            };
            taken.extend(choice.map(|choice| Taken {
                interface: interface.clone(),
                choice,
            }));
        }
        for gone in before {
            if !present.iter().any(|one| one.index == gone.interface.index) {
                tracing::warn!("interface {} is gone", gone.interface.name);
            }
        }
        self.interfaces().taken = taken;
        Ok(())
    }

    fn take_returned(
        &self,
        interface: &Interface,
        mode: Mode,
        present: &[Interface],
    ) -> Option<Choice> {
        let chosen = mode::choose(mode, interface, present).map_err(AttachError::from);
        match chosen.and_then(|choice| self.attach(interface, choice, mode)) {
            Ok(choice) => {
                let (name, hook) = (&interface.name, choice.hook);
                tracing::info!("interface {name} is back: taking its packets by {hook}");
                Some(choice)
            }
            Err(error) => {
                tracing::error!("interface {} is back: {error}", interface.name);
                None
            }
        }
    }

    /// Attaches by the hook that was chosen. Where the choice was ours and the driver refuses XDP all
    /// the same (its MTU, its queues), TC takes the packets.
    fn attach(
        &self,
        interface: &Interface,
        choice: Choice,
        mode: Mode,
    ) -> Result<Choice, AttachError> {
        let mut plane = self.plane_to_attach();
        let name = &interface.name;
        let mut attach = |hook| {
            plane
                .attach(interface.index, name, hook)
                .map_err(|error| AttachError::Refused {
                    interface: name.clone(),
                    hook,
                    reason: with_causes(&error),
                })
        };
        match attach(choice.hook) {
            Ok(()) => Ok(choice),
            Err(error) if mode == Mode::Auto && choice.hook != Hook::Tc => {
                attach(Hook::Tc)?;
                Ok(Choice {
                    hook: Hook::Tc,
                    reason: format!("{name} would have XDP, but: {error}"),
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Tells the packet programs of every interface whose facts are new to them: a packet may leave
    /// by one on which none are taken.
    fn tell(&self, all: &[Interface]) {
        let plane = self.plane();
        let mut interfaces = self.interfaces();
        for interface in all.iter().filter(|interface| interface.ethernet) {
            let fact = (interface.index, record(interface));
            if interfaces.told.contains(&fact) {
                continue;
            }
            match plane.set_interface(fact.0, fact.1) {
                Ok(()) => {
                    interfaces.told.retain(|(index, _)| *index != fact.0);
                    interfaces.told.push(fact);
                    control::settings::forget_routes(plane.settings());
                }
                Err(error) => tracing::warn!(
                    "packets cannot leave by {} through XDP: {}",
                    interface.name,
                    with_causes(&error)
                ),
            }
        }
        let is_there = |fact: &(u32, Record)| all.iter().any(|one| one.index == fact.0);
        let (told, gone) = interfaces.told.drain(..).partition(is_there);
        interfaces.told = told;
        forget(&*plane, gone);
    }
}

/// Lets the packet programs forget interfaces that are gone; what leads there first.
fn forget<P: Plane>(plane: &P, gone: Vec<(u32, Record)>) {
    if gone.is_empty() {
        return;
    }
    control::settings::forget_routes(plane.settings());
    for (index, _) in gone {
        if let Err(error) = plane.forget_interface(index) {
            tracing::warn!(
                "the packet programs still know interface {index}, which is gone: {}",
                with_causes(&error)
            );
        }
    }
}

fn record(interface: &Interface) -> Record {
    Record {
        mac: interface.mac.unwrap_or_default(),
        flags: if mode::transmits_now(interface) {
            INTERFACE_XDP_TRANSMIT
        } else {
            0
        },
    }
}

/// An error with what caused it, on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        // Many errors say their cause themselves.
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
