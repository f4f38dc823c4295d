//! Why operators close links to one another.

use std::collections::{BTreeMap, BTreeSet};

use stayfound_core::cluster::OperatorIndex;
use stayfound_core::mesh::{CROSSING, Violation};
use stayfound_core::node::{CloseReason, LinkId};

use super::{Finding, Oracle};
use crate::event::HostId;
use crate::moment::Moment;
use crate::network::{Network, Wire};

/// How links between two operators begin and end.
#[derive(Default)]
pub(super) struct Parting {
    /// Links that an end has closed because of another, and which end.
    closed: BTreeMap<Wire, usize>,
    /// When the first end of each opened.
    opened: BTreeMap<Wire, Moment>,
    /// Those whose other end opened so much later that the two sides may see another order.
    late: BTreeSet<Wire>,
}

impl Parting {
    /// Nothing is half closed any more.
    pub(super) fn settled(&mut self) {
        *self = Self::default();
    }
}

impl Oracle {
    /// An end of a link opens.
    pub fn begins(&mut self, now: Moment, wire: Wire) {
        let Parting { opened, late, .. } = &mut self.parting;
        if now - *opened.entry(wire).or_insert(now) >= CROSSING {
            late.insert(wire);
        }
    }

    /// An operator closes its end of a link.
    ///
    /// # Errors
    /// If it closes the link because of another, and the far end has closed every other because of
    /// this one, and neither dials: then they have none, although nothing was wrong with either.
    /// (Links that one side has had for long when the other gets them are not judged: losses in a row
    /// make those, and whoever is left without one dials again.)
    pub fn closes(
        &mut self,
        now: Moment,
        (host, link): (HostId, LinkId),
        why: CloseReason,
        network: &Network,
    ) -> Result<(), Finding> {
        let subject = &self.subjects[host.0];
        let Some(far) = subject.links.get(&link).and_then(|end| end.far) else { return Ok(()) };
        let honest = !subject.traitor && !self.subjects[far].traitor;
        if why != CloseReason::Superseded || !honest || host.0.max(far) >= self.operators {
            return Ok(());
        }
        let closing = network.wire(host, link);
        let others = subject.links.iter().filter(|(it, end)| **it != link && end.far == Some(far));
        let others: Vec<Wire> = others.filter_map(|(it, _)| network.wire(host, *it)).collect();
        let Parting { closed, late, .. } = &mut self.parting;
        closed.extend(closing.map(|wire| (wire, host.0)));
        if closing.iter().chain(&others).any(|wire| late.contains(wire)) {
            return Ok(());
        }
        let mutual = !others.is_empty() && others.iter().all(|it| closed.get(it) == Some(&far));
        let mut left = network.whole_between(host, HostId(far));
        if mutual && left.all(|wire| Some(wire) == closing) {
            let [name, other] = [host, HostId(far)].map(|it| self.name(it));
            let sentence = format!(
                "{name} and {other} close each other's links, each because of the one that the \
                 other closes"
            );
            return Err(Finding::safety(now, sentence));
        }
        Ok(())
    }

    /// An operator says that the one at this place broke the protocol.
    ///
    /// # Errors
    /// If that one is honest. (It may load manifests as often as its operator likes.)
    pub fn accuses(
        &self,
        now: Moment,
        host: HostId,
        place: OperatorIndex,
        how: Violation,
    ) -> Result<(), Finding> {
        let far = self.at_place(host, usize::from(place.0));
        let honest = |who: usize| !self.subjects[who].traitor;
        match far.filter(|far| honest(*far) && honest(host.0) && how != Violation::Reloads) {
            Some(far) if host.0 < self.operators => {
                let [name, other] = [host, HostId(far)].map(|it| self.name(it));
                let sentence = format!("{name} says that {other} broke the protocol: {how:?}");
                Err(Finding::safety(now, sentence))
            }
            _ => Ok(()),
        }
    }
}
