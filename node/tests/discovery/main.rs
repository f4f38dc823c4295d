//! discv5 over real sockets, on loopback: what embedders ask and answer, and the commands of the
//! built binary.

mod embedded;
