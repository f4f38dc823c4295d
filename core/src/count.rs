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
    /// Datagrams that are no discv5 packet to us, whatever the reason; those that follow say which.
    PacketsInvalid,
    /// Such datagrams of a size that no packet has.
    PacketsOfWrongSize,
    /// Such datagrams not masked for us, or of another protocol.
    PacketsForeign,
    /// Such datagrams of a version other than 1.
    PacketsOfWrongVersion,
    /// Such datagrams of a flag that there is not.
    PacketsOfNoKind,
    /// Such datagrams that end within their authdata.
    PacketsCutInAuthdata,
    /// Such datagrams whose authdata has not the size of their kind.
    PacketsOfWrongAuthdata,
    /// Such datagrams that have a message where none belongs.
    PacketsWithMessage,
    /// Such datagrams whose message is shorter than its tag.
    PacketsWithoutTag,
    /// Such datagrams whose handshake ends before it says its sizes.
    PacketsCutInHead,
    /// Such datagrams whose handshake ends within signature or key.
    PacketsCutInHandshake,
    /// Such datagrams whose handshake is of no scheme that we know.
    PacketsOfOtherScheme,
    /// Such datagrams that do not open, and are too short to be challenged.
    PacketsTooShortToChallenge,
    /// Such datagrams that do not open, and name us as their sender.
    PacketsOfOurOwn,
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
    /// Handshakes of others that prove nothing, whatever the reason; those that follow say which.
    HandshakesInvalid,
    /// Such handshakes: no record that is the sender's.
    HandshakesOfNoRecord,
    /// Such handshakes: an ephemeral key that is no point, or a bad signature.
    HandshakesUnproved,
    /// Such handshakes: a message that opens under no challenge of ours.
    HandshakesSealed,
    /// Handshakes of others that were too many at once.
    HandshakesDelayed,
    /// Sessions that were opened or renewed.
    Sessions,
    /// Messages that decrypt to nothing that we understand.
    MessagesInvalid,
    /// Responses that nobody waits for.
    ResponsesUnasked,
    /// TALKREQs in a registered protocol that the application did not answer in time.
    TalksUnanswered,
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
    pub const ALL: [Self; 46] = [
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
        Self::PacketsOfWrongSize,
        Self::PacketsForeign,
        Self::PacketsOfWrongVersion,
        Self::PacketsOfNoKind,
        Self::PacketsCutInAuthdata,
        Self::PacketsOfWrongAuthdata,
        Self::PacketsWithMessage,
        Self::PacketsWithoutTag,
        Self::PacketsCutInHead,
        Self::PacketsCutInHandshake,
        Self::PacketsOfOtherScheme,
        Self::PacketsTooShortToChallenge,
        Self::PacketsOfOurOwn,
        Self::PacketsMissed,
        Self::PacketsUnsent,
        Self::Challenges,
        Self::ChallengesUnasked,
        Self::HandshakesSent,
        Self::HandshakesUnasked,
        Self::HandshakesInvalid,
        Self::HandshakesOfNoRecord,
        Self::HandshakesUnproved,
        Self::HandshakesSealed,
        Self::HandshakesDelayed,
        Self::Sessions,
        Self::MessagesInvalid,
        Self::ResponsesUnasked,
        Self::TalksUnanswered,
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
            Self::PacketsOfWrongSize => "discovery_packets_invalid_size",
            Self::PacketsForeign => "discovery_packets_invalid_protocol",
            Self::PacketsOfWrongVersion => "discovery_packets_invalid_version",
            Self::PacketsOfNoKind => "discovery_packets_invalid_flag",
            Self::PacketsCutInAuthdata => "discovery_packets_invalid_authdata_overrun",
            Self::PacketsOfWrongAuthdata => "discovery_packets_invalid_authdata_size",
            Self::PacketsWithMessage => "discovery_packets_invalid_unexpected_message",
            Self::PacketsWithoutTag => "discovery_packets_invalid_message_too_short",
            Self::PacketsCutInHead => "discovery_packets_invalid_handshake_head",
            Self::PacketsCutInHandshake => "discovery_packets_invalid_handshake_overrun",
            Self::PacketsOfOtherScheme => "discovery_packets_invalid_handshake_scheme",
            Self::PacketsTooShortToChallenge => "discovery_packets_invalid_too_short_to_challenge",
            Self::PacketsOfOurOwn => "discovery_packets_invalid_own_id",
            Self::PacketsMissed => "discovery_packets_missed",
            Self::PacketsUnsent => "discovery_packets_unsent",
            Self::Challenges => "discovery_challenges",
            Self::ChallengesUnasked => "discovery_challenges_unasked",
            Self::HandshakesSent => "discovery_handshakes_sent",
            Self::HandshakesUnasked => "discovery_handshakes_unasked",
            Self::HandshakesInvalid => "discovery_handshakes_invalid",
            Self::HandshakesOfNoRecord => "discovery_handshakes_invalid_record",
            Self::HandshakesUnproved => "discovery_handshakes_invalid_proof",
            Self::HandshakesSealed => "discovery_handshakes_invalid_message",
            Self::HandshakesDelayed => "discovery_handshakes_delayed",
            Self::Sessions => "discovery_sessions",
            Self::MessagesInvalid => "discovery_messages_invalid",
            Self::ResponsesUnasked => "discovery_responses_unasked",
            Self::TalksUnanswered => "discovery_talks_unanswered",
            Self::RequestsRefused => "discovery_requests_refused",
            Self::RequestsUnanswered => "discovery_requests_unanswered",
            Self::Lookups => "discovery_lookups",
            Self::SightingsIgnored => "sightings_ignored",
        }
    }
}
