//! The cluster's own protocol over links.

/// How a peer broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A frame longer than 64 KiB was announced.
    Oversized,
    /// Not RLP of the frame's kind.
    Malformed,
    /// The first frame must be a hello, and only the first.
    OutOfOrder,
    /// Another version of the protocol.
    Version(u8),
}
