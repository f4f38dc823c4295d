//! Challenges that wait for a handshake, and what limits the public-key work that strangers cause.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::budget::HANDSHAKES_PER_PREFIX_AT_ONCE;
use super::contact::Contact;
use super::handshake::ChallengeData;
use super::packet::Nonce;
use super::table::Prefix;
use crate::lru::Lru;
use crate::record::Signed;
use crate::time::Mono;

/// Of how many contacts challenges are kept; those of whoever was challenged first go first. One is
/// 63 bytes and its key.
pub const CHALLENGES_MAX: usize = 1024;
/// Of how many contacts in one /24 (IPv4) or /48 (IPv6), not counting those that we know: a flood
/// from there pushes out nobody's challenge but those of its neighbours. No more could be met at
/// once.
pub const CHALLENGES_PER_PREFIX_MAX: usize = 64;
/// How many challenges one contact has at a time, each for another packet of its (R36): whoever
/// sends in its name draws some, and it must still get its own.
pub const CHALLENGES_PER_CONTACT_MAX: usize = 4;
/// How long a challenge lives, and is repeated rather than replaced (R36; R4 gives a handshake 1 s).
pub const CHALLENGE_WITHIN: Duration = Duration::from_secs(1);
/// How many handshakes may fail against one challenge (R37): at the first failure anybody who
/// spoofs the address could cancel a handshake; without end one challenge would cost without end.
pub const FAILURES_MAX: u8 = 3;

const _: () = assert!(CHALLENGES_PER_PREFIX_MAX <= HANDSHAKES_PER_PREFIX_AT_ONCE as usize);
const _: () = assert!(8 * CHALLENGES_PER_PREFIX_MAX < CHALLENGES_MAX);

/// One WHOAREYOU that we sent.
#[derive(Clone)]
pub(super) struct Challenge {
    pub(super) data: ChallengeData,
    /// The record whose seq it named (R23).
    pub(super) record: Option<Signed>,
    /// The nonce of the packet that drew it.
    nonce: Nonce,
    until: Mono,
    failures: u8,
}

/// What waits for one contact, the oldest first.
#[derive(Default)]
struct Waiting {
    challenges: Vec<Challenge>,
    /// Whether a challenge was repeated for another packet than its own, and none was met since: then
    /// the next packet draws one of its own.
    contested: bool,
    /// Where it is counted; `None` if it is not.
    prefix: Option<Prefix>,
}

/// What a packet that does not open draws.
pub(super) enum Drawn {
    /// The same bytes as before.
    Again(ChallengeData),
    /// A new challenge, to be made and [`Challenges::add`]ed.
    New,
}

/// All of them, by who was challenged where.
pub(super) struct Challenges {
    contacts: Lru<Contact, Waiting>,
    /// Those that are counted, first challenged first.
    prefixes: BTreeMap<Prefix, VecDeque<Contact>>,
}

impl Default for Challenges {
    fn default() -> Self {
        Self { contacts: Lru::new(CHALLENGES_MAX), prefixes: BTreeMap::new() }
    }
}

impl Challenges {
    /// What a packet with this nonce draws (R36). The challenge that waits is repeated, once for a
    /// packet that did not draw it: that is what others expect. But whoever forges the address may
    /// have drawn it, and of one that names another's packet the real peer has no use; so after that
    /// each packet draws its own, until there are as many as there may be.
    pub(super) fn draw(&mut self, now: Mono, contact: &Contact, nonce: &Nonce) -> Drawn {
        let Some(waiting) = self.contacts.peek_mut(contact) else { return Drawn::New };
        waiting.challenges.retain(|challenge| challenge.until > now);
        let Some(first) = waiting.challenges.first() else { return Drawn::New };
        let own = waiting.challenges.iter().find(|challenge| challenge.nonce == *nonce);
        if let Some(own) = own {
            return Drawn::Again(own.data);
        }
        let room = waiting.challenges.len() < CHALLENGES_PER_CONTACT_MAX;
        if std::mem::replace(&mut waiting.contested, true) && room {
            return Drawn::New;
        }
        Drawn::Again(first.data)
    }

