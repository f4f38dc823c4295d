//! What results say of the program that made them: the compiler, and of a release the commit.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to build scripts through the environment"
)]

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=STAYFOUND_COMMIT");
    let rustc = std::env::var("RUSTC").expect("cargo says which");
    let version = said(&rustc, &["--version"]).expect("a compiler says its version");
    println!("cargo:rustc-env=STAYFOUND_RUSTC={version}");
    // Whoever builds without the repository may say the commit. Where one builds again and again,
    // a commit is no reason to.
    let known = std::env::var("STAYFOUND_COMMIT").is_ok();
    if !known && std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        commit();
    }
}

fn commit() {
    let Some(commit) = said("git", &["rev-parse", "HEAD"]) else { return };
    let sources = ["src", "../core/src"];
    let changed = said("git", &["status", "--porcelain", "--", sources[0], sources[1]]);
    let changed = if changed.is_none_or(|it| it.is_empty()) { "" } else { "+changes" };
    println!("cargo:rustc-env=STAYFOUND_COMMIT={commit}{changed}");
    let head = said("git", &["rev-parse", "--git-path", "logs/HEAD"]);
    for path in sources.into_iter().map(String::from).chain(head) {
        println!("cargo:rerun-if-changed={path}");
    }
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().into())
}
