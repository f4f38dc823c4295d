//! Protocols of the application's own over discv5's TALKREQ and TALKRESP.

use bytes::Bytes;
use stayfound_core::discovery::Talk;
use stayfound_core::discovery::contact::Contact;
use tokio::sync::mpsc;

use crate::daemon::Command;

/// What handles the requests of one protocol.
type Handler = Box<dyn Fn(TalkRequest) + Send>;

/// The protocols that the application answers.
#[derive(Default)]
pub(crate) struct Talks {
    handlers: Vec<(Bytes, Handler)>,
    commands: Option<mpsc::WeakUnboundedSender<Command>>,
}

/// A request of some node, to be answered once, within
/// [`TALK_WITHIN`](stayfound_core::discovery::talk::TALK_WITHIN). Dropped or kept for longer, it gets
/// an empty answer.
pub struct TalkRequest {
    talk: Talk,
    commands: Option<mpsc::WeakUnboundedSender<Command>>,
}

impl TalkRequest {
    /// Who asks, and where. Its key is proved, its node anybody's.
    #[must_use]
    pub fn from(&self) -> Contact {
        self.talk.from
    }

    /// The protocol.
    #[must_use]
    pub fn protocol(&self) -> &Bytes {
        &self.talk.protocol
    }

    /// What it says.
    #[must_use]
    pub fn request(&self) -> &Bytes {
        &self.talk.request
    }

    /// Answers. What does not fit into one packet (about 1,150 bytes) becomes an empty answer.
    pub fn answer(mut self, response: impl Into<Bytes>) {
        self.say(response.into());
    }

    /// Answers, if it was not answered yet.
    fn say(&mut self, response: Bytes) {
        // The node may have ended meanwhile.
        if let Some(commands) = self.commands.take().and_then(|weak| weak.upgrade()) {
            let _ = commands.send(Command::TalkBack { talk: self.talk.clone(), response });
        }
    }
}

impl Drop for TalkRequest {
    fn drop(&mut self) {
        self.say(Bytes::new());
    }
}

impl Talks {
    /// Requests of this protocol go to this handler, the one registered first if there are two.
    pub(crate) fn register(&mut self, protocol: Bytes, handler: Handler) {
        self.handlers.push((protocol, handler));
    }

    /// Where answers go from now on.
    pub(crate) fn answer_through(&mut self, commands: mpsc::WeakUnboundedSender<Command>) {
        self.commands = Some(commands);
    }

    /// The names of the protocols.
    pub(crate) fn protocols(&self) -> impl Iterator<Item = &Bytes> {
        self.handlers.iter().map(|(protocol, _)| protocol)
    }

    /// Hands a request to the handler of its protocol. One that nobody handles gets the answer of
    /// a protocol that nobody knows: an empty one.
    pub(crate) fn handle(&self, talk: Talk) {
        let mut handlers = self.handlers.iter();
        let handler = handlers.find(|(protocol, _)| *protocol == talk.protocol);
        let request = TalkRequest { talk, commands: self.commands.clone() };
        match handler {
            Some((_, handler)) => handler(request),
            None => request.answer(Bytes::new()),
        }
    }
}
