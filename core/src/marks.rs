//! Rare branches of the core, marked, so that a simulator can tell whether its runs come there.
//!
//! Only with the feature `marks`, which no program for use has: without it `mark` does nothing, and
//! nothing of a mark is built. A mark changes nothing that a node does.

/// An enum of marks, and how often this thread came to each: `mark` counts, `take` answers and begins
/// anew. For the core, and for whoever has branches of its own to mark.
#[cfg(feature = "marks")]
#[macro_export]
#[doc(hidden)]
macro_rules! marks {
    ($visibility:vis $($mark:ident $name:literal $sentence:literal,)*) => {
        /// A branch that is seldom taken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mark {
            $(#[doc = $sentence] $mark,)*
        }

        impl Mark {
            /// Every mark.
            pub const ALL: &[Self] = &[$(Self::$mark,)*];

            /// Its name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$mark => $name,)*
                }
            }
        }

        ::std::thread_local! {
            /// A run has a thread, and a thread one run at a time.
            static TIMES: [::std::cell::Cell<u64>; Mark::ALL.len()] =
                const { [const { ::std::cell::Cell::new(0) }; Mark::ALL.len()] };
        }

        /// Somebody comes by.
        $visibility fn mark(mark: Mark) {
            TIMES.with(|times| times[mark as usize].set(times[mark as usize].get() + 1));
        }

        /// How often this thread came to each since it was asked last.
        #[must_use]
        pub fn take() -> Vec<(Mark, u64)> {
            let take = |mark: &Mark| TIMES.with(|times| (*mark, times[*mark as usize].take()));
            Mark::ALL.iter().map(take).collect()
        }
    };
}

#[cfg(not(feature = "marks"))]
macro_rules! marks {
    ($visibility:vis $($mark:ident $name:literal $sentence:literal,)*) => {
        /// A branch that is seldom taken.
        #[derive(Clone, Copy)]
        pub(crate) enum Mark {
            $(#[doc = $sentence] $mark,)*
        }

        /// Somebody comes by.
        pub(crate) const fn mark(_: Mark) {}
    };
}

marks! {
    pub(crate)
    LeapsSeq "leaps-seq" "It signs a number far above the newest that it knows: its clock is behind.",
    SeenByQuorum "seen-by-quorum" "It publishes an address that only operators can tell.",
    BelievesStrangers "believes-strangers" "It publishes an address that only strangers can tell.",
    KeepsSaidAddress "keeps-said-address" "It keeps the address of its record: its own reaches less far.",
    WaitsForFloor "waits-for-floor" "It has waited in vain for who knows how far its seq had come.",
    HandedBack "handed-back" "A peer gives it a record of its own that it did not issue.",
    OutrunBeforeDurable "outrun-before-durable" "Its record is durable, and not the newest any more.",
    BackOnlineUnchanged "back-online-unchanged" "It has an address again, and the record it had.",
    RowDamaged "row-damaged" "A row of its store cannot be read.",
    Equivocation "equivocation" "An operator has signed two records with one seq.",
    OutrunWhileWaiting "outrun-while-waiting" "A record that waited for its turn is old by then.",
    PeerMoved "peer-moved" "A peer is somewhere else, and the link went on.",
    LinkSuperseded "link-superseded" "Of two links to one peer one goes.",
    TooManyLinks "too-many-links" "A peer has more links than it may have.",
    SilentLink "silent-link" "A peer opened a link and said nothing.",
    GoneBeforeGreeting "gone-before-greeting" "A link is closed in the same breath as it opened.",
    DialsThoughLinked "dials-though-linked" "It dials a peer to whom a link seems open.",
    ShortLink "short-link" "A link was lost that had not lived long.",
    EveryAddressInFlight "every-address-in-flight" "Every address of a peer is being dialled already.",
    KeysBefore "keys-before" "A message opens with the keys before the present ones.",
    SessionRenewed "session-renewed" "There is a session already when a handshake opens one.",
    ChallengedTwice "challenged-twice" "A request that was answered with a handshake is challenged.",
    ChallengedAgain "challenged-again" "A packet comes twice, and is challenged as before.",
    NewerThanHandshake "newer-than-handshake" "A handshake shows an older record than the one held.",
    FetchesNewer "fetches-newer" "A node says that its record is newer than the one held.",
    AnsweredInPart "answered-in-part" "Of an answer in several packets not all came.",
    BeginsWithSeeds "begins-with-seeds" "A lookup that hardly anybody answered begins anew.",
    RecordMoves "record-moves" "A newer record of a node in the table names another endpoint.",
    NodeDoubted "node-doubted" "A node that once answered is told to nobody for now.",
    NodeReplaced "node-replaced" "A node makes room, and one that waited takes its place.",
}