    /// A new challenge, for the packet with this nonce; `prefix` is where it counts.
    pub(super) fn add(
        &mut self,
        now: Mono,
        contact: Contact,
        nonce: Nonce,
        data: ChallengeData,
        record: Option<Signed>,
        prefix: Option<Prefix>,
    ) {
        let until = now + CHALLENGE_WITHIN;
        let challenge = Challenge { data, record, nonce, until, failures: 0 };
        if let Some(waiting) = self.contacts.peek_mut(&contact) {
            assert!(waiting.challenges.len() < CHALLENGES_PER_CONTACT_MAX, "one more than drawn");
            return waiting.challenges.push(challenge);
        }
        if let Some(prefix) = prefix {
            self.count(prefix, contact);
        }
        let waiting = Waiting { challenges: vec![challenge], contested: false, prefix };
        if let Some((first, waiting)) = self.contacts.insert(contact, waiting) {
            self.uncount(&first, waiting.prefix);
        }
    }

    /// The challenges that wait for this contact.
    pub(super) fn live(&self, now: Mono, contact: &Contact) -> Vec<Challenge> {
        let challenges = self.contacts.peek(contact).map(|waiting| &waiting.challenges[..]);
        let live = challenges.unwrap_or_default().iter().filter(|challenge| challenge.until > now);
        live.cloned().collect()
    }

    /// A handshake failed: against this challenge, or against all of them, which counts against the
    /// oldest. So whoever fails in another's name uses up first what it has drawn first.
    pub(super) fn failed(&mut self, now: Mono, contact: &Contact, against: Option<&ChallengeData>) {
        let Some(waiting) = self.contacts.peek_mut(contact) else { return };
        let live = |challenge: &Challenge| {
            challenge.until > now && against.is_none_or(|data| *data == challenge.data)
        };
        let Some(place) = waiting.challenges.iter().position(live) else { return };
        let challenge = &mut waiting.challenges[place];
        challenge.failures += 1;
        if challenge.failures >= FAILURES_MAX {
            waiting.challenges.remove(place);
        }
    }

    /// One was met: the same handshake must not be taken twice (R38), and who has a session needs no
    /// other.
    pub(super) fn met(&mut self, contact: &Contact) {
        if let Some(waiting) = self.contacts.remove(contact) {
            self.uncount(contact, waiting.prefix);
        }
    }

    /// Panics if an invariant is broken.
    pub(super) fn check(&self) {
        assert!(self.contacts.len() <= CHALLENGES_MAX);
        let counted = self.contacts.iter().filter(|(_, waiting)| waiting.prefix.is_some()).count();
        assert_eq!(self.prefixes.values().map(VecDeque::len).sum::<usize>(), counted);
        for queue in self.prefixes.values() {
            assert!((1..=CHALLENGES_PER_PREFIX_MAX).contains(&queue.len()), "of one prefix");
        }
    }

    /// One more of a prefix; the first of them makes room.
    fn count(&mut self, prefix: Prefix, contact: Contact) {
        let queue = self.prefixes.entry(prefix).or_default();
        queue.push_back(contact);
        if queue.len() > CHALLENGES_PER_PREFIX_MAX {
            let first = queue.pop_front().expect("more than none");
            self.contacts.remove(&first).expect("what is counted is kept");
        }
    }

    fn uncount(&mut self, contact: &Contact, prefix: Option<Prefix>) {
        let Some(prefix) = prefix else { return };
        let queue = self.prefixes.get_mut(&prefix).expect("it was counted");
        let place = queue.iter().position(|other| other == contact).expect("it was counted there");
        queue.remove(place);
        if queue.is_empty() {
            self.prefixes.remove(&prefix);
        }
    }
}
