//! What is wrong with a file, and where.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// One thing that is wrong with a file. Shown, it has the place and the line with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
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

/// A file's text, in which places are found without reading all of it each time.
pub(crate) struct Source<'a> {
    name: &'a str,
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(name: &'a str, text: &'a str) -> Self {
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

impl Problem {
    /// The problem as it is shown to people.
    pub(crate) fn describe(self, source: &Source<'_>) -> Diagnostic {
        let place = source.text.floor_char_boundary(self.span.start);
        let line = source.line(place);
        Diagnostic {
            file: source.name.to_owned(),
            line: line + 1,
            column: source.text[source.lines[line]..place].chars().count() + 1,
            rendered: self.render(source),
            message: self.message,
            expected: self.expected,
        }
    }

    /// With the lines that it is about, and no others: they are searched.
    fn render(&self, source: &Source<'_>) -> String {
        let spans = [Some(&self.span), self.other.as_ref().map(|(span, _)| span)];
        let places = || spans.into_iter().flatten();
        let first = places().map(|span| span.start).min().unwrap_or(0);
        let last = places().map(|span| span.end).max().unwrap_or(0);
        let first_line = source.line(first);
        let begin = source.lines[first_line];
        let end = source.line_end(source.line(last));
        let here = |span: &Range<usize>| span.start - begin..span.end - begin;
        let primary = AnnotationKind::Primary
            .span(here(&self.span))
            .label(self.expected.as_str());
        let other = self
            .other
            .as_ref()
            .map(|(span, label)| AnnotationKind::Context.span(here(span)).label(*label));
        let snippet = Snippet::source(&source.text[begin..end.max(begin)])
            .line_start(first_line + 1)
            .path(source.name)
            .annotation(primary)
            .annotations(other);
        let title = Level::ERROR.primary_title(self.message.as_str());
        Renderer::plain().render(&[title.element(snippet)])
    }
}
