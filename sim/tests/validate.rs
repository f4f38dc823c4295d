//! Measured beside published, at a small scale: each part says something, and the same twice; what
//! agrees at that scale does.

use stayfound_core::chance::Chance;
use stayfound_sim::validate::{Figure, PARTS, Scale, figures};

fn smoke(seed: u8) -> Vec<Figure> {
    figures(&Scale::SMOKE, &Chance::new([seed; 32]))
}

#[test]
fn a_small_scale_agrees_with_what_is_published() {
    let figures = smoke(1);
    for (part, _) in PARTS {
        assert!(figures.iter().any(|figure| figure.part == part), "nothing about {part}");
    }
    // A hundred nodes are no sample of rare ones.
    let exempt = |figure: &Figure| figure.name.starts_with("know ");
    for figure in figures.iter().filter(|figure| !exempt(figure)) {
        assert!(figure.agrees(), "{figure:?}");
    }
    assert_eq!(smoke(1), figures, "the same chance");
    assert_ne!(smoke(2), figures, "another one");
}
