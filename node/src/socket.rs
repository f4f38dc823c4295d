//! The one UDP socket, and the QUIC endpoint on it that dials and accepts.
