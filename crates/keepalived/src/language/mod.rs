//! The language that is the same for all blocks: lines, words, braces, comments, conditions,
//! definitions, repetitions, included files.
//!
//! What comes out is statements and braces, each of whose words knows where it stands and by what
//! definitions it came there. However a file is made, this ends, and says why it does not go on.

mod comment;
mod define;
mod include;
pub(crate) mod place;
mod sequence;
mod text;
mod words;

use define::{Context, Definition, Definitions};
use include::Checks;
use place::{Origins, Place, Trouble};
use sequence::Sequence;
use text::Text;
pub(crate) use words::{BadCommand, Word, command};

/// What keepalived's language asks of the machine.
pub trait Surroundings {
    /// The text of a regular file that is no program, or why there is none.
    fn read(&mut self, path: &str) -> Result<String, String>;
    /// The files that a pattern with `*`, `?` and `[...]` names, sorted.
    fn matches(&mut self, pattern: &str) -> Vec<String>;
    /// Where a program is that is named without its path.
    fn program(&mut self, name: &str) -> Option<String>;
    /// A variable of the environment.
    fn environment(&mut self, name: &str) -> Option<String>;
    /// A random number in this range.
    fn random(&mut self, least: u64, most: u64) -> u64;
}

/// How much a file may become.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Lines, after all is repeated and put in.
    pub lines: u64,
    /// Bytes of one line.
    pub line: usize,
    /// Bytes of all lines.
    pub bytes: usize,
    /// Definitions that are put into one line.
    pub replacements: u32,
    /// Files that include each other.
    pub depth: usize,
    /// Files.
    pub files: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lines: 1_000_000,
            line: 65_536,
            bytes: 256 << 20,
            replacements: 10_000,
            depth: 32,
            files: 4096,
        }
    }
}

/// What a file consists of.
#[derive(Debug)]
pub(crate) enum Item {
    /// A line with at least one word, without braces.
    Statement(Statement),
    /// `{`
    Open(Place),
    /// `}`
    Close(Place),
}

/// A line with at least one word.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) words: Vec<Word>,
    /// The line, for commands, which are quoted in their own way.
    pub(crate) line: String,
}

/// From where the next line comes.
enum Input {
    File {
        file: u32,
        at: usize,
        directory: String,
        /// How many files include it.
        depth: usize,
        /// As they were where it is included.
        checks: Checks,
    },
    /// In reverse, so that the next is the last.
    Lines(Vec<Text>),
    Sequence(Sequence),
}

/// A file as it is read.
pub(crate) struct Reader<'a> {
    surroundings: &'a mut dyn Surroundings,
    config_id: &'a str,
    limits: Limits,
    pub(crate) origins: Origins,
    pub(crate) troubles: Vec<Trouble>,
    definitions: Definitions,
    /// A definition of several lines that goes on.
    defining: Option<(String, Vec<Text>)>,
    checks: Checks,
    inputs: Vec<Input>,
    items: Vec<Item>,
    lines: u64,
    bytes: usize,
}

