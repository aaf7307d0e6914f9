//! Where things stand: files, and what was put in place of what.

use std::fmt;
use std::ops::Range;

use weir_config::diagnostic::{Diagnostic, Label, Severity, Source};

/// Bytes of a file, and the substitution that brought them here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub(crate) file: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// The number of the substitution, or 0 for what stands here itself.
    pub(crate) via: u32,
}

/// A definition that was put in place of its name.
#[derive(Clone, Copy, Debug)]
struct Substitution {
    used: Place,
}

/// A file that was read.
struct File {
    name: String,
    text: String,
}

/// All files that were read and all that was put in place of something.
#[derive(Default)]
pub struct Origins {
    files: Vec<File>,
    substitutions: Vec<Substitution>,
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.files.iter().map(|file| &file.name))
            .finish()
    }
}

/// What is wrong, and where.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub(crate) severity: Severity,
    pub(crate) place: Place,
    pub(crate) message: String,
    pub(crate) expected: String,
    /// Another place that it has to do with.
    pub(crate) other: Option<(Place, &'static str)>,
}

impl Origins {
    /// Takes a file in and gives its number.
    pub(crate) fn add_file(&mut self, name: String, text: String) -> u32 {
        self.files.push(File { name, text });
        number(self.files.len() - 1)
    }

    pub(crate) fn text(&self, file: u32) -> &str {
        &self.files[file as usize].text
    }

    pub(crate) fn files(&self) -> usize {
        self.files.len()
    }

    /// Notes that something was put in the place of what stands there.
    pub(crate) fn substitute(&mut self, used: Place) -> u32 {
        self.substitutions.push(Substitution { used });
        number(self.substitutions.len())
    }

    /// In whose place a substitution put something.
    pub(crate) fn used(&self, via: u32) -> Option<Place> {
        let index = (via as usize).checked_sub(1)?;
        self.substitutions.get(index).map(|one| one.used)
    }

    /// How many substitutions lie between a place and what a person wrote where it counts.
    pub(crate) fn depth(&self, mut via: u32) -> u32 {
        let mut depth = 0;
        while via != 0 {
            depth += 1;
            via = self.substitutions[via as usize - 1].used.via;
        }
        depth
    }

    /// The troubles as they are shown to people, in the order of their places, each once.
    pub(crate) fn describe(&self, mut troubles: Vec<Trouble>) -> Vec<Diagnostic> {
        troubles.sort_by_key(|trouble| (trouble.place.file, trouble.place.start));
        troubles.dedup_by(|a, b| {
            (a.place.file, a.place.start, &a.message) == (b.place.file, b.place.start, &b.message)
        });
        let sources: Vec<Source<'_>> = self
            .files
            .iter()
            .map(|file| Source::new(&file.name, &file.text))
            .collect();
        let label = |place: Place, text: &str| Label {
            source: &sources[place.file as usize],
            span: self.span(place),
            text: text.to_owned(),
        };
        let describe = |trouble: Trouble| {
            let others = trouble.other.into_iter().chain(self.uses(trouble.place));
            let others: Vec<Label<'_>> = others.map(|(place, text)| label(place, text)).collect();
            Diagnostic::new(
                trouble.severity,
                trouble.message,
                &label(trouble.place, &trouble.expected),
                &others,
            )
        };
        troubles.into_iter().map(describe).collect()
    }

    /// Where what stands in a definition is used, from the inside out.
    fn uses(&self, place: Place) -> impl Iterator<Item = (Place, &'static str)> {
        let mut via = place.via;
        std::iter::from_fn(move || {
            let substitution = self.substitutions.get((via as usize).checked_sub(1)?)?;
            via = substitution.used.via;
            Some((substitution.used, "used here"))
        })
        // Who defines by definitions of definitions sees the innermost.
        .take(4)
    }

    /// The bytes of a place, whole characters and within the file.
    fn span(&self, place: Place) -> Range<usize> {
        let text = &self.files[place.file as usize].text;
        let start = text.floor_char_boundary((place.start as usize).min(text.len()));
        let end = text.ceil_char_boundary((place.end as usize).min(text.len()));
        start..end.max(start)
    }
}

pub(crate) fn number(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

impl Trouble {
    pub(crate) fn error(
        place: Place,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            place,
            message: message.into(),
            expected: expected.into(),
            other: None,
        }
    }

    pub(crate) fn note(
        place: Place,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Note,
            ..Self::error(place, message, expected)
        }
    }

    pub(crate) fn warning(
        place: Place,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(place, message, expected)
        }
    }

    pub(crate) fn beside(mut self, place: Place, text: &'static str) -> Self {
        self.other = Some((place, text));
        self
    }
}
