//! Our own record.
