//! How a node stands.
