//! Names that people can tell nodes apart by.

use stayfound_core::record::NodeId;

const ADJECTIVES: [&str; 64] = [
    "amber", "ashen", "autumn", "balmy", "bold", "brassy", "brisk", "bronze", "calm", "candid",
    "chalky", "coastal", "cobalt", "copper", "coral", "crimson", "dapper", "dusky", "dusty",
    "earnest", "faded", "fleet", "frosty", "gentle", "gilded", "granite", "hardy", "hazel",
    "humble", "indigo", "ivory", "jaunty", "keen", "limber", "linen", "lunar", "maple", "mellow",
    "misty", "mossy", "nimble", "northern", "olive", "opal", "pebbly", "placid", "polar", "quartz",
    "russet", "saffron", "salty", "sandy", "scarlet", "silken", "sober", "steady", "stormy",
    "sturdy", "tawny", "tidal", "umber", "velvet", "wintry", "woollen",
];

const NOUNS: [&str; 64] = [
    "anchor", "badger", "barge", "beacon", "bittern", "bollard", "brook", "buoy", "canal",
    "capstan", "causeway", "coot", "cove", "cutter", "delta", "dinghy", "dory", "dune", "eddy",
    "egret", "estuary", "ferry", "fjord", "frigate", "gannet", "geyser", "glacier", "grebe",
    "gully", "harbour", "headland", "heron", "inlet", "isthmus", "jetty", "kayak", "keel", "ketch",
    "lagoon", "lantern", "ledge", "marsh", "mooring", "narrows", "otter", "pier", "plover", "quay",
    "rapids", "reef", "ridge", "rudder", "schooner", "shoal", "skiff", "sloop", "spit", "tarn",
    "tern", "tiller", "trawler", "wharf", "willow", "yawl",
];

/// The name of a node: an adjective and a noun that follow from its node id. A label for people
/// and nothing else: one node in 4,096 has the same.
#[must_use]
pub fn name(node: &NodeId) -> String {
    let [adjective, noun, ..] = node.0.map(usize::from);
    format!("{}-{}", ADJECTIVES[adjective % 64], NOUNS[noun % 64])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_words_are_distinct_and_short() {
        for words in [ADJECTIVES, NOUNS] {
            assert_eq!(BTreeSet::from(words).len(), words.len());
            assert!(words.iter().all(|word| word.len() <= 8));
        }
    }

    #[test]
    fn a_name_follows_from_the_node_id() {
        assert_eq!(name(&NodeId([0; 32])), "amber-anchor");
        assert_eq!(name(&NodeId([0xff; 32])), "woollen-yawl");
    }
}
