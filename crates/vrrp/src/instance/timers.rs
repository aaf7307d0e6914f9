//! When an instance acts by itself.

use core::time::Duration;

use super::{Context, Instance};
use crate::{Action, State};

/// When addresses are announced again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Announcing {
    /// The second time after it became Active.
    again: Option<Duration>,
    /// The second time after a lower priority was heard.
    lower_again: Option<Duration>,
    /// Again and again.
    refresh: Option<Duration>,
}

impl Instance {
    /// When it wants to be asked.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let Announcing {
            again,
            lower_again,
            refresh,
        } = self.announcing;
        [self.deadline, again, lower_again, refresh]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether its Backup's timer has run out.
    pub(crate) fn is_silent_for_too_long(&self, now: Duration) -> bool {
        self.state == State::Backup && self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// It would be Active, but its group is not ready: it asks again later.
    pub(crate) fn wait_for_group(&mut self, now: Duration) {
        self.wants_active = true;
        self.deadline = Some(now.saturating_add(self.master_down_interval()));
    }

    /// Advertises and announces what is due.
    pub(crate) fn tick_as_active(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        if self.state != State::Active {
            return;
        }
        if let Some(deadline) = self.deadline.filter(|deadline| *deadline <= now) {
            self.advertise(self.priority, context);
            // Without drift, and without a burst after a pause.
            let next = deadline.saturating_add(self.wanted.interval);
            let next = if next > now {
                next
            } else {
                now.saturating_add(self.wanted.interval)
            };
            self.deadline = Some(next);
        }
        let announcements = self.wanted.announcements;
        if is_due(&mut self.announcing.again, now) {
            self.announce(announcements.repeat, context);
        }
        if is_due(&mut self.announcing.lower_again, now) {
            self.announce(announcements.lower_repeat, context);
        }
        if is_due(&mut self.announcing.refresh, now) {
            self.announce(announcements.refresh_repeat, context);
            self.announcing.refresh = announcements
                .refresh
                .map(|refresh| now.saturating_add(refresh));
        }
    }

    /// As it becomes Active.
    pub(super) fn announce_as_new(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        let announcements = self.wanted.announcements;
        let delay = announcements.delay;
        self.announce(announcements.repeat, context);
        self.announcing = Announcing {
            again: (delay > Duration::ZERO).then(|| now.saturating_add(delay)),
            lower_again: None,
            refresh: announcements
                .refresh
                .map(|refresh| now.saturating_add(delay).saturating_add(refresh)),
        };
    }

    /// A router with a lower priority has announced the addresses as its own, most likely.
    pub(crate) fn announce_against_lower(&mut self, context: &mut Context<'_>) {
        let announcements = self.wanted.announcements;
        if self.state != State::Active || announcements.lower_repeat == 0 {
            return;
        }
        self.announce(announcements.lower_repeat, context);
        let delay = announcements.lower_delay;
        if delay > Duration::ZERO {
            self.announcing.lower_again = Some(context.now().saturating_add(delay));
        }
    }

    fn announce(&self, rounds: u16, context: &mut Context<'_>) {
        if rounds > 0 {
            context.push(Action::Announce {
                instance: self.name.clone(),
                rounds,
            });
        }
    }

    /// After another configuration: what was put is made as it says now, and the interval holds at once.
    pub(crate) fn put_again(&mut self, context: &mut Context<'_>) {
        match self.state {
            State::Active => {
                context.push(Action::Take(self.name.clone()));
                self.active_interval = self.wanted.interval;
                self.advertise(self.priority, context);
                self.announce_as_new(context);
                self.deadline = Some(context.now().saturating_add(self.wanted.interval));
            }
            State::Backup => {
                let latest = context.now().saturating_add(self.master_down_interval());
                self.deadline = self.deadline.map(|deadline| deadline.min(latest));
            }
            State::Initialize | State::Fault => {}
        }
    }
}

/// Whether a time has come; it is over then.
fn is_due(time: &mut Option<Duration>, now: Duration) -> bool {
    let due = time.is_some_and(|at| at <= now);
    if due {
        *time = None;
    }
    due
}
