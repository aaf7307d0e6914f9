//! Keywords: which there are, where they stand, what they take, and whether Weir does what they say.

mod check;
mod global;
mod tree;
mod vrrp;

pub(crate) use tree::{Node, tree};

/// A keyword.
#[derive(Debug)]
pub(crate) struct Keyword {
    pub(crate) name: &'static str,
    /// What stands behind it, for messages.
    pub(crate) usage: &'static str,
    pub(crate) body: Body,
    pub(crate) support: Support,
}

/// What follows a keyword's words.
#[derive(Debug)]
pub(crate) enum Body {
    /// Nothing.
    None,
    /// A block of keywords.
    Block(&'static Block),
    /// A block of lines that begin with no keyword.
    Lines,
}

/// Whether Weir does what a keyword says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Support {
    /// Yes.
    Yes,
    /// No, and nothing is lost: why.
    Needless(&'static str),
    /// No, and without it the file would mean something else: what to do instead.
    Refused(&'static str),
    /// Yes, but it has a new name.
    Old(&'static str),
}

/// Keywords that stand together.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) keywords: &'static [&'static [Keyword]],
}

/// What stands in no block.
pub(crate) const TOP: Block = Block {
    keywords: &[global::TOP, vrrp::TOP, check::TOP],
};

impl Block {
    pub(crate) fn find(&self, name: &str) -> Option<&'static Keyword> {
        self.all().find(|keyword| keyword.name == name)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &'static Keyword> {
        self.keywords.iter().copied().flatten()
    }
}

/// Whether a keyword stands in no block.
pub(crate) fn is_top(name: &str) -> bool {
    TOP.find(name).is_some()
}

/// The keyword in whose block another one stands, if anywhere.
pub(crate) fn home_of(name: &str) -> Option<&'static str> {
    fn search(block: &Block, inside: &'static str, name: &str) -> Option<&'static str> {
        if block.find(name).is_some() {
            return Some(inside);
        }
        block.all().find_map(|keyword| match keyword.body {
            Body::Block(inner) => search(inner, keyword.name, name),
            Body::None | Body::Lines => None,
        })
    }
    search(&TOP, "", name)
}

/// A keyword that Weir does; a usage of nothing is that it takes nothing.
const fn takes(name: &'static str, usage: &'static str) -> Keyword {
    Keyword {
        name,
        usage,
        body: Body::None,
        support: Support::Yes,
    }
}

const fn block(name: &'static str, usage: &'static str, block: &'static Block) -> Keyword {
    Keyword {
        body: Body::Block(block),
        ..takes(name, usage)
    }
}

const fn lines(name: &'static str, usage: &'static str) -> Keyword {
    Keyword {
        body: Body::Lines,
        ..takes(name, usage)
    }
}

const fn needless(name: &'static str, why: &'static str) -> Keyword {
    Keyword {
        support: Support::Needless(why),
        ..takes(name, "")
    }
}

const fn needless_lines(name: &'static str, why: &'static str) -> Keyword {
    Keyword {
        support: Support::Needless(why),
        ..lines(name, "")
    }
}

const fn refused(name: &'static str, instead: &'static str) -> Keyword {
    Keyword {
        support: Support::Refused(instead),
        ..takes(name, "")
    }
}

const fn old(name: &'static str, usage: &'static str, new: &'static str) -> Keyword {
    Keyword {
        support: Support::Old(new),
        ..takes(name, usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(block: &Block, inside: &str) -> usize {
        let mut names: Vec<&str> = block.all().map(|keyword| keyword.name).collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before, "a keyword is there twice in {inside}");
        let inner = block.all().map(|keyword| match keyword.body {
            Body::Block(inner) => count(inner, keyword.name),
            Body::None | Body::Lines => 0,
        });
        before + inner.sum::<usize>()
    }

    #[test]
    fn every_keyword_is_there_once() {
        assert!(count(&TOP, "the file") > 400);
        assert_eq!(home_of("advert_int"), Some("vrrp_instance"));
        assert_eq!(home_of("vrrp_instance"), Some(""));
        assert_eq!(home_of("nonsense"), None);
    }
}
