//! What an oracle says.

use std::fmt;

use crate::moment::Moment;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// When it was found.
    pub at: Moment,
    /// Of what kind it is.
    pub kind: Kind,
    /// What is wrong.
    pub sentence: String,
}

/// Kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something happened that must never happen.
    Safety,
    /// Something that must happen did not.
    Liveness,
    /// A node broke one of its own invariants.
    Panic,
}

impl Finding {
    /// Something that must never happen.
    #[must_use]
    pub fn safety(at: Moment, sentence: String) -> Self {
        Self { at, kind: Kind::Safety, sentence }
    }

    /// Something that did not happen.
    #[must_use]
    pub fn liveness(at: Moment, sentence: String) -> Self {
        Self { at, kind: Kind::Liveness, sentence }
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Safety, Self::Liveness, Self::Panic];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safety => "safety",
            Self::Liveness => "liveness",
            Self::Panic => "panic",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}", self.kind, self.at, self.sentence)
    }
}
