//! What happens, for whoever listens. Who tells never waits: a listener that reads too slowly misses.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast::{self, Receiver, Sender};
use weir_api::types::Event;

/// So many events a listener may be behind.
const BEHIND: usize = 4_096;

/// Where events are told and heard.
pub struct Events(Mutex<Option<Sender<Arc<Event>>>>);

impl Default for Events {
    fn default() -> Self {
        Self(Mutex::new(Some(broadcast::channel(BEHIND).0)))
    }
}

impl Events {
    /// Tells all who listen.
    pub fn publish(&self, event: Event) {
        if let Some(sender) = &*self.sender() {
            // That nobody listens is no mistake.
            let _ = sender.send(Arc::new(event));
        }
    }

    /// Something that happened just now.
    pub fn happened(&self, kind: &str, subject: &str, message: &str, detail: serde_json::Value) {
        self.publish(Event {
            time: weir_api::time::rfc3339(weir_api::time::now()),
            kind: kind.to_owned(),
            subject: subject.to_owned(),
            message: message.to_owned(),
            detail,
        });
    }

    /// What happens from now on; nothing when the daemon ends.
    pub fn listen(&self) -> Option<Receiver<Arc<Event>>> {
        self.sender().as_ref().map(Sender::subscribe)
    }

    /// Lets all who listen go: the daemon ends.
    pub fn close(&self) {
        self.sender().take();
    }

    fn sender(&self) -> std::sync::MutexGuard<'_, Option<Sender<Arc<Event>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
