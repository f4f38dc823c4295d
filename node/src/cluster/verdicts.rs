//! What was verified before: a verdict beside the database, so that a node restarts at once.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stayfound_core::cluster::check::{CHECKS_VERSION, Verdict};
use tracing::warn;

use super::ClusterFile;

const NAME: &str = "verdict.json";
/// More than any verdict on 256 operators has.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The memory of one data directory: of the last file that was verified there. Who can write into
/// it can have a file believed: it is for the user of the node alone, as the key is.
#[derive(Clone, Debug)]
pub struct Verdicts(PathBuf);

#[derive(Serialize, Deserialize)]
struct Remembered {
    checks_version: u32,
    build: String,
    /// SHA-256 of the file, in hex.
    content: String,
    verdict: Verdict,
}

/// Another build may look at other things, even if nobody thought of counting the version up.
const BUILD: &str = env!("CARGO_PKG_VERSION");

impl Verdicts {
    /// Those of this data directory, which need not be there.
    #[must_use]
    pub fn of(data_dir: &Path) -> Self {
        Self(data_dir.join(NAME))
    }

    /// What these very bytes came to when they were verified here by the same checks. Whatever is
    /// wrong with the memory, there is none.
    #[must_use]
    pub fn recall(&self, file: &ClusterFile) -> Option<Verdict> {
        let metadata = fs::symlink_metadata(&self.0).ok()?;
        if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
            return None;
        }
        let remembered: Remembered = serde_json::from_slice(&fs::read(&self.0).ok()?).ok()?;
        let is_same = remembered.checks_version == CHECKS_VERSION
            && remembered.build == BUILD
            && remembered.content == *crate::keyfile::hex(&file.hash);
        let verdict = remembered.verdict;
        let is_whole = verdict.failures().next().is_none()
            && verdict.authorities.len() == file.operator_count();
        (is_same && is_whole).then_some(verdict)
    }

    /// Remembers a verdict in which nothing failed, in the place of the one before. If it cannot,
    /// all is looked at once more at the next start.
    pub fn remember(&self, file: &ClusterFile, verdict: &Verdict) {
        assert!(verdict.failures().next().is_none(), "what was refused is looked at again");
        if let Err(why) = self.write(file, verdict) {
            warn!("the verdict on {} is not remembered: {why}", file.path.display());
        }
    }

    fn write(&self, file: &ClusterFile, verdict: &Verdict) -> io::Result<()> {
        let remembered = Remembered {
            checks_version: CHECKS_VERSION,
            build: BUILD.into(),
            content: crate::keyfile::hex(&file.hash).to_string(),
            verdict: verdict.clone(),
        };
        let json = serde_json::to_vec(&remembered).expect("strings, numbers, lists");
        let beside = self.0.with_extension("json.new");
        let mut new = File::create(&beside)?;
        new.write_all(&json)?;
        // Torn, it would not parse, and all would be looked at once more.
        new.sync_data()?;
        fs::rename(&beside, &self.0)
    }
}
