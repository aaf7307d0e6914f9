//! keepalived and Weir on one `keepalived.conf`, while its real servers fail, answer by errors, hang and come back: after
//! every step the listing must be the same, and so must be who was told of what, by script, pipe and mail.
//!
//! They run one after the other, each with IPVS of its own kind, in the same network and with the same files.

mod answers;
mod compare;
mod configuration;
mod found;
mod notices;
mod scene;
mod servers;

pub use compare::differences;
pub use found::Found;
pub use scene::{Keeper, Scene};

use anyhow::Result;
use servers::Manner;
use std::time::{Duration, Instant};
use weir_lab::Lab;

/// Longer than any check takes to settle with its repetitions. A guest's time passes at once while nobody works.
const SETTLED: Duration = Duration::from_secs(9);
/// What is expected comes sooner, unless it does not come.
const PATIENCE: Duration = Duration::from_secs(40);

/// What happens in a step.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// Real server so and so behaves otherwise.
    Server(u8, Manner),
    /// Script so and so ends with another code.
    Script(u8, u8),
    /// File so and so says another number.
    File(u8, i32),
    /// The keeper reads the second file.
    Reload,
    /// The keeper ends.
    Stop,
}

use Event::{File, Reload, Script, Server, Stop};
use Manner::{Errors, Refuses, Silent, Well};

const STEPS: &[(&str, &[Event])] = &[
    ("the third has refused from the start", &[]),
    ("the third is well", &[Server(3, Well)]),
    ("the first answers by errors", &[Server(1, Errors)]),
    ("the first is well", &[Server(1, Well)]),
    ("the second refuses", &[Server(2, Refuses)]),
    ("the third refuses too", &[Server(3, Refuses)]),
    ("the first refuses, nobody is left", &[Server(1, Refuses)]),
    ("the third comes back", &[Server(3, Well)]),
    ("the first comes back", &[Server(1, Well)]),
    ("the second comes back", &[Server(2, Well)]),
    ("the first is silent", &[Server(1, Silent)]),
    ("the first speaks again", &[Server(1, Well)]),
    ("the first script wants weight 12", &[Script(1, 14)]),
    ("the first script says down", &[Script(1, 1)]),
    ("the first script wants weight 0", &[Script(1, 2)]),
    ("the first script wants weight 253", &[Script(1, 255)]),
    ("two scripts want 3 and 8", &[Script(1, 5), Script(2, 10)]),
    (
        "both scripts want nothing special",
        &[Script(1, 0), Script(2, 0)],
    ),
    ("the second script says down", &[Script(2, 1)]),
    ("the second script is content", &[Script(2, 0)]),
    ("the first file says 1", &[File(1, 1)]),
    ("the first file says 0", &[File(1, 0)]),
    ("the second file says 3", &[File(2, 3)]),
    ("the second file says -2", &[File(2, -2)]),
    ("the second file says 0", &[File(2, 0)]),
    ("another configuration", &[Reload]),
    ("the second refuses again", &[Server(2, Refuses)]),
    ("the second is well again", &[Server(2, Well)]),
    ("the end", &[Stop]),
];

/// Plays all steps with a keeper. Waits after each until what is found is as `expected`; where that is not known, so long
/// that nothing more can follow from the step.
pub fn play(lab: &Lab, keeper: &Keeper, expected: Option<&[Found]>) -> Result<Vec<Found>> {
    let mut scene = Scene::new(lab, keeper)?;
    let mut all = Vec::new();
    for (number, (step, events)) in STEPS.iter().enumerate() {
        let mut ended = false;
        for event in *events {
            match event {
                Server(number, manner) => scene.servers.behave(*number, *manner)?,
                Script(number, code) => scene.set_script(*number, *code)?,
                File(number, value) => scene.set_file(*number, *value)?,
                Reload => scene.reload()?,
                Stop => {
                    scene.stop()?;
                    ended = true;
                }
            }
        }
        let expected = expected.and_then(|all| all.get(number));
        let begin = Instant::now();
        let mut found = Found::nothing(step);
        loop {
            std::thread::sleep(match expected {
                Some(_) => Duration::from_millis(50),
                None => SETTLED,
            });
            if !ended {
                found.listing = scene.listing()?;
            }
            found.hear(scene.notices.take());
            match expected {
                None => break,
                Some(expected) if differences(expected, &found).is_empty() => break,
                Some(_) if begin.elapsed() > PATIENCE => break,
                Some(_) => {}
            }
        }
        all.push(found);
    }
    Ok(all)
}
