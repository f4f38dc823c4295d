//! One link, or the attempt to open one.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use stayfound_core::keys::PublicKey;
use stayfound_core::node::{DialId, LinkId};

use crate::event::HostId;
use crate::moment::Moment;

/// Who dialled and who was dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The one that dialled.
    Dialler,
    /// The one that was dialled.
    Acceptor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndState {
    Opening,
    Open,
    Closed,
}

pub(super) struct End {
    pub(super) host: HostId,
    pub(super) process: u32,
    /// What the process calls the link; means nothing before the end is open.
    pub(super) number: LinkId,
    pub(super) state: EndState,
}

/// One direction of a link.
#[derive(Default)]
pub(super) struct Stream {
    /// Sent and not yet delivered, in order.
    pub(super) waiting: VecDeque<Bytes>,
    /// How many of them are not under way, because nothing gets through.
    pub(super) held: usize,
    /// How many of them have arrived and wait for the next.
    pub(super) late: usize,
    /// When the last of those under way arrives: nothing overtakes it.
    pub(super) arrived_last: Moment,
}

pub(super) struct Link {
    pub(super) dialler: End,
    /// `None` until the dial has reached somebody.
    pub(super) acceptor: Option<End>,
    pub(super) dial: DialId,
    pub(super) expected: PublicKey,
    /// Where the dialler sends to, for ever.
    pub(super) target: SocketAddr,
    /// Where the acceptor sees the dialler, and sends to.
    pub(super) sent_from: Option<SocketAddr>,
    /// Whether nothing gets through.
    pub(super) broken: bool,
    /// Numbers each change of `broken`, so that an old time-out is known as such.
    pub(super) outage: u32,
    /// Whether its ends will say something next time without having to.
    pub(super) keeps_alive: bool,
    /// What the dialler sent, and what the acceptor sent.
    streams: [Stream; 2],
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Dialler, Self::Acceptor];

    pub(super) fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Acceptor,
            Self::Acceptor => Self::Dialler,
        }
    }
}

impl Link {
    pub(super) fn dialled(
        (host, process): (HostId, u32),
        dial: DialId,
        expected: PublicKey,
        target: SocketAddr,
        sent_from: Option<SocketAddr>,
    ) -> Self {
        let dialler = End { host, process, number: LinkId(0), state: EndState::Opening };
        Self {
            dialler,
            acceptor: None,
            dial,
            expected,
            target,
            sent_from,
            broken: false,
            outage: 0,
            keeps_alive: false,
            streams: Default::default(),
        }
    }

    pub(super) fn stream_mut(&mut self, from: Side) -> &mut Stream {
        &mut self.streams[from as usize]
    }

    pub(super) fn end(&self, side: Side) -> Option<&End> {
        match side {
            Side::Dialler => Some(&self.dialler),
            Side::Acceptor => self.acceptor.as_ref(),
        }
    }

    pub(super) fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Dialler => &mut self.dialler,
            Side::Acceptor => self.acceptor.as_mut().expect("the dial has reached somebody"),
        }
    }

    pub(super) fn host(&self, side: Side) -> Option<HostId> {
        self.end(side).map(|end| end.host)
    }

    /// Host and number of an end that is open.
    pub(super) fn open_end(&self, side: Side) -> Option<(HostId, LinkId)> {
        let end = self.end(side).filter(|end| end.state == EndState::Open)?;
        Some((end.host, end.number))
    }

    /// Whether nobody will hear of it again.
    pub(super) fn is_over(&self) -> bool {
        let acceptor_open = self.open_end(Side::Acceptor).is_some();
        self.dialler.state == EndState::Closed && !acceptor_open
    }
}
