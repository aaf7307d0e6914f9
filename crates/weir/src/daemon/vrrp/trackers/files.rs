//! Numbers in files: read whenever the kernel tells that one may have changed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use config::model::vrrp::VrrpFile;
use host::file::Watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use weir_config as config;
use weir_host as host;

use super::super::Command;
use super::{Commands, LOOK};

/// A number is no longer.
const LONGEST_NUMBER: u64 = 64;

/// Watches them until nobody wants to know any more.
pub(super) async fn watch(files: Vec<VrrpFile>, commands: Commands) {
    for file in &files {
        if let Err(error) = begin(file) {
            tracing::warn!("VRRP file {}: {}: {error}", file.name, file.path.display());
        }
    }
    let mut last = BTreeMap::new();
    loop {
        // Watched before they are read, so that nothing happens in between.
        let watch = Watch::begin(files.iter().map(|file| file.path.as_path()));
        let mut watch = watch.ok().filter(Watch::is_complete);
        loop {
            if !tell(&files, &mut last, &commands).await {
                return;
            }
            let told = match &mut watch {
                Some(watch) => watch.changed().await.is_ok() && watch.is_complete(),
                // A directory that is not there, or a link: it may be another time.
                None => {
                    sleep(LOOK).await;
                    false
                }
            };
            if !told {
                break;
            }
        }
    }
}

/// Reads all of them and tells what is new; whether somebody wants to know.
async fn tell(files: &[VrrpFile], last: &mut BTreeMap<String, i32>, commands: &Commands) -> bool {
    let to_read = files.to_vec();
    // The disk may be slow.
    let read = spawn_blocking(move || {
        let number = |file: &VrrpFile| (file.name.clone(), number_in(&file.path));
        to_read.iter().map(number).collect::<Vec<_>>()
    });
    for (name, number) in read.await.unwrap_or_default() {
        if last.insert(name.clone(), number) != Some(number)
            && commands.send(Command::File(name, number)).is_err()
        {
            return false;
        }
    }
    true
}

/// Makes the file with its first number, where that is wanted.
fn begin(file: &VrrpFile) -> io::Result<()> {
    match file.initial {
        Some((number, overwrite)) if overwrite || !file.path.exists() => {
            fs::write(&file.path, format!("{number}\n"))
        }
        Some(_) | None => Ok(()),
    }
}

/// The number that a file begins with; 0 when there is none.
fn number_in(path: &Path) -> i32 {
    use std::io::Read;
    let mut text = String::new();
    let read =
        fs::File::open(path).and_then(|file| file.take(LONGEST_NUMBER).read_to_string(&mut text));
    match read {
        Ok(_) => first_number(&text),
        Err(_) => 0,
    }
}

fn first_number(text: &str) -> i32 {
    let text = text.trim_start();
    let digits = |at: &str| at.find(|c: char| !c.is_ascii_digit()).unwrap_or(at.len());
    let sign = usize::from(text.starts_with(['-', '+']));
    let end = sign + digits(&text[sign..]);
    text[..end].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_begins_with_its_number() {
        for (text, number) in [
            ("7\n", 7),
            ("  -12 rest", -12),
            ("+3", 3),
            ("", 0),
            ("-", 0),
            ("x7", 0),
            ("99999999999", 0),
        ] {
            assert_eq!(first_number(text), number, "{text:?}");
        }
    }

    #[tokio::test]
    async fn changes_are_told_however_they_are_made() {
        let directory = tempfile::tempdir().unwrap();
        let nested = directory.path().join("later");
        let paths = [directory.path().join("here"), nested.join("there")];
        let file = |name: &str, path: &Path| VrrpFile {
            name: name.to_owned(),
            path: path.to_owned(),
            factor: 1,
            reverse: false,
            initial: None,
        };
        for (name, path) in ["here", "there"].into_iter().zip(&paths) {
            let (commands, mut told) = tokio::sync::mpsc::unbounded_channel();
            let watching = tokio::spawn(watch(vec![file(name, path)], commands));
            let mut expect = async |number| {
                let long = std::time::Duration::from_secs(60);
                let told = tokio::time::timeout(long, told.recv()).await;
                match told.unwrap() {
                    Some(Command::File(of, said)) => assert_eq!((&*of, said), (name, number)),
                    other => panic!("{other:?}"),
                }
            };
            expect(0).await;
            // The directory of the second one comes now.
            fs::create_dir_all(&nested).unwrap();
            fs::write(path, "7\n").unwrap();
            expect(7).await;
            let beside = path.with_extension("new");
            fs::write(&beside, "8\n").unwrap();
            fs::rename(&beside, path).unwrap();
            expect(8).await;
            fs::remove_file(path).unwrap();
            expect(0).await;
            watching.abort();
        }
    }
}
