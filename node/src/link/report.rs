//! What the endpoint reports to the daemon.

use std::net::SocketAddr;

use quinn::ConnectionError;
use rustls::AlertDescription;
use stayfound_core::keys::PublicKey;
use stayfound_core::mesh::{DialId, LinkId};

use super::handle::Link;

/// What happened on the network.
pub enum Report {
    /// A link opened, both sides having admitted each other's key. Before its other reports.
    Opened { id: LinkId, link: Link, peer: PublicKey, remote: SocketAddr, dial: Option<DialId> },
    /// A dial came to nothing.
    DialFailed { dial: DialId, remote: SocketAddr, why: Failure },
    /// Somebody who dialled us was not let in.
    Refused { remote: SocketAddr, why: Failure },
    /// The next bytes of a link.
    Bytes { id: LinkId, bytes: bytes::Bytes },
    /// The peer of a link is seen elsewhere now.
    Moved { id: LinkId, remote: SocketAddr },
    /// A link is gone. Its last report; none comes after our own [`Link::close`] was acted on.
    Closed { id: LinkId, why: String },
    /// The endpoint has ended by itself: its socket failed for good. Links are lost, and nothing
    /// can be dialled.
    Died,
}

/// Why a handshake failed.
pub enum Failure {
    /// The key that the far side proved is not admitted.
    Stranger,
    /// The far side does not admit our key.
    Unwelcome,
    /// Anything else.
    Other(String),
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Self {
        // The alert by which a key is refused, as QUIC carries it (RFC 9001, 4.8).
        let denied = quinn::TransportErrorCode::crypto(AlertDescription::AccessDenied.into());
        match &error {
            ConnectionError::TransportError(ours) if ours.code == denied => Self::Stranger,
            ConnectionError::ConnectionClosed(theirs) if theirs.error_code == denied => {
                Self::Unwelcome
            }
            _ => Self::Other(error.to_string()),
        }
    }
}
