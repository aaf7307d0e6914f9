//! A watch that fails is set up again. A process of its own: it runs out of descriptors.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use weir_host::watch::{self, Changes};

#[derive(Debug, PartialEq)]
enum Told {
    Changed(Changes),
    Watching,
    Interrupted(Option<i32>),
}

struct Observer(Sender<Told>);

impl watch::Observer for Observer {
    fn changed(&self, changes: Changes) {
        let _ = self.0.send(Told::Changed(changes));
    }

    fn watching(&self) {
        let _ = self.0.send(Told::Watching);
    }

    fn interrupted(&self, error: &io::Error) {
        let _ = self.0.send(Told::Interrupted(error.raw_os_error()));
    }
}

#[test]
fn a_watch_that_fails_says_so_and_is_set_up_again() {
    let limit = getrlimit(Resource::Nofile);
    let none = Rlimit {
        current: Some(0),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, none).expect("less is allowed");
    let (sender, receiver) = channel();
    watch::network(Observer(sender)).expect("a thread can be started");
    let patience = Duration::from_secs(20);
    let next = || receiver.recv_timeout(patience).expect("something is told");
    assert_eq!(next(), Told::Interrupted(Some(libc::EMFILE)));
    setrlimit(Resource::Nofile, limit).expect("as it was");
    // It may have failed once more before that.
    let mut told = next();
    while matches!(told, Told::Interrupted(_)) {
        told = next();
    }
    let everything = Changes {
        interfaces: true,
        routes: true,
    };
    assert_eq!(
        told,
        Told::Changed(everything),
        "it does not know what it missed"
    );
    assert_eq!(next(), Told::Watching);
}
