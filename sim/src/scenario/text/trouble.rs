//! What is wrong with a text, and what was meant perhaps.

use std::fmt;

/// Something in a line that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Where it begins, in characters from 1.
    pub(super) column: usize,
    /// What is wrong, or what was expected.
    pub(super) what: String,
}

impl Trouble {
    pub(super) fn at(column: usize, what: impl Into<String>) -> Self {
        Self { column, what: what.into() }
    }
}

/// A text that is no scenario, or one of a scenario that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    /// The file, as it was named.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The character of the line, from 1.
    pub column: usize,
    /// What is wrong, what was expected, and what was meant perhaps.
    pub what: String,
    /// The line itself.
    pub source: String,
}

/// A line that is longer is shown up to here.
const SHOWN_MAX: usize = 120;

impl fmt::Display for TextError {
    /// The place, what is wrong, and the line with a mark below.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, what, source } = self;
        writeln!(f, "{file}:{line}:{column}: {what}")?;
        // What came from a file is not to command a terminal.
        let shown = source.chars().map(|it| if it.is_control() { ' ' } else { it });
        let shown: String = shown.take(SHOWN_MAX).collect();
        write!(f, "  {}\n  {}^", shown.trim_end(), " ".repeat((column - 1).min(SHOWN_MAX)))
    }
}

impl std::error::Error for TextError {}

/// What to say of a word that is none of these: which it may be, and which is nearest.
pub(super) fn expected<'a>(
    what: &str,
    found: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let near = known.iter().map(|it| (distance(found, it), *it)).min();
    let near = near.filter(|(distance, it)| *distance <= it.chars().count().div_ceil(3));
    let known = match near {
        Some((_, near)) => format!("did you mean {near}?"),
        None => format!("one of {}", known.join(", ")),
    };
    format!("expected {what}, found {}: {known}", quoted(found))
}

/// A word of a file, for a message: never longer than a line, never a command to a terminal.
pub(super) fn quoted(word: &str) -> String {
    let short: String = word.chars().take(40).flat_map(char::escape_debug).collect();
    let more = if word.chars().nth(40).is_some() { "…" } else { "" };
    format!("`{short}{more}`")
}

/// How many letters are to be inserted, left out, replaced or exchanged with the next.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(40).flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().take(40).flat_map(char::to_lowercase).collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_if_it_is_near() {
        assert_eq!(
            ["crash", "carsh", "crsh", "krahs"].map(|it| distance(it, "crash")),
            [0, 1, 1, 2]
        );
        assert_eq!(
            expected("a fault", "mvoe", ["move", "mend"]),
            "expected a fault, found `mvoe`: did you mean move?"
        );
        assert_eq!(
            expected("a fault", "\x1b[2J", ["move", "mend"]),
            "expected a fault, found `\\u{1b}[2J`: one of move, mend"
        );
    }
}
