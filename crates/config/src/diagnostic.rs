//! What is wrong with a file, and where.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// One thing that is wrong with a file. Shown, it has the place and the line with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What was expected there instead.
    pub expected: String,
    rendered: String,
}

/// How bad something in a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The file is not taken.
    Error,
    /// It is taken, but something in it is not in order, and was set right.
    Warning,
    /// It is taken, but does not do all that it says.
    Note,
}

/// A place in a file and what is said about it.
#[derive(Clone, Debug)]
pub struct Label<'a> {
    /// The file.
    pub source: &'a Source<'a>,
    /// The bytes.
    pub span: Range<usize>,
    /// What is written under them.
    pub text: String,
}

impl Diagnostic {
    /// One thing about a place, with other places that it has to do with, in this file or others.
    pub fn new(
        severity: Severity,
        message: impl Into<String>,
        place: &Label<'_>,
        others: &[Label<'_>],
    ) -> Self {
        let message = message.into();
        let source = place.source;
        let start = source.text.floor_char_boundary(place.span.start);
        let line = source.line(start);
        Self {
            severity,
            file: source.name.to_owned(),
            line: line + 1,
            column: source.text[source.lines[line]..start].chars().count() + 1,
            rendered: render(severity, &message, place, others),
            message,
            expected: place.text.clone(),
        }
    }

    /// Whether the file cannot be taken because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rendered)
    }
}

impl std::error::Error for Diagnostic {}

/// A thing that is wrong, before it is known how the file is called.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    pub(crate) expected: String,
    /// Another place that it has to do with, and what is there.
    pub(crate) other: Option<(Range<usize>, &'static str)>,
}

impl Problem {
    /// The problem as it is shown to people.
    pub(crate) fn describe(self, source: &Source<'_>) -> Diagnostic {
        let label = |span, text: &str| Label {
            source,
            span,
            text: text.to_owned(),
        };
        let place = label(self.span, &self.expected);
        let other: Vec<Label<'_>> = self
            .other
            .map(|(span, text)| label(span, text))
            .into_iter()
            .collect();
        Diagnostic::new(Severity::Error, self.message, &place, &other)
    }
}

/// A file's text, in which places are found without reading all of it each time.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    name: &'a str,
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    /// The text of a file and what it is called.
    pub fn new(name: &'a str, text: &'a str) -> Self {
        let newlines = text.match_indices('\n');
        let after = newlines.map(|(newline, _)| newline + 1);
        Self {
            name,
            text,
            lines: std::iter::once(0).chain(after).collect(),
        }
    }

    /// The line that holds this place, from 0.
    fn line(&self, place: usize) -> usize {
        self.lines.partition_point(|start| *start <= place) - 1
    }

    /// Where the line ends, its newline left out.
    fn line_end(&self, line: usize) -> usize {
        self.lines
            .get(line + 1)
            .map_or(self.text.len(), |next| next - 1)
    }
}

fn render(severity: Severity, message: &str, place: &Label<'_>, others: &[Label<'_>]) -> String {
    let (here, elsewhere): (Vec<_>, Vec<_>) = others
        .iter()
        .partition(|other| std::ptr::eq(other.source, place.source));
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let mut group = level
        .primary_title(message)
        .element(snippet(Some(place), &here));
    for other in elsewhere {
        group = group.element(snippet(None, &[other]));
    }
    Renderer::plain().render(&[group])
}

/// With the lines that it is about, and no others: they are searched.
fn snippet<'a>(
    place: Option<&'a Label<'a>>,
    others: &[&'a Label<'a>],
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let labels = || place.into_iter().chain(others.iter().copied());
    let source = labels().next().map_or_else(
        || unreachable!("a snippet is about something"),
        |label| label.source,
    );
    let first = labels().map(|label| label.span.start).min().unwrap_or(0);
    let last = labels().map(|label| label.span.end).max().unwrap_or(0);
    let first_line = source.line(first.min(source.text.len()));
    let begin = source.lines[first_line];
    let end = source.line_end(source.line(last.min(source.text.len())));
    let text = &source.text[begin..end.max(begin)];
    let annotation = |kind: AnnotationKind, label: &'a Label<'a>| {
        kind.span(label.span.start - begin..label.span.end - begin)
            .label(label.text.as_str())
    };
    Snippet::source(text)
        .line_start(first_line + 1)
        .path(source.name)
        .annotations(place.map(|label| annotation(AnnotationKind::Primary, label)))
        .annotations(
            others
                .iter()
                .map(|label| annotation(AnnotationKind::Context, label)),
        )
}
