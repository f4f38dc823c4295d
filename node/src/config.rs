//! What a person configures.
