//! Text that knows where each of its characters comes from.

use std::ops::Range;

use super::place::{Origins, Place, number};

/// A piece of text. Most of it comes from one place; each substitution makes it one piece more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text {
    text: String,
    runs: Vec<Run>,
}

/// From `at` on, until the next run.
#[derive(Clone, Copy, Debug)]
struct Run {
    at: u32,
    file: u32,
    start: u32,
    via: u32,
    /// Where what is not in the file itself, but was made, stands for: the end of that.
    made: Option<u32>,
}

impl Text {
    /// What stands in a file from `start` on.
    pub(crate) fn in_file(text: &str, file: u32, start: u32) -> Self {
        let run = Run {
            at: 0,
            file,
            start,
            via: 0,
            made: None,
        };
        Self {
            text: text.to_owned(),
            runs: vec![run],
        }
    }

    /// What was made for a place.
    pub(crate) fn made(text: String, place: Place) -> Self {
        let run = Run {
            at: 0,
            file: place.file,
            start: place.start,
            via: place.via,
            made: Some(place.end),
        };
        Self {
            text,
            runs: vec![run],
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn slice(&self, range: Range<usize>) -> Self {
        let mut slice = Self {
            text: self.text[range.clone()].to_owned(),
            runs: Vec::new(),
        };
        for (index, run) in self.runs.iter().enumerate() {
            let ends = self.end_of(index);
            let begins = (run.at as usize).max(range.start);
            if begins >= ends.min(range.end) {
                continue;
            }
            let skipped = match run.made {
                Some(_) => 0,
                None => number(begins) - run.at,
            };
            slice.runs.push(Run {
                at: number(begins - range.start),
                start: run.start + skipped,
                ..*run
            });
        }
        slice
    }

    fn end_of(&self, run: usize) -> usize {
        self.runs
            .get(run + 1)
            .map_or(self.text.len(), |next| next.at as usize)
    }

    pub(crate) fn append(&mut self, other: &Self) {
        let at = number(self.text.len());
        self.text.push_str(&other.text);
        self.runs.extend(other.runs.iter().map(|run| Run {
            at: run.at + at,
            ..*run
        }));
    }

    /// Without what is in that range.
    pub(crate) fn remove(&mut self, range: Range<usize>) {
        let mut rest = self.slice(0..range.start);
        rest.append(&self.slice(range.end..self.len()));
        *self = rest;
    }

    /// With something else in that range.
    pub(crate) fn replace(&mut self, range: Range<usize>, with: &Self) {
        let mut whole = self.slice(0..range.start);
        whole.append(with);
        whole.append(&self.slice(range.end..self.len()));
        *self = whole;
    }

    pub(crate) fn truncate(&mut self, length: usize) {
        *self = self.slice(0..length);
    }

    /// Without blanks before and after.
    pub(crate) fn trim(&mut self) {
        let blank = [' ', '\t'];
        let begin = self.len() - self.text.trim_start_matches(blank).len();
        let end = self.text.trim_end_matches(blank).len();
        if begin > 0 || end < self.len() {
            *self = self.slice(begin..end.max(begin));
        }
    }

    /// As it is when it is put in the place of something: all of it came by that substitution.
    pub(crate) fn by_way_of(&self, via: u32) -> Self {
        let mut text = self.clone();
        for run in &mut text.runs {
            run.via = via;
        }
        text
    }

    /// The place of a part of it: where a person wrote it, as a whole. Of what several definitions
    /// made together, it is the place where they are used together.
    pub(crate) fn place(&self, origins: &Origins, range: Range<usize>) -> Place {
        let part = self.slice(range.clone());
        let runs = part.runs.iter().enumerate();
        let mut places: Vec<Place> = runs
            .map(|(index, run)| Place {
                file: run.file,
                start: run.start,
                end: run
                    .made
                    .unwrap_or(run.start + number(part.end_of(index)) - run.at),
                via: run.via,
            })
            .collect();
        while let Some(first) = places.first().copied() {
            let together = |place: &Place| (place.via, place.file) == (first.via, first.file);
            let deepest = places.iter().map(|place| origins.depth(place.via)).max();
            if places.iter().all(together) || deepest == Some(0) {
                let here = || places.iter().filter(|place| together(place));
                return Place {
                    start: here().map(|place| place.start).min().unwrap_or(first.start),
                    end: here().map(|place| place.end).max().unwrap_or(first.end),
                    ..first
                };
            }
            for place in &mut places {
                if Some(origins.depth(place.via)) == deepest {
                    *place = origins.used(place.via).unwrap_or(*place);
                }
            }
        }
        self.point(range.start)
    }

    /// The place between two characters.
    fn point(&self, at: usize) -> Place {
        let index = self.runs.iter().rposition(|run| run.at as usize <= at);
        let Some(run) = index.map(|index| self.runs[index]) else {
            return Place {
                file: 0,
                start: 0,
                end: 0,
                via: 0,
            };
        };
        let start = match run.made {
            Some(_) => run.start,
            None => run.start + (number(at) - run.at),
        };
        Place {
            file: run.file,
            start,
            end: run.made.unwrap_or(start),
            via: run.via,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(start: u32, end: u32, via: u32) -> Place {
        Place {
            file: 0,
            start,
            end,
            via,
        }
    }

    #[test]
    fn a_part_knows_where_it_stood() {
        let mut origins = Origins::default();
        let mut text = Text::in_file("priority 1${N}0", 0, 100);
        let via = origins.substitute(text.place(&origins, 10..14));
        text.replace(10..14, &Text::in_file("77", 0, 5).by_way_of(via));
        assert_eq!(text.as_str(), "priority 1770");
        assert_eq!(text.place(&origins, 0..8), place(100, 108, 0));
        // Of its own line as a whole, and of the definition alone.
        assert_eq!(text.place(&origins, 9..13), place(109, 115, 0));
        assert_eq!(text.place(&origins, 11..12), place(6, 7, 1));
        text.remove(0..9);
        assert_eq!(text.as_str(), "1770");
        assert_eq!(text.place(&origins, 0..4), place(109, 115, 0));
    }
}
