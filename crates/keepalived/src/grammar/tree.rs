//! Statements with what is in their blocks.

use std::iter::Peekable;
use std::vec::IntoIter;

use super::{Block, Body, Keyword, Support, TOP, home_of};
use crate::language::place::{Place, Trouble};
use crate::language::{Item, Statement, Word};

/// A keyword as it stands in a file.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) keyword: &'static Keyword,
    statement: Statement,
    /// What is in its block of keywords.
    pub(crate) nodes: Vec<Node>,
    /// What is in its block of lines.
    pub(crate) lines: Vec<Statement>,
}

impl Node {
    pub(crate) fn name(&self) -> &'static str {
        self.keyword.name
    }

    /// Where the keyword stands.
    pub(crate) fn place(&self) -> Place {
        self.statement.words[0].place
    }

    /// The words behind the keyword.
    pub(crate) fn words(&self) -> &[Word] {
        &self.statement.words[1..]
    }

    /// The line, with its quotation marks.
    pub(crate) fn line(&self) -> &str {
        &self.statement.line
    }

    /// The last one of a name in its block: of keywords that say the same thing twice, it counts.
    pub(crate) fn last(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().rfind(|node| node.name() == name)
    }
}

/// Makes statements and braces a tree of what keywords there are.
pub(crate) fn tree(items: Vec<Item>, troubles: &mut Vec<Trouble>) -> Vec<Node> {
    let mut builder = Builder {
        items: items.into_iter().peekable(),
        troubles,
    };
    builder.block(&TOP, None)
}

struct Builder<'a> {
    items: Peekable<IntoIter<Item>>,
    troubles: &'a mut Vec<Trouble>,
}

/// Whether the block of a keyword is there.
enum Begin {
    Open,
    Missing,
}

impl Builder<'_> {
    /// What is in a block; `of` is where the keyword stands whose block it is.
    fn block(&mut self, block: &Block, of: Option<(Place, &Begin)>) -> Vec<Node> {
        let mut nodes = Vec::new();
        loop {
            match self.items.next() {
                None => {
                    if let Some((place, Begin::Open)) = of {
                        self.unclosed(place);
                    }
                    return nodes;
                }
                Some(Item::Close(place)) => {
                    if of.is_some() {
                        return nodes;
                    }
                    self.error(place, "there is a `}` too many", "nothing is open here");
                }
                Some(Item::Open(place)) => {
                    self.error(
                        place,
                        "there is no block here",
                        "expected a keyword before `{`",
                    );
                    self.skip_block(place);
                }
                Some(Item::Statement(statement)) => nodes.extend(self.node(block, statement)),
            }
        }
    }

    fn node(&mut self, block: &Block, statement: Statement) -> Option<Node> {
        let word = &statement.words[0];
        let place = word.place;
        let Some(keyword) = block.find(&word.text) else {
            self.unknown(block, word);
            if let Some(open) = self.opens() {
                self.skip_block(open);
            }
            return None;
        };
        self.support(keyword, place);
        let mut node = Node {
            keyword,
            statement,
            nodes: Vec::new(),
            lines: Vec::new(),
        };
        match keyword.body {
            Body::None => {
                if let Some(open) = self.opens() {
                    let name = keyword.name;
                    self.error(open, format!("`{name}` has no block"), "expected none here");
                    self.skip_block(open);
                }
            }
            Body::Block(inner) => {
                let begin = self.begin(keyword, place);
                node.nodes = self.block(inner, Some((place, &begin)));
            }
            Body::Lines => {
                self.begin(keyword, place);
                node.lines = self.lines(place);
            }
        }
        Some(node)
    }

    /// Whether a block begins here, and then it is begun.
    fn opens(&mut self) -> Option<Place> {
        let Some(Item::Open(place)) = self.items.peek() else {
            return None;
        };
        let place = *place;
        self.items.next();
        Some(place)
    }

    fn begin(&mut self, keyword: &Keyword, place: Place) -> Begin {
        if self.opens().is_some() {
            return Begin::Open;
        }
        let message = format!("`{}` has no block", keyword.name);
        self.error(place, message, "expected `{` after it");
        Begin::Missing
    }

    fn lines(&mut self, of: Place) -> Vec<Statement> {
        let mut lines = Vec::new();
        loop {
            match self.items.next() {
                None => {
                    self.unclosed(of);
                    return lines;
                }
                Some(Item::Close(_)) => return lines,
                Some(Item::Open(place)) => {
                    self.error(
                        place,
                        "there is no block here",
                        "expected no `{` in this block",
                    );
                    self.skip_block(place);
                }
                Some(Item::Statement(statement)) => lines.push(statement),
            }
        }
    }

    /// Passes over a block that has begun.
    fn skip_block(&mut self, open: Place) {
        let mut depth = 1;
        while depth > 0 {
            match self.items.next() {
                None => return self.unclosed(open),
                Some(Item::Open(_)) => depth += 1,
                Some(Item::Close(_)) => depth -= 1,
                Some(Item::Statement(_)) => {}
            }
        }
    }

    fn unclosed(&mut self, place: Place) {
        self.error(
            place,
            "the block is not closed",
            "expected a `}` for this one",
        );
    }

    fn error(&mut self, place: Place, message: impl Into<String>, expected: impl Into<String>) {
        self.troubles.push(Trouble::error(place, message, expected));
    }

    fn unknown(&mut self, block: &Block, word: &Word) {
        let name = &word.text;
        let nearest = block
            .all()
            .map(|keyword| (strsim::jaro_winkler(name, keyword.name), keyword.name))
            .filter(|(likeness, _)| *likeness > 0.85)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let expected = match (home_of(name), nearest) {
            (Some(""), _) => "it stands in no block; is a `}` missing before?".to_owned(),
            (Some(home), _) => format!("it stands in `{home}`"),
            (None, Some((_, nearest))) => format!("did you mean `{nearest}`?"),
            (None, None) => "expected a keyword that keepalived knows here".to_owned(),
        };
        let message = match home_of(name) {
            Some(_) => format!("`{name}` does not stand here"),
            None => format!("there is no keyword `{name}`"),
        };
        self.error(word.place, message, expected);
    }

    fn support(&mut self, keyword: &Keyword, place: Place) {
        let name = keyword.name;
        self.troubles.push(match keyword.support {
            Support::Yes => return,
            Support::Needless(why) => {
                Trouble::note(place, format!("`{name}` has no effect in Weir"), why)
            }
            Support::Refused(instead) => Trouble::error(
                place,
                format!("`{name}` is known, but Weir cannot do it"),
                instead,
            ),
            Support::Old(new) => Trouble::warning(
                place,
                format!("`{name}` is old"),
                format!("keepalived's word is now `{new}`"),
            ),
        });
    }
}
