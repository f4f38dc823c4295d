//! Links: QUIC connections whose two ends have proved their ENR keys.
