//! charon's key file.
