//! The tables: what a row of each holds.

use super::{Cell, Column, Row, Table, Value};

/// The struct of a table's rows, and the table's description from the same words.
macro_rules! table {
    (
        $(#[doc = $about:literal])+
        $row:ident in $table:literal {
            $($(#[doc = $meaning:literal])+ $column:ident: $cell:ty $(, in $unit:literal)?;)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $row {
            $($(#[doc = $meaning])+ pub $column: $cell,)+
        }

        impl Row for $row {
            const TABLE: Table = Table {
                name: $table,
                about: &[$($about),+],
                columns: &[$(Column {
                    name: stringify!($column),
                    kind: <$cell as Cell>::KIND,
                    optional: <$cell as Cell>::OPTIONAL,
                    unit: concat!($($unit)?),
                    meaning: &[$($meaning),+],
                }),+],
            };

            fn values(&self) -> Vec<Value> {
                vec![$(self.$column.value()),+]
            }

            fn from_values(values: &[Value]) -> Self {
                let mut values = values.iter();
                let mut next = || values.next().expect("a value for each column");
                Self { $($column: Cell::of(next()).expect("a value that its column takes")),+ }
            }
        }
    };
}

table! {
    /// One run.
    RunRow in "runs" {
        /// The first 16 hex digits of the SHA-256 of the scenario as `show` prints it.
        scenario_hash: String;
        /// `ok`, or the kind of the finding: `safety`, `liveness` or `panic`.
        verdict: String;
        /// When the finding was made.
        found_s: Option<f64>, in "s";
        /// What was found, in a sentence.
        finding: Option<String>;
        /// The command that repeats the run.
        command: String;
        /// The rolling hash of everything that happened, as 16 hex digits.
        trace: String;
        /// Hosts in the world.
        hosts: u64, in "hosts";
        /// Hosts that run a node of the cluster.
        operators: u64, in "hosts";
        /// Virtual time that the run took.
        took_s: f64, in "s";
        /// Inputs that nodes were given, and faults.
        events: u64, in "events";
        /// Moves of operators: changes after which none of the addresses at which others reached it
        /// before was left.
        moves: u64, in "moves";
        /// Of these, those that every other operator came to know before the next move of the same
        /// operator and before the end.
        moves_known: u64, in "moves";
        /// Median, over the moves that everyone came to know, of the time until the last did
        /// (the largest `owed_s` in `convergence`); of n sorted times the one in place ⌈n/2⌉.
        know_p50_s: Option<f64>, in "s";
        /// The same, of which 99 in 100 are at most this.
        know_p99_s: Option<f64>, in "s";
        /// The longest of these times.
        know_max_s: Option<f64>, in "s";
        /// Sum of `stale_s` in `nodes`.
        stale_s: f64, in "s";
        /// Seconds in the state `dead` in `links`: of pairs of operators that the network allows to
        /// talk and that have no working link.
        false_dead_s: f64, in "s";
        /// Seconds for which the network allowed pairs of operators to talk, linked or not.
        owed_s: f64, in "s";
        /// Bytes of datagrams that hosts sent, for each second that their nodes ran.
        datagram_bytes_per_node_s: Option<f64>, in "bytes/s";
        /// Bytes that hosts sent on links, for each second that their nodes ran.
        link_bytes_per_node_s: Option<f64>, in "bytes/s";
        /// Look-ups that ended.
        lookups: u64, in "look-ups";
        /// Of these, those that found what they were for.
        lookups_found: u64, in "look-ups";
    }
}

table! {
    /// How one operator came to know one move of another: a change of address after which none of
    /// the addresses before was left.
    ConvergenceRow in "convergence" {
        /// The move's number in the run, from 0.
        number: u64;
        /// The host that moved.
        mover: u64;
        /// When it moved.
        moved_s: f64, in "s";
        /// The other operator.
        observer: u64;
        /// `known` if the observer came to hold a record of the mover that names an address at
        /// which the mover was; `overtaken` if the mover changed its addresses again before;
        /// `pending` if the run ended before.
        outcome: String;
        /// Time from the move until it was known.
        took_s: Option<f64>, in "s";
        /// Of the time from the move until the outcome, that in which the network allowed the two
        /// to talk: not that in which one of them did not run, was offline or could not be reached.
        owed_s: f64, in "s";
    }
}

table! {
    /// A span of time in which the link between two operators was in one state.
    LinkRow in "links" {
        /// The one of the two with the lower number.
        a: u64;
        /// The other.
        b: u64;
        /// `working` if a link was open at both ends and let bytes through; `dead` if there was
        /// none although the network allowed the two to talk, so that they could be linked;
        /// `apart` if there was none and nobody was to blame.
        state: String;
        /// When the span began.
        from_s: f64, in "s";
        /// When it ended, or the run did.
        to_s: f64, in "s";
    }
}

table! {
    /// One look-up of discovery that ended.
    LookupRow in "lookups" {
        /// Who looked.
        host: u64;
        /// What for: `own`, `far` and `own-again` (its neighbourhood, at the start), `refresh` (a
        /// bucket of its table), `resolve` (an operator's newest record) or `asked` (by the
        /// application).
        goal: String;
        /// The host with the id that was looked for; absent if nobody has it.
        target: Option<u64>;
        /// When it began.
        began_s: f64, in "s";
        /// How long it took.
        took_s: f64, in "s";
        /// Whether it found what it was for: a record of the target (`resolve`, `asked`), or any
        /// node that answered.
        found: bool;
        /// How many answers, one through the other, led to the target (`resolve`, `asked`) or to
        /// the closest node that answered: 0 if the table held it.
        hops: Option<u64>, in "hops";
        /// How many requests had been made when the target was first heard of.
        heard_after: Option<u64>, in "requests";
        /// How many requests it made.
        queries: u64, in "requests";
    }
}

table! {
    /// One host, over a whole run.
    NodeRow in "nodes" {
        /// Its number: the operators first, then spare ones, strangers, boot nodes and walkers.
        host: u64;
        /// `operator`, or `other`.
        role: String;
        /// For how long a node ran on it, and was not paused or suspended.
        up_s: f64, in "s";
        /// Times that a node started on it.
        starts: u64;
        /// Datagrams that it sent, those that were lost included.
        datagrams_sent: u64, in "datagrams";
        /// Their payloads, without the headers of UDP and IP.
        datagram_bytes_sent: u64, in "bytes";
        /// Datagrams that reached it.
        datagrams_received: u64, in "datagrams";
        /// Their payloads.
        datagram_bytes_received: u64, in "bytes";
        /// Frames that it sent on links.
        frames_sent: u64, in "frames";
        /// Their bytes, without those that QUIC adds.
        link_bytes_sent: u64, in "bytes";
        /// Bytes that reached it on links.
        link_bytes_received: u64, in "bytes";
        /// For how long, summed over the other operators, it held a record that names addresses at
        /// none of which the operator was, while both ran and that operator was online.
        stale_s: f64, in "s";
    }
}

table! {
    /// How often something was counted in a run, at all nodes together.
    CountRow in "counts" {
        /// What counted it: `core` for each of the core's own counters (those of the metrics),
        /// `mark` for rare branches of the core and `world` for rare things of the world, `fault`
        /// for the faults that made a difference, `drawn` for each kind of fault (1 if the run
        /// has some, 0 if not).
        source: String;
        /// What was counted.
        name: String;
        /// How often.
        times: u64;
    }
}

table! {
    /// One choice of a run.
    OptionRow in "options" {
        /// Its name.
        name: String;
        /// What was chosen, in words.
        value: String;
    }
}

table! {
    /// Something that happened; only if it was asked for.
    EventRow in "events" {
        /// The event's number, from 1. What a node wanted done has that of the input that led to it.
        number: u64;
        /// When.
        at_s: f64, in "s";
        /// `fault`, `in` (what a node was given) or `out` (what it wanted done).
        side: String;
        /// At which host.
        host: u64;
        /// What kind of thing: for instance `move`, `datagram`, `link-opened`, `dial`.
        kind: String;
        /// The host at the other end, where there is one and it is known.
        peer: Option<u64>;
        /// How many bytes.
        bytes: Option<u64>, in "bytes";
        /// In words.
        text: String;
    }
}

/// The rows of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    /// Of the run as a whole: one.
    pub runs: Vec<RunRow>,
    /// Who came to know which move when.
    pub convergence: Vec<ConvergenceRow>,
    /// The states of the links of each pair.
    pub links: Vec<LinkRow>,
    /// The look-ups that ended.
    pub lookups: Vec<LookupRow>,
    /// The hosts.
    pub nodes: Vec<NodeRow>,
    /// What was counted.
    pub counts: Vec<CountRow>,
    /// What was chosen.
    pub options: Vec<OptionRow>,
    /// Everything that happened, if that was asked for.
    pub events: Vec<EventRow>,
}

impl Tables {
    /// Every table.
    pub const ALL: [&'static Table; 8] = [
        &RunRow::TABLE,
        &ConvergenceRow::TABLE,
        &LinkRow::TABLE,
        &LookupRow::TABLE,
        &NodeRow::TABLE,
        &CountRow::TABLE,
        &OptionRow::TABLE,
        &EventRow::TABLE,
    ];

    /// The values of all rows, table by table in the order of [`Tables::ALL`].
    #[must_use]
    pub fn rows(&self) -> [Vec<Vec<Value>>; Self::ALL.len()] {
        fn values<R: Row>(rows: &[R]) -> Vec<Vec<Value>> {
            rows.iter().map(Row::values).collect()
        }
        [
            values(&self.runs),
            values(&self.convergence),
            values(&self.links),
            values(&self.lookups),
            values(&self.nodes),
            values(&self.counts),
            values(&self.options),
            values(&self.events),
        ]
    }
}
