//! Worlds by name: `preset homes` is as good as the lines that it stands for.

/// Name and lines of each.
pub const PRESETS: &[(&str, &str)] = &[
    ("datacentre", "latency datacentre\nmiles wired\nloss 0.0 %\ndisks fast"),
    ("homes", "latency continental\nmiles home-wifi\nforwarded all"),
    (
        "bad-lines",
        "latency intercontinental\nmiles bad-wifi\nforwarded all\nloss 1.0 %\ndisks slow",
    ),
    ("satellites", "latency continental\nmiles geo\nloss 1.0 %"),
    ("public", "discovery 2 boots 12 walkers\nbootstrap discovery"),
];

/// Where somebody can move, by name: the faults (with the host left out) that its network is made of,
/// before the move to an address that nobody has had.
pub const NETWORKS: &[(&str, &[&str])] = &[
    ("new", &[]),
    ("cloud", &["direct", "access wired"]),
    ("home", &["nat port-restricted", "access home-wifi"]),
    ("mobile", &["nat symmetric carrier", "access 4g"]),
];
