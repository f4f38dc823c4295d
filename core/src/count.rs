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
    /// Datagrams that came before we have a record, or from nowhere.
    PacketsIgnored,
    /// Datagrams that are no discv5 packet to us.
    PacketsInvalid,
    /// Datagrams that came faster than they were handled.
    PacketsMissed,
    /// Datagrams that there was no room or no way to send.
    PacketsUnsent,
    /// Challenges that we sent.
    Challenges,
    /// Challenges of packets that we did not send there.
    ChallengesUnasked,
    /// Handshakes that we sent.
    HandshakesSent,
    /// Handshakes of others that answer no challenge of ours.
    HandshakesUnasked,
    /// Handshakes of others that prove nothing.
    HandshakesInvalid,
    /// Handshakes of others that were too many at once.
    HandshakesDelayed,
    /// Sessions that were opened or renewed.
    Sessions,
    /// Messages that decrypt to nothing that we understand.
    MessagesInvalid,
    /// Responses that nobody waits for.
    ResponsesUnasked,
    /// Requests of ours that were too many at once.
    RequestsRefused,
    /// Requests of ours without an answer in time.
    RequestsUnanswered,
    /// Lookups that were begun.
    Lookups,
    /// Words about where we are, ignored because their speaker changes them too often.
    SightingsIgnored,
}

impl Counter {
    /// Every counter, in order.
    pub const ALL: [Self; 29] = [
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
        Self::PacketsIgnored,
        Self::PacketsInvalid,
        Self::PacketsMissed,
        Self::PacketsUnsent,
        Self::Challenges,
        Self::ChallengesUnasked,
        Self::HandshakesSent,
        Self::HandshakesUnasked,
        Self::HandshakesInvalid,
        Self::HandshakesDelayed,
        Self::Sessions,
        Self::MessagesInvalid,
        Self::ResponsesUnasked,
        Self::RequestsRefused,
        Self::RequestsUnanswered,
        Self::Lookups,
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
            Self::PacketsIgnored => "discovery_packets_ignored",
            Self::PacketsInvalid => "discovery_packets_invalid",
            Self::PacketsMissed => "discovery_packets_missed",
            Self::PacketsUnsent => "discovery_packets_unsent",
            Self::Challenges => "discovery_challenges",
            Self::ChallengesUnasked => "discovery_challenges_unasked",
            Self::HandshakesSent => "discovery_handshakes_sent",
            Self::HandshakesUnasked => "discovery_handshakes_unasked",
            Self::HandshakesInvalid => "discovery_handshakes_invalid",
            Self::HandshakesDelayed => "discovery_handshakes_delayed",
            Self::Sessions => "discovery_sessions",
            Self::MessagesInvalid => "discovery_messages_invalid",
            Self::ResponsesUnasked => "discovery_responses_unasked",
            Self::RequestsRefused => "discovery_requests_refused",
            Self::RequestsUnanswered => "discovery_requests_unanswered",
            Self::Lookups => "discovery_lookups",
            Self::SightingsIgnored => "sightings_ignored",
        }
    }
}
