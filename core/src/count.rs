//! What is counted: an input that is refused leaves a count, and nothing else.

/// One kind of thing that happens. Names are those of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// Links that opened.
    LinksOpened,
    /// Dials that were started.
    Dials,
    /// Dials that failed.
    DialsFailed,
    /// Frames that were understood.
    Frames,
    /// Links closed because the peer broke the protocol or stayed silent.
    Violations,
    /// Links refused because the key is no operator's.
    Strangers,
    /// Frames of an unknown kind, ignored.
    UnknownFrames,
    /// Records accepted into the database.
    RecordsAccepted,
    /// Records refused because what we hold is as new or newer.
    RecordsStale,
    /// Records refused because their form or signature is wrong.
    RecordsInvalid,
    /// Records refused because their key is no operator's.
    RecordsStrange,
    /// Records that wait, because their signer changes too often.
    RecordsDelayed,
    /// Words about where we are, ignored because their speaker changes them too often.
    SightingsIgnored,
}

impl Counter {
    /// Every counter, in order.
    pub const ALL: [Self; 13] = [
        Self::LinksOpened,
        Self::Dials,
        Self::DialsFailed,
        Self::Frames,
        Self::Violations,
        Self::Strangers,
        Self::UnknownFrames,
        Self::RecordsAccepted,
        Self::RecordsStale,
        Self::RecordsInvalid,
        Self::RecordsStrange,
        Self::RecordsDelayed,
        Self::SightingsIgnored,
    ];

    /// The metric's name, without prefix.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LinksOpened => "links_opened",
            Self::Dials => "dials",
            Self::DialsFailed => "dials_failed",
            Self::Frames => "frames",
            Self::Violations => "violations",
            Self::Strangers => "strangers",
            Self::UnknownFrames => "unknown_frames",
            Self::RecordsAccepted => "records_accepted",
            Self::RecordsStale => "records_stale",
            Self::RecordsInvalid => "records_invalid",
            Self::RecordsStrange => "records_strange",
            Self::RecordsDelayed => "records_delayed",
            Self::SightingsIgnored => "sightings_ignored",
        }
    }
}
