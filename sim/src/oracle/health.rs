//! What is owed after the last fault and a quiet period.

use std::net::SocketAddr;

use stayfound_core::cluster::OperatorIndex;
use stayfound_core::node::LinkId;

use super::{Oracle, View};
use crate::event::HostId;
use crate::network::OpenLink;

impl Oracle {
    /// After the last fault and a quiet period: every two operators that the network allows to
    /// talk have exactly one link, which works, over which each has greeted the other; each holds
    /// the other's newest record; and that record names where its signer is.
    ///
    /// # Errors
    /// Who lacks what, since when.
    pub fn verdict(
        &self,
        views: &[Option<View<'_>>],
        links: &[OpenLink],
        addresses: &[&[SocketAddr]],
    ) -> Result<(), String> {
        let owed = self.reach.owed();
        for &(a, b) in &owed.pairs {
            self.owed_link(HostId(a), HostId(b), views, links)?;
            for (reader, signer) in [(a, b), (b, a)] {
                self.owed_record(HostId(reader), HostId(signer), views)?;
            }
            self.owed_agreement(HostId(a), HostId(b), views)?;
        }
        let is_owed = |who: usize| owed.pairs.iter().any(|&(a, b)| a == who || b == who);
        for &who in owed.truthful.iter().filter(|who| is_owed(**who)) {
            let own = views[who].and_then(|view| view.own).expect("owed records were looked at");
            if !own.endpoints().quic_addresses().any(|named| addresses[who].contains(&named)) {
                let (name, seq) = (self.name(HostId(who)), own.seq());
                let at: Vec<String> = addresses[who].iter().map(SocketAddr::to_string).collect();
                let at = at.join(" and ");
                return Err(format!(
                    "{name} is at {at}, which its record (seq {seq}) does not say"
                ));
            }
        }
        Ok(())
    }

    /// Two that are linked and have the same operators hold the same of each, whether it runs or not and
    /// whatever it signed: else they would dial it at different addresses for ever.
    fn owed_agreement(
        &self,
        a: HostId,
        b: HostId,
        views: &[Option<View<'_>>],
    ) -> Result<(), String> {
        if self.subjects[a.0].named != self.subjects[b.0].named {
            return Ok(());
        }
        let named = (0..self.operators).filter(|who| self.place_of(a, *who).is_some());
        for whose in named.map(HostId) {
            let [of_a, of_b] = [a, b].map(|host| {
                let held = views[host.0]?.database.newest(&self.subjects[whose.0].node_id)?;
                Some((held.seq(), *held.content_hash()))
            });
            if of_a != of_b {
                let [left, right, whose] = [a, b, whose].map(|host| self.name(host));
                let [of_a, of_b] = [of_a, of_b].map(|it| it.map_or(0, |(seq, _)| seq));
                return Err(format!(
                    "{left} and {right} hold different records of {whose} (seq {of_a} and {of_b})"
                ));
            }
        }
        Ok(())
    }

    fn owed_link(
        &self,
        a: HostId,
        b: HostId,
        views: &[Option<View<'_>>],
        links: &[OpenLink],
    ) -> Result<(), String> {
        let (left, right) = (self.name(a), self.name(b));
        let between: Vec<[LinkId; 2]> = links
            .iter()
            .filter(|link| link.works)
            .filter_map(|link| match link.ends {
                [(x, of_x), (y, of_y)] if (x, y) == (a, b) => Some([of_x, of_y]),
                [(x, of_x), (y, of_y)] if (x, y) == (b, a) => Some([of_y, of_x]),
                _ => None,
            })
            .collect();
        let greeted = |host: HostId, peer: HostId, link: LinkId| {
            let place = self.place_of(host, peer.0).expect("links are owed by both manifests");
            let peer = OperatorIndex(u8::try_from(place).expect("an operator"));
            views[host.0].is_some_and(|view| view.links.contains(&(peer, link)))
        };
        match between[..] {
            [[of_a, of_b]] if greeted(a, b, of_a) && greeted(b, a, of_b) => Ok(()),
            [_] => Err(format!("{left} and {right} have a link but have not greeted each other")),
            [] => {
                let pair = (a.0.min(b.0), a.0.max(b.0));
                let since = self.parted.get(&pair).map(|at| format!("since {at}"));
                let since = since.unwrap_or("from the beginning".into());
                Err(format!("{left} and {right} are not linked, {since}"))
            }
            _ => Err(format!("{left} and {right} have {} links", between.len())),
        }
    }

    fn owed_record(
        &self,
        reader: HostId,
        signer: HostId,
        views: &[Option<View<'_>>],
    ) -> Result<(), String> {
        let (who, whose) = (self.name(reader), self.name(signer));
        let [Some(reader), Some(signer_view)] = [reader, signer].map(|host| views[host.0]) else {
            return Err(format!("{who} or {whose} does not run, but should"));
        };
        let own = signer_view.own.ok_or_else(|| format!("{whose} has no record of its own"))?;
        let held = reader.database.newest(&self.subjects[signer.0].node_id);
        if held == Some(own) {
            return Ok(());
        }
        let since = self.durable.get(&(own.node_id(), *own.content_hash()));
        let since = since.map_or(String::new(), |at| format!(", durable since {at}"));
        let has = held.map_or("has none".into(), |held| format!("has {}", held.seq()));
        let seq = own.seq();
        Err(format!("{who} does not hold {whose}'s newest record (seq {seq}{since}; {has})"))
    }
}