/// What came of a line.
enum Line {
    Goes(Text),
    Gone,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        surroundings: &'a mut dyn Surroundings,
        config_id: &'a str,
        limits: Limits,
    ) -> Self {
        Self {
            surroundings,
            config_id,
            limits,
            origins: Origins::default(),
            troubles: Vec::new(),
            definitions: Definitions::default(),
            defining: None,
            checks: Checks::default(),
            inputs: Vec::new(),
            items: Vec::new(),
            lines: 0,
            bytes: 0,
        }
    }

    /// Reads a file and all that it includes.
    pub(crate) fn read(mut self, path: &str, name: &str, text: String) -> Read {
        let file = self.origins.add_file(name.to_owned(), text);
        self.inputs.push(Input::File {
            file,
            at: 0,
            directory: include::directory_of(path),
            depth: 0,
            checks: self.checks,
        });
        while let Some(line) = self.next_line() {
            self.lines += 1;
            self.bytes += line.len();
            if self.lines > self.limits.lines || self.bytes > self.limits.bytes {
                self.too_much(&line);
                break;
            }
            self.take(line);
        }
        if let Some((name, lines)) = self.defining.take() {
            self.define(&name, lines);
        }
        Read {
            items: self.items,
            origins: self.origins,
            troubles: self.troubles,
        }
    }

    fn too_much(&mut self, line: &Text) {
        let place = line.place(&self.origins, 0..line.len());
        let mut outermost = place;
        for input in &self.inputs {
            if let Input::Sequence(sequence) = input {
                outermost = sequence.place;
                break;
            }
        }
        self.troubles.push(Trouble::error(
            outermost,
            "the configuration becomes too large",
            format!("expected at most {} lines in all", self.limits.lines),
        ));
    }

    /// The next line, without its comment, from wherever lines come now.
    fn next_line(&mut self) -> Option<Text> {
        loop {
            match self.inputs.last_mut()? {
                Input::Lines(lines) => match lines.pop() {
                    Some(line) => return Some(line),
                    None => _ = self.inputs.pop(),
                },
                Input::Sequence(sequence) => match sequence.next(&mut self.definitions) {
                    Some(line) => return Some(line),
                    None => _ = self.inputs.pop(),
                },
                Input::File { file, at, .. } => {
                    let text = self.origins.text(*file);
                    if *at >= text.len() {
                        if let Some(Input::File { checks, .. }) = self.inputs.pop() {
                            self.checks = checks;
                        }
                        continue;
                    }
                    let begin = *at;
                    let end = text[begin..].find('\n').map_or(text.len(), |n| begin + n);
                    *at = end + 1;
                    let line = text[begin..end].trim_end_matches('\r');
                    let line = Text::in_file(line, *file, place::number(begin));
                    if let Some(line) = self.line_of_file(line) {
                        return Some(line);
                    }
                }
            }
        }
    }

    fn line_of_file(&mut self, mut line: Text) -> Option<Text> {
        if line.is_empty() {
            if let Some((name, lines)) = self.defining.take() {
                self.define(&name, lines);
            }
            return None;
        }
        if let Some(at) = line.as_str().find('\0') {
            self.troubles.push(Trouble::error(
                line.place(&self.origins, at..at + 1),
                "there is a NUL byte in the line",
                "expected text",
            ));
            return None;
        }
        if line.len() > self.limits.line {
            self.troubles.push(Trouble::error(
                line.place(&self.origins, 0..1),
                "the line is too long",
                format!("expected at most {} bytes", self.limits.line),
            ));
            return None;
        }
        self.without_comment(&mut line);
        (!line.is_empty()).then_some(line)
    }

    fn without_comment(&mut self, line: &mut Text) {
        if let Err(open) = comment::strip(line) {
            self.troubles.push(Trouble::error(
                line.place(&self.origins, open..open + 1),
                "the quotation is not closed",
                "expected another `\"` in this line",
            ));
        }
    }

    /// What a line says to the language itself; the rest goes on.
    fn take(&mut self, mut line: Text) {
        if self.defining.is_some() {
            return self.continue_definition(line);
        }
        for _ in 0..100 {
            match self.condition(line) {
                Line::Goes(rest) => line = rest,
                Line::Gone => return,
            }
            if let Some((name, value)) = define::begin(line.as_str()) {
                let name = name.to_owned();
                return self.begin_definition(name, line.slice(value..line.len()));
            }
            if line.as_str().starts_with("~SEQ") || line.as_str().starts_with("~LST") {
                return self.repeat(&line);
            }
            if !line.as_str().contains('$') {
                break;
            }
            let mut around = Context {
                directory: directory(&self.inputs),
                surroundings: &mut *self.surroundings,
                config_id: self.config_id,
                limits: &self.limits,
            };
            let replaced = self.definitions.replace(
                &mut line,
                &mut self.origins,
                &mut around,
                &mut self.troubles,
            );
            if !replaced.any {
                break;
            }
            if !replaced.rest.is_empty() {
                let rest = replaced.rest.into_iter().rev().collect();
                self.inputs.push(Input::Lines(rest));
            }
            // What stands for a comment sign begins none.
            line.trim();
        }
        if let Some((checks, name)) = include::asked(line.as_str()) {
            return self.include(checks, line.slice(name..line.len()));
        }
        self.emit(line);
    }

    /// `@ID` and `@^ID` before a line.
    fn condition(&self, line: Text) -> Line {
        let Some(rest) = line.as_str().strip_prefix('@') else {
            return Line::Goes(line);
        };
        let (other, rest) = match rest.strip_prefix('^') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let Some(end) = rest.find([' ', '\t']) else {
            return Line::Gone;
        };
        if (rest[..end] == *self.config_id) == other {
            return Line::Gone;
        }
        let begin = line.len() - rest[end..].trim_start_matches([' ', '\t']).len();
        Line::Goes(line.slice(begin..line.len()))
    }

    fn begin_definition(&mut self, name: String, mut value: Text) {
        if value.as_str().ends_with('\\') {
            value.truncate(value.len() - 1);
            value.trim();
            let lines = if value.is_empty() {
                vec![]
            } else {
                vec![value]
            };
            self.defining = Some((name, lines));
        } else {
            self.definitions.set_text(&name, value);
        }
    }

    fn continue_definition(&mut self, mut line: Text) {
        let Some((name, mut lines)) = self.defining.take() else {
            return;
        };
        let goes_on = line.as_str().ends_with('\\');
        if goes_on {
            line.truncate(line.len() - 1);
            line.trim();
        }
        if !line.is_empty() {
            lines.push(line);
        }
        if goes_on {
            self.defining = Some((name, lines));
        } else {
            self.define(&name, lines);
        }
    }

    fn define(&mut self, name: &str, mut lines: Vec<Text>) {
        let several = !lines.is_empty();
        if lines.is_empty() {
            lines.push(Text::default());
        }
        self.definitions.set(name, Definition { lines, several });
    }

    /// `~SEQ`, `~SEQx` and `~LST`: what follows on the line, again and again.
    fn repeat(&mut self, line: &Text) {
        let text = line.as_str();
        let found = sequence::parentheses(text);
        let whole = line.place(
            &self.origins,
            0..found.map_or(line.len(), |(_, close)| close + 1),
        );
        let values = found.and_then(|(open, close)| {
            let mut arguments = line.slice(open + 1..close);
            let mut around = Context {
                directory: directory(&self.inputs),
                surroundings: &mut *self.surroundings,
                config_id: self.config_id,
                limits: &self.limits,
            };
            let (origins, troubles) = (&mut self.origins, &mut self.troubles);
            let definitions = &self.definitions;
            let replaced = definitions.replace(&mut arguments, origins, &mut around, troubles);
            if !replaced.rest.is_empty() {
                return Err("expected no definition of several lines in it");
            }
            match text[..open].trim_end() {
                "~SEQ" => sequence::numbers(arguments.as_str(), false),
                "~SEQx" => sequence::numbers(arguments.as_str(), true),
                "~LST" => sequence::list(arguments.as_str()),
                _ => Err("expected `~SEQ(`, `~SEQx(` or `~LST(`"),
            }
            .map(|values| (values, close))
        });
        let (values, close) = match values {
            Ok(values) => values,
            Err(expected) => {
                let message = "the line cannot be repeated like this";
                return self.troubles.push(Trouble::error(whole, message, expected));
            }
        };
        let count = values.count();
        if count > self.limits.lines {
            return self.troubles.push(Trouble::error(
                whole,
                format!("the line would be repeated {count} times"),
                format!("expected at most {} lines in all", self.limits.lines),
            ));
        }
        let mut text = line.slice(close + 1..line.len());
        text.trim();
        self.inputs.push(Input::Sequence(Sequence {
            text,
            values,
            place: whole,
        }));
    }

    fn include(&mut self, checks: Checks, mut name: Text) {
        name.trim();
        let place = name.place(&self.origins, 0..name.len());
        let checks = checks.and(self.checks);
        let depth = depth(&self.inputs) + 1;
        if depth > self.limits.depth {
            return self.troubles.push(Trouble::error(
                place,
                "files include each other without end",
                format!("expected at most {} files in each other", self.limits.depth),
            ));
        }
        let pattern = include::in_directory(&directory(&self.inputs), name.as_str());
        let Some(alternatives) = include::alternatives(&pattern) else {
            let message = "the braces stand for too many files";
            let expected = "expected fewer alternatives";
            return self.troubles.push(Trouble::error(place, message, expected));
        };
        let several = alternatives.len() > 1;
        let mut found = Vec::new();
        for alternative in alternatives {
            let wildcards = include::has_wildcards(&alternative);
            let files = match wildcards {
                true => self.surroundings.matches(&alternative),
                false => vec![alternative.clone()],
            };
            if files.is_empty() {
                let must = (wildcards && checks.wildcard) || (several && checks.brace);
                self.missing(place, must, &format!("no file matches `{alternative}`"));
            }
            for file in files {
                match self.surroundings.read(&file) {
                    Ok(text) => found.push((file, text)),
                    Err(why) => {
                        let must = checks.readable
                            && (wildcards || checks.named || (several && checks.brace));
                        self.missing(place, must, &format!("`{file}` is not read: {why}"));
                    }
                }
            }
        }
        for (path, text) in found.into_iter().rev() {
            if self.origins.files() >= self.limits.files {
                let expected = format!("expected at most {} files", self.limits.files);
                let trouble = Trouble::error(place, "too many files are included", expected);
                return self.troubles.push(trouble);
            }
            let directory = include::directory_of(&path);
            let file = self.origins.add_file(path, text);
            self.inputs.push(Input::File {
                file,
                at: 0,
                directory,
                depth,
                checks: self.checks,
            });
        }
    }

    fn missing(&mut self, place: Place, must: bool, message: &str) {
        self.troubles.push(match must {
            true => Trouble::error(place, message, "expected a file here"),
            false => Trouble::note(place, message, "nothing is read here"),
        });
    }

    /// Statements and braces of a line. What follows a brace is a line of its own.
    fn emit(&mut self, mut line: Text) {
        line.trim();
        let Some(brace) = first_brace(line.as_str()) else {
            return self.statement(&line);
        };
        if line.as_str()[..brace].ends_with('$')
            && let Some(close) = line.as_str()[brace..].find('}')
        {
            let reference = brace - 1..brace + close + 1;
            self.troubles.push(Trouble::error(
                line.place(&self.origins, reference.clone()),
                format!("`{}` is not defined", &line.as_str()[reference.clone()]),
                "expected a name that is defined before, as $NAME=VALUE",
            ));
            line.replace(reference, &Text::default());
            return self.inputs.push(Input::Lines(vec![line]));
        }
        let before = line.slice(0..brace);
        let place = line.place(&self.origins, brace..brace + 1);
        let after = line.slice(brace + 1..line.len());
        self.statement(&before);
        self.items.push(match line.as_str().as_bytes()[brace] {
            b'{' => Item::Open(place),
            _ => Item::Close(place),
        });
        if !after.as_str().trim().is_empty() {
            let mut after = after;
            after.trim();
            self.inputs.push(Input::Lines(vec![after]));
        }
    }

    fn statement(&mut self, line: &Text) {
        let words = words::words(line, &self.origins);
        if words.is_empty() {
            return;
        }
        if words[0].text == "include_check" {
            let options: Vec<String> = words[1..].iter().map(|word| word.text.clone()).collect();
            self.checks = self.checks.changed(&options);
        }
        self.items.push(Item::Statement(Statement {
            words,
            line: line.as_str().to_owned(),
        }));
    }
}

/// What was read.
pub(crate) struct Read {
    pub(crate) items: Vec<Item>,
    pub(crate) origins: Origins,
    pub(crate) troubles: Vec<Trouble>,
}

fn directory(inputs: &[Input]) -> String {
    let directory = |input: &Input| match input {
        Input::File { directory, .. } => Some(directory.clone()),
        Input::Lines(_) | Input::Sequence(_) => None,
    };
    inputs.iter().rev().find_map(directory).unwrap_or_default()
}

fn depth(inputs: &[Input]) -> usize {
    let depth = |input: &Input| match input {
        Input::File { depth, .. } => Some(*depth),
        Input::Lines(_) | Input::Sequence(_) => None,
    };
    inputs.iter().rev().find_map(depth).unwrap_or(0)
}

/// The first brace that is not quoted.
fn first_brace(line: &str) -> Option<usize> {
    let mut quoted = false;
    line.char_indices().find_map(|(at, letter)| {
        match letter {
            '"' => quoted = !quoted,
            '{' | '}' if !quoted => return Some(at),
            _ => {}
        }
        None
    })
}
