//! Mistakes planted in the core on purpose, to see whether its simulator finds them.
//!
//! Only with the feature `planted`, which no program for use has: without it [`planted`] is a
//! constant, and nothing of a mistake is built. Each stands where it would be made, as one
//! expression.

macro_rules! bugs {
    ($($bug:ident $name:literal $sentence:literal,)*) => {
        /// A mistake.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug {
            $(#[doc = $sentence] $bug,)*
        }

        #[cfg(feature = "planted")]
        impl Bug {
            /// Every mistake.
            pub const ALL: &[Self] = &[$(Self::$bug,)*];

            /// Its name, for a command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$bug => $name,)*
                }
            }

            /// What a node with it does, as a sentence without a subject.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self {
                    $(Self::$bug => $sentence,)*
                }
            }
        }
    };
}

bugs! {
    AcceptsEqualSeq "accepts-equal-seq" "takes the latest of two records with one seq",
    EvictsFromDatabase "evicts-from-database" "forgets a node once it holds seven",
    ForgetsToPersist "forgets-to-persist" "does not store a record that a peer sent",
    PublishesBeforePersist "publishes-before-persist" "publishes its record before it is durable",
    GreetsBeforePersist "greets-before-persist" "says a record in its hello that is not durable",
    WaitsForNextWrite "waits-for-next-write" "takes a write for durable only when a later one is",
    AnyWriteIsDurable "any-write-is-durable" "takes its record for durable when any write is",
    SignsOldSeq "signs-old-seq" "goes on from the seq it holds after its data was lost, and asks nobody",
    DoesNotReissue "does-not-reissue" "keeps its record when an interface goes",
    TrustsOneObserver "trusts-one-observer" "believes one operator, not f + 1, about where it is",
    ForgetsRebinding "forgets-rebinding" "names the port that its first socket was bound to",
    BelievesClaimedSeq "believes-claimed-seq" "raises its seq above a number that a peer claims",
    BelievesOneStranger "believes-one-stranger" "believes the first stranger about where it is",
    KeepsSightings "keeps-sightings" "does not tell peers where it sees them",
    DoesNotTellPeers "does-not-tell-peers" "does not say its new record to linked peers",
    DoesNotRelay "does-not-relay" "does not carry the records of others on",
    GreetsWithItsOwn "greets-with-its-own" "answers a hello with its own record only",
    IgnoresReloaded "ignores-reloaded" "does not listen when a peer loads another manifest",
    LosesSplitFrame "loses-split-frame" "loses a frame that comes in two pieces",
    SilentWhenDialled "silent-when-dialled" "says no hello on a link that the peer dialled",
    ForgetsBackOff "forgets-back-off" "dials again at once, however often nobody answers",
    NeverDialsAgain "never-dials-again" "gives a peer up after a round of dials",
    ForgetsLostLink "forgets-lost-link" "does not dial again when a link is lost",
    NeverRedials "never-redials" "does not dial again after it moved",
    ForgetsHints "forgets-hints" "forgets where a peer may be when a dial fails",
    ForgetsWhereReached "forgets-where-reached" "does not dial where a peer was reached last",
    BothSidesClose "both-sides-close" "decides which of two links goes, whichever side it is",
    KeepsOldLink "keeps-old-link" "keeps the older of two links, though the peer has moved",
    WakesTooLate "wakes-too-late" "wakes a minute after its deadlines",
    AdmitsStrangers "admits-strangers" "lets keys in that are no operator's",
    KeepsLinkOfDisowned "keeps-link-of-disowned" "keeps the link of an operator that lost its authority",
    IgnoresFound "ignores-found" "takes no record that discovery finds",
    NeverSearchesLost "never-searches-lost" "does not look for an operator that it has lost",
    NeverRefreshes "never-refreshes" "does not look for an operator while it is linked",
    RelaysUnverified "relays-unverified" "tells of nodes that never answered",
    NeverJoins "never-joins" "does not look for its own neighbourhood",
}

#[cfg(feature = "planted")]
mod thread {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        /// A run has a thread, and a thread one run at a time.
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Plants this mistake in every node of this thread, or none.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// Whether this mistake is to be made.
    pub(crate) fn planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "planted")]
pub use thread::plant;
#[cfg(feature = "planted")]
pub(crate) use thread::planted;

/// Whether this mistake is to be made: never.
#[cfg(not(feature = "planted"))]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}
