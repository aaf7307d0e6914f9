//! All instances and groups of this director.

use core::time::Duration;

use weir_config::model::vrrp::Vrrp;

use crate::view::{GroupView, InstanceView, Socket};
use crate::{Action, Event, Memory, Moment};

/// All instances and groups of this director.
#[derive(Clone, Debug)]
pub struct Router {
    config: Vrrp,
}

impl Router {
    /// A router that has not begun; `memories` are what an earlier daemon knew.
    pub fn new(config: &Vrrp, moment: Moment, memories: &[Memory]) -> Self {
        let _ = (moment, memories);
        Self {
            config: config.clone(),
        }
    }

    /// Takes in what happens; what is to be done is pushed to `actions`.
    pub fn handle(&mut self, moment: Moment, event: &Event<'_>, actions: &mut Vec<Action>) {
        let _ = (moment, event, actions, &self.config);
    }

    /// When it wants a [`Event::Tick`], unless something happens before.
    pub fn next_deadline(&self) -> Option<Duration> {
        None
    }

    /// The sockets that its instances need, each once. It changes by [`Event::Reload`] only.
    pub fn sockets(&self) -> Vec<Socket> {
        Vec::new()
    }

    /// Its instances.
    pub fn instances(&self) -> Vec<InstanceView> {
        Vec::new()
    }

    /// Its groups.
    pub fn groups(&self) -> Vec<GroupView> {
        Vec::new()
    }

    /// What a daemon that replaces this one should know.
    pub fn memories(&self, moment: Moment) -> Vec<Memory> {
        let _ = moment;
        Vec::new()
    }
}
