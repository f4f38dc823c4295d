//! Events as rows.

use std::net::SocketAddr;

use stayfound_core::node::{Input, LinkId, Output};

use crate::event::HostId;
use crate::moment::Moment;
use crate::scenario::Fault;
use crate::table::EventRow;
use crate::trace::{in_words, input_in_words};

/// Who is at the other end of something, as far as it is known.
pub struct Ends<'a> {
    /// Who has an address.
    pub holder: &'a dyn Fn(SocketAddr) -> Option<HostId>,
    /// Who has the other end of a link of the host.
    pub far: &'a dyn Fn(LinkId) -> Option<HostId>,
}

/// When, where, and after how many events before it.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// The event's number.
    pub number: u64,
    /// When.
    pub at: Moment,
    /// At which host.
    pub host: HostId,
}

impl Stamp {
    fn row(self, side: &str, kind: &str, text: String) -> EventRow {
        let (at_s, host) = (self.at.seconds(), self.host.0 as u64);
        let (side, kind, peer, bytes) = (side.into(), kind.into(), None, None);
        EventRow { number: self.number, at_s, side, host, kind, peer, bytes, text }
    }
}

/// A fault.
#[must_use]
pub fn fault(stamp: Stamp, fault: &Fault) -> EventRow {
    let text = fault.to_string();
    let kind = text.split(' ').next().expect("the first of some").to_owned();
    stamp.row("fault", &kind, text)
}

/// What a node is given.
#[must_use]
pub fn input(stamp: Stamp, input: &Input<'_>, ends: &Ends<'_>) -> EventRow {
    let (kind, peer, bytes) = match *input {
        Input::LinkOpened { link, .. } => ("link-opened", (ends.far)(link), None),
        Input::DialFailed { .. } => ("dial-failed", None, None),
        Input::LinkBytes { link, bytes } => ("bytes", (ends.far)(link), Some(bytes.len())),
        Input::LinkMoved { link, .. } => ("link-moved", (ends.far)(link), None),
        Input::LinkClosed { .. } => ("link-closed", None, None),
        Input::Bound { .. } => ("bound", None, None),
        Input::AddressUp { .. } => ("address-up", None, None),
        Input::AddressDown { .. } => ("address-down", None, None),
        Input::Durable { .. } => ("durable", None, None),
        Input::Hint { .. } => ("hint", None, None),
        Input::Datagram { from, bytes } => ("datagram", (ends.holder)(from), Some(bytes.len())),
        Input::Ask { .. } => ("ask", None, None),
        Input::TalkBack { response, .. } => ("talk-back", None, Some(response.len())),
        Input::Manifest { .. } => ("manifest", None, None),
        Input::Entropy { .. } => ("entropy", None, None),
        Input::Wake => ("wake", None, None),
    };
    at_ends(stamp.row("in", kind, input_in_words(input)), peer, bytes)
}

/// What a node wants done.
#[must_use]
pub fn output(stamp: Stamp, output: &Output, ends: &Ends<'_>) -> EventRow {
    let (kind, peer, bytes) = match output {
        Output::Dial { address, .. } => ("dial", (ends.holder)(*address), None),
        Output::Send { link, bytes } => ("bytes", (ends.far)(*link), Some(bytes.len())),
        Output::Close { link, .. } => ("close", (ends.far)(*link), None),
        Output::Datagram { to, bytes } => ("datagram", (ends.holder)(*to), Some(bytes.len())),
        Output::Persist { row, .. } => ("persist", None, Some(row.value.len())),
        Output::Event(_) => ("told", None, None),
        Output::Count(_) => ("count", None, None),
        Output::Sought(_) => ("sought", None, None),
    };
    at_ends(stamp.row("out", kind, in_words(output)), peer, bytes)
}

fn at_ends(row: EventRow, peer: Option<HostId>, bytes: Option<usize>) -> EventRow {
    let (peer, bytes) = (peer.map(|host| host.0 as u64), bytes.map(|bytes| bytes as u64));
    EventRow { peer, bytes, ..row }
}
