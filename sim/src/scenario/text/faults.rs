//! Every fault: its word, and what else its line says. To add one, add a line to [`FAULTS`] (by the
//! macro below) and a paragraph to `docs/scenarios.md`.

use std::fmt;

use super::Form;
use super::cursor::Cursor;
use super::syntax::{At, By, Ip, Named, OneOf, Other, Ppm, RouterOf, Syntax, To, Whole};
use super::trouble::{Trouble, expected};
use crate::adversary::Lie;
use crate::network::Access;
use crate::scenario::{Fault, What};

macro_rules! faults {
    ($($variant:ident $(($syntax:ty))? = $word:literal;)*) => {
        /// The faults that a text can name.
        pub const FAULTS: &[Form] =
            &[$(Form { word: $word, rest: faults!(@form $($syntax)?) },)*];

        /// What a line says after `WORD HOST`.
        fn what(word: &str, cursor: &mut Cursor<'_>) -> Option<Result<What, Trouble>> {
            match word {
                $($word => Some(faults!(@parse cursor $variant $($syntax)?)),)*
                _ => None,
            }
        }

        /// Its word, and what follows the host.
        fn words(what: &What) -> (&'static str, String) {
            match what {
                $(faults!(@pattern value $variant $($syntax)?) =>
                    ($word, faults!(@print value $($syntax)?)),)*
            }
        }
    };
    (@form) => { "" };
    (@form $syntax:ty) => { <$syntax as Syntax>::FORM };
    (@parse $cursor:ident $variant:ident) => { Ok(What::$variant) };
    (@parse $cursor:ident $variant:ident $syntax:ty) => {
        <$syntax as Syntax>::parse($cursor).map(What::$variant)
    };
    (@pattern $value:ident $variant:ident) => { What::$variant };
    (@pattern $value:ident $variant:ident $syntax:ty) => { What::$variant($value) };
    (@print $value:ident) => { String::new() };
    (@print $value:ident $syntax:ty) => { <$syntax as Syntax>::print($value) };
}

faults! {
    Start = "start";
    Crash = "crash";
    Wipe = "wipe";
    Move(To) = "move";
    Offline = "offline";
    Up(Ip) = "up";
    Down(Ip) = "down";
    Side(Whole<u8, 0, 255>) = "side";
    Load(Named) = "load";
    Cut(Other) = "cut";
    Mend(Other) = "mend";
    Block = "block";
    Unblock = "unblock";
    Access(OneOf<Access>) = "access";
    Mtu(Whole<u16, 68, 65_535>) = "mtu";
    Nat(RouterOf) = "nat";
    Direct = "direct";
    Reboot = "reboot";
    Forward = "forward";
    Unforward = "unforward";
    Pause = "pause";
    Suspend = "suspend";
    Resume = "resume";
    Clock(By) = "clock";
    Drift(Ppm) = "drift";
    Tear = "tear";
    Unsync(Whole<u8, 0, 255>) = "unsync";
    Snapshot = "snapshot";
    Rollback = "rollback";
    Rot = "rot";
    Lie(OneOf<Lie>) = "lie";
    Missee(At) = "missee";
}

/// Reads a fault whose word was read.
pub(super) fn parse(
    word: super::cursor::Word<'_>,
    cursor: &mut Cursor<'_>,
) -> Result<Fault, Trouble> {
    if !FAULTS.iter().any(|form| form.word == word.text) {
        let known = FAULTS.iter().map(|form| form.word).chain(["expect"]);
        return Err(Trouble::at(word.column, expected("a fault", word.text, known)));
    }
    let host = cursor.host()?;
    let what = what(word.text, cursor).expect("the word is one of them")?;
    Ok(Fault { host, what })
}

impl What {
    /// Its word in a text.
    #[must_use]
    pub fn word(&self) -> &'static str {
        words(self).0
    }
}

impl fmt::Display for Fault {
    /// Strangers are counted after the operators.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, rest) = words(&self.what);
        let gap = if rest.is_empty() { "" } else { " " };
        write!(f, "{word} {}{gap}{rest}", self.host.0)
    }
}
