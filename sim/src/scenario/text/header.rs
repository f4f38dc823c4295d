//! Every line of a header: its key and its value. To add one, add a line to [`KEYS`] (by the macro
//! below) and a row to `docs/scenarios.md`.

use super::Form;
use super::cursor::Cursor;
use super::syntax::{
    ALL, MilesOf, Mix, NeighboursOf, NoiseOf, OneOf, Share, Share1000, Syntax, Whole,
};
use super::trouble::Trouble;
use crate::host::DiskSpeed;
use crate::network::Latency;
use crate::scenario::{Bootstrap, Families, Interfaces, Options, SeqStyle};

macro_rules! header {
    ($($key:ident: $syntax:ty;)*) => {
        /// The keys that set an option.
        pub const KEYS: &[Form] =
            &[$(Form { word: stringify!($key), rest: <$syntax as Syntax>::FORM },)*];

        /// Reads the value of a key; `None` if there is no such key.
        pub(super) fn parse(
            key: &str,
            options: &mut Options,
            cursor: &mut Cursor<'_>,
        ) -> Option<Result<(), Trouble>> {
            match key {
                $(stringify!($key) => {
                    Some(<$syntax as Syntax>::parse(cursor).map(|value| options.$key = value))
                })*
                _ => None,
            }
        }

        impl Options {
            /// Key and value of each, as in a text.
            #[must_use]
            pub fn header(&self) -> Vec<(&'static str, String)> {
                let Self { $($key,)* } = self;
                vec![$((stringify!($key), <$syntax as Syntax>::print($key)),)*]
            }
        }
    };
}

header! {
    operators: Whole<usize, 0, 64>;
    spares: Whole<usize, 0, 64>;
    strangers: Whole<usize, 0, 256>;
    forwarded: Share;
    fixed: Share;
    natted: Share;
    miles: MilesOf;
    latency: OneOf<Latency>;
    loss: Share1000<250>;
    noise: NoiseOf;
    disks: OneOf<DiskSpeed>;
    families: OneOf<Families>;
    interfaces: OneOf<Interfaces>;
    discovery: NeighboursOf;
    liars: Whole<usize, 0, 1_000>;
    pingers: Whole<usize, 0, 1_000_000>;
    bootstrap: OneOf<Bootstrap>;
    seqs: OneOf<SeqStyle>;
    mix: Mix;
    episodes: Whole<usize, 0, 1_000>;
}

/// Says how many `all` are, and what does not go together; answers the key to blame, and why.
pub(super) fn settle(options: &mut Options) -> Result<(), (&'static str, String)> {
    let Options { operators, forwarded, fixed, natted, .. } = options;
    if *forwarded == ALL {
        *forwarded = *operators - if *natted == ALL { 0 } else { (*natted).min(*operators) };
    }
    if *natted == ALL {
        *natted = operators.saturating_sub(*forwarded);
    }
    if *fixed == ALL {
        *fixed = *forwarded;
    }
    if *forwarded + *natted > *operators {
        let key = if *forwarded > *operators { "forwarded" } else { "natted" };
        return Err((key, format!("there are {operators} operators only")));
    }
    if *fixed > *forwarded {
        return Err(("fixed", format!("{forwarded} are behind a router that forwards, no more")));
    }
    let walkers = options.discovery.map_or(0, |it| it.walkers);
    if options.liars > walkers {
        return Err(("liars", format!("they are of the walkers, of which there are {walkers}")));
    }
    if options.discovery.is_some() && options.families != Families::V4 {
        let what = "who only discovers has an IPv4 address: with them the families are ipv4";
        return Err(("families", what.into()));
    }
    Ok(())
}
