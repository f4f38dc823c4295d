//! The addresses of this host's interfaces, and their changes.
