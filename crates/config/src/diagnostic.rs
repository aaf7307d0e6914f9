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

impl Problem {
    /// The problem as it is shown to people.
    pub(crate) fn describe(self, text: &str, file: &str) -> Diagnostic {
        let before = &text[..text.floor_char_boundary(self.span.start)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Diagnostic {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            rendered: self.render(text, file),
            message: self.message,
            expected: self.expected,
        }
    }

    fn render(&self, text: &str, file: &str) -> String {
        let primary = AnnotationKind::Primary
            .span(self.span.clone())
            .label(self.expected.as_str());
        let other = self
            .other
            .clone()
            .map(|(span, label)| AnnotationKind::Context.span(span).label(label));
        let snippet = Snippet::source(text)
            .path(file)
            .annotation(primary)
            .annotations(other);
        let title = Level::ERROR.primary_title(self.message.as_str());
        Renderer::plain().render(&[title.element(snippet)])
    }
}
