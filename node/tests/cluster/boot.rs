//! A process that is `stayfound bootnode`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// It runs until this is dropped.
pub struct BootNode {
    child: Child,
    pub enr: String,
}

impl BootNode {
    /// Starts with this key, on a port that the system chooses, and waits for its ENR.
    pub fn start(key: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stayfound"));
        command.args(["bootnode", "--listen", "127.0.0.1:0", "--key"]).arg(key);
        command.env("RUST_LOG", "error");
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut out = BufReader::new(child.stdout.take().expect("is piped"));
        let mut enr = String::new();
        out.read_line(&mut enr).expect("it speaks");
        child.stdout = Some(out.into_inner()); // open, because it ends when nobody reads it
        assert!(enr.starts_with("enr:"), "its first line is {enr:?}");
        Self { child, enr: enr.trim_end().into() }
    }
}

impl Drop for BootNode {
    fn drop(&mut self) {
        let _ = self.child.kill(); // fails if it has ended, as it should not have
        let _ = self.child.wait();
    }
}
