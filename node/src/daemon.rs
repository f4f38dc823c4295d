//! The loop around the core's `step`.
