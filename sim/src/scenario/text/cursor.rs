//! The words of a line, one after the other.

use std::collections::BTreeMap;

use super::trouble::{Trouble, quoted};
use crate::event::HostId;
use crate::scenario::Options;

/// A word and where it is, in characters from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    pub(super) column: usize,
}

/// The hosts there are, and what they are called.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    /// The first so many are operators, the spare ones last.
    pub(super) operators: usize,
    pub(super) spares: usize,
    /// All of them.
    pub(super) count: usize,
    pub(super) names: BTreeMap<String, usize>,
}

/// What is left of a line.
pub(super) struct Cursor<'a> {
    words: Vec<Word<'a>>,
    next: usize,
    /// Where the line ends.
    end: usize,
    pub(super) hosts: &'a Hosts,
}

impl Hosts {
    pub(super) fn of(options: &Options, names: BTreeMap<String, usize>) -> Self {
        let operators = options.operators + options.spares;
        Self { operators, spares: options.spares, count: options.hosts(), names }
    }

    /// A host by its number, its letter (`A` is 0) or its name.
    pub(super) fn find(&self, word: Word<'_>) -> Result<HostId, Trouble> {
        let letter = match word.text.as_bytes() {
            [letter @ b'A'..=b'Z'] => Some(usize::from(letter - b'A')),
            _ => None,
        };
        let named = self.names.get(word.text).copied();
        let host = named.or(letter).or(word.text.parse().ok());
        if let Some(host) = host.filter(|host| *host < self.count) {
            return Ok(HostId(host));
        }
        let last = self.count.saturating_sub(1);
        let letters = format!("A to {}", char::from(b'A' + last.min(25) as u8));
        let names: Vec<&str> = self.names.keys().map(String::as_str).collect();
        let names =
            if names.is_empty() { String::new() } else { format!(", {}", names.join(", ")) };
        let what = format!(
            "there is no host {}: hosts are 0 to {last}, or {letters}{names}",
            quoted(word.text)
        );
        Err(Trouble::at(word.column, what))
    }
}

impl<'a> Cursor<'a> {
    /// The words before any comment; commas are as good as spaces.
    pub(super) fn new(line: &'a str, hosts: &'a Hosts) -> Self {
        let text = line.split('#').next().unwrap_or_default();
        let mut words = Vec::new();
        let (mut start, mut column, mut column_of_start) = (None, 1, 1);
        for (at, letter) in text.char_indices() {
            let gap = letter.is_whitespace() || letter == ',';
            match (gap, start) {
                (false, None) => (start, column_of_start) = (Some(at), column),
                (true, Some(from)) => {
                    words.push(Word { text: &text[from..at], column: column_of_start });
                    start = None;
                }
                _ => {}
            }
            column += 1;
        }
        if let Some(from) = start {
            words.push(Word { text: &text[from..], column: column_of_start });
        }
        let end = words.last().map_or(1, |it| it.column + it.text.chars().count());
        Self { words, next: 0, end, hosts }
    }

    /// The next word, if there is one.
    pub(super) fn peek(&self) -> Option<Word<'a>> {
        self.words.get(self.next).copied()
    }

    /// The word after so many others.
    pub(super) fn ahead(&self, words: usize) -> Option<Word<'a>> {
        self.words.get(self.next + words).copied()
    }

    /// The next word; `expected` says what it is to be.
    pub(super) fn word(&mut self, expected: &str) -> Result<Word<'a>, Trouble> {
        let missing = || Trouble::at(self.end, format!("expected {expected}, but the line ends"));
        let word = self.peek().ok_or_else(missing)?;
        self.next += 1;
        Ok(word)
    }

    /// Takes the next word if it is this one.
    pub(super) fn takes(&mut self, text: &str) -> bool {
        let there = self.peek().is_some_and(|word| word.text == text);
        self.next += usize::from(there);
        there
    }

    /// The next word is this one.
    pub(super) fn keyword(&mut self, text: &str) -> Result<(), Trouble> {
        let word = self.word(&format!("`{text}`"))?;
        if word.text == text {
            return Ok(());
        }
        let what = format!("expected `{text}`, found {}", quoted(word.text));
        Err(Trouble::at(word.column, what))
    }

    /// The next word is a host.
    pub(super) fn host(&mut self) -> Result<HostId, Trouble> {
        let word = self.word("a host")?;
        self.hosts.find(word)
    }

    /// Nothing is left.
    pub(super) fn end(&self) -> Result<(), Trouble> {
        match self.peek() {
            None => Ok(()),
            Some(word) => {
                let what = format!("expected the end of the line, found {}", quoted(word.text));
                Err(Trouble::at(word.column, what))
            }
        }
    }
}
