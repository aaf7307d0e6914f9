//! Debian's kernel packages.

use super::tools::call;
use anyhow::{Context, bail};
use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
    str::FromStr,
};

/// A kernel series, such as 6.12.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series(String);

impl FromStr for Series {
    type Err = String;

    fn from_str(text: &str) -> Result<Series, String> {
        let number =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        match text.split_once('.') {
            Some((major, minor)) if number(major) && number(minor) => Ok(Series(text.to_owned())),
            _ => Err(format!("`{text}` is not a kernel series such as 6.12")),
        }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// An unpacked kernel package.
pub struct Kernel {
    /// As `uname -r` says it.
    pub release: String,
    /// The boot image.
    pub image: PathBuf,
    /// The directory that has `lib/modules/RELEASE`.
    pub root: PathBuf,
}

/// The newest package of a series that apt offers.
pub fn package(series: &Series) -> anyhow::Result<String> {
    let names = call(Command::new("apt-cache").args(["pkgnames", "linux-image-"]))?;
    let mut offered: Vec<&str> = names
        .lines()
        .filter(|name| numbers(series, name).is_some())
        .collect();
    offered.sort_by_key(|name| numbers(series, name));
    match offered.last() {
        Some(name) => Ok((*name).to_owned()),
        None => bail!(
            "apt offers no linux-image of the {series} series; add the release or the backports that have it to apt's \
             sources and run `apt-get update`"
        ),
    }
}

/// Downloads and unpacks a package.
pub fn unpack(package: &str, into: &Path) -> anyhow::Result<Kernel> {
    std::fs::create_dir_all(into)?;
    call(
        Command::new("apt-get")
            .args(["download", "-qq", package])
            .current_dir(into),
    )?;
    let archive = std::fs::read_dir(into)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get download left no package")?;
    let root = into.join("kernel");
    call(Command::new("dpkg").arg("-x").args([&archive, &root]))?;
    let release = std::fs::read_dir(root.join("lib/modules"))?
        .find_map(|entry| entry.ok()?.file_name().into_string().ok())
        .context("the kernel package has no modules")?;
    Ok(Kernel {
        image: root.join("boot").join(format!("vmlinuz-{release}")),
        release,
        root,
    })
}

/// The numbers in the name of a plain kernel of the series: what its packages are ordered by.
fn numbers(series: &Series, package: &str) -> Option<Vec<u32>> {
    let version = package
        .strip_prefix("linux-image-")?
        .strip_suffix("-amd64")?;
    let rest = version.strip_prefix(&series.0)?;
    // Without a patch level it is the package that only depends on the newest.
    if !rest.starts_with('.')
        || ["cloud", "rt", "dbg", "unsigned"]
            .iter()
            .any(|flavour| rest.contains(flavour))
    {
        return None;
    }
    Some(
        rest.split(|byte: char| !byte.is_ascii_digit())
            .filter_map(|part| part.parse().ok())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_a_series_are_told_apart() {
        let rows: &[(&str, &str, Option<&[u32]>)] = &[
            ("6.1", "linux-image-6.1.0-56-amd64", Some(&[0, 56])),
            ("6.12", "linux-image-6.12.117+deb12-amd64", Some(&[117, 12])),
            ("6.1", "linux-image-6.12.117+deb12-amd64", None),
            ("6.12", "linux-image-6.12-amd64", None),
            ("6.1", "linux-image-6.1.0-56-cloud-amd64", None),
            ("6.1", "linux-image-6.1.0-56-amd64-unsigned", None),
        ];
        for (series, package, expected) in rows {
            let found = numbers(&series.parse().unwrap(), package);
            assert_eq!(found.as_deref(), *expected, "{series} {package}");
        }
    }

    #[test]
    fn a_series_is_two_numbers() {
        for text in ["6", "6.", ".1", "6.1.2", "six.one"] {
            assert!(text.parse::<Series>().is_err(), "{text}");
        }
    }
}
