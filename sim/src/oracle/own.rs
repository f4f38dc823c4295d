//! What an operator's own record says.

use std::collections::BTreeSet;
use std::net::IpAddr;

use stayfound_core::record::Signed;

use super::{Finding, Oracle};
use crate::event::HostId;
use crate::moment::Moment;

impl Oracle {
    pub(super) fn observe_own(&mut self, host: HostId, own: Option<&Signed>) -> Result<(), String> {
        let Some(own) = own else { return Ok(()) };
        if own.node_id() != self.subjects[host.0].node_id {
            return Err(format!("{} shows a record of another key as its own", self.name(host)));
        }
        if self.subjects[host.0].shown.as_ref() == Some(own) {
            return Ok(());
        }
        self.observe_addresses(host, own)?;
        self.subjects[host.0].shown = Some(own.clone());
        self.observe_record(host, own)
    }

    /// What an operator's own record says of where it is: liars alone must not have told it.
    fn observe_addresses(&self, host: HostId, own: &Signed) -> Result<(), String> {
        let subject = &self.subjects[host.0];
        if host.0 >= self.operators || subject.traitor {
            return Ok(());
        }
        let named = subject.named.as_ref().map_or(self.operators, Vec::len);
        let quorum = (named - 1) / 3 + 1;
        let traitors: BTreeSet<usize> = (0..self.operators)
            .filter(|it| self.subjects[*it].traitor && self.place_of(host, *it).is_some())
            .collect();
        for at in own.endpoints().quic_addresses() {
            if self.places.is_own(host.0, at) {
                continue;
            }
            let witnesses = self.places.witnesses(host.0, at).filter(|it| !traitors.contains(it));
            let (saw, may_lie) = (witnesses.count(), traitors.len());
            if saw + may_lie < quorum {
                let (name, seq) = (self.name(host), own.seq());
                return Err(format!(
                    "{name} names {at} in seq {seq}, where only {saw} of its peers saw it"
                ));
            }
        }
        Ok(())
    }

    /// An operator says that its record can never be replaced.
    ///
    /// # Errors
    /// If it is honest: no clock comes so far, and whatever others claim is no proof.
    pub fn exhausted(&self, now: Moment, host: HostId) -> Result<(), Finding> {
        if host.0 < self.operators && !self.subjects[host.0].traitor {
            let sentence = format!("{} says that it is out of sequence numbers", self.name(host));
            return Err(Finding::safety(now, sentence));
        }
        Ok(())
    }

    /// An operator's process is told of an address of an interface: that it is there, or gone.
    pub fn told_of_interface(&mut self, host: HostId, ip: IpAddr, up: bool) {
        self.places.told(host.0, ip, up);
    }

    /// An operator's process was told that this address of an interface is gone, while the newest
    /// record of its own was the one that others may hear of; and this is the newest now.
    ///
    /// # Errors
    /// If that names the address all the same, though another interface is as good.
    pub fn left(
        &self,
        now: Moment,
        host: HostId,
        ip: IpAddr,
        newest: &Signed,
    ) -> Result<(), Finding> {
        let ip = ip.to_canonical();
        let named = newest.endpoints().quic_addresses().any(|at| at.ip() == ip);
        let honest = host.0 < self.operators && !self.subjects[host.0].traitor;
        if honest && named && self.places.has_public(host.0, ip.is_ipv4()) {
            let (name, seq) = (self.name(host), newest.seq());
            let sentence = format!("{name} names {ip} in seq {seq}, and knows that it is gone");
            return Err(Finding::safety(now, sentence));
        }
        Ok(())
    }
}
