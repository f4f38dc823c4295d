//! The frame codec: every frame round-trips however its bytes are cut, and no bytes panic.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use stayfound_core::mesh::{
    FRAME_BYTES_MAX, Frame, Hello, Holding, RECORDS_PER_FRAME_MAX, Reader, Violation,
};
use stayfound_core::record::NodeId;

fn frame() -> impl Strategy<Value = Frame> {
    let record = prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from);
    let holding = (any::<[u8; 32]>(), any::<u64>(), any::<[u8; 32]>())
        .prop_map(|(id, seq, content_hash)| Holding { node_id: NodeId(id), seq, content_hash });
    prop_oneof![
        (
            prop_oneof![Just(Frame::Hello as fn(Hello) -> Frame), Just(Frame::Reloaded as _)],
            any::<[u8; 32]>(),
            record.clone(),
            prop::collection::vec(holding, 0..256)
        )
            .prop_map(|(frame, cluster, record, digest)| frame(Hello {
                cluster,
                record,
                digest
            })),
        prop::collection::vec(record, 0..RECORDS_PER_FRAME_MAX).prop_map(Frame::Records),
        (any::<std::net::IpAddr>(), any::<u16>())
            .prop_map(|(ip, port)| Frame::Seen((ip.to_canonical(), port).into())),
    ]
}

/// Reads everything; bytes come cut into pieces of at most `cut`.
fn read(bytes: &[u8], cut: usize) -> (Vec<Frame>, Option<Violation>) {
    let mut reader = Reader::default();
    let mut frames = Vec::new();
    for piece in bytes.chunks(cut) {
        reader.push(piece);
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => frames.extend(frame),
                Ok(None) => break,
                Err(violation) => return (frames, Some(violation)),
            }
        }
        assert!(reader.pending() < 4 + FRAME_BYTES_MAX, "more than a frame is held");
    }
    (frames, None)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"), "/../proptest-regressions/frames.txt"
        )))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn frames_round_trip_however_they_are_cut(
        frames in prop::collection::vec(frame(), 1..4),
        cut in 1usize..5_000,
    ) {
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.encode().to_vec()).collect();
        prop_assert_eq!(read(&bytes, cut), (frames, None));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..4_096), cut in 1usize..64) {
        let _ = read(&bytes, cut);
    }

    /// Random bytes rarely get past the length prefix: these do.
    #[test]
    fn no_mutation_of_a_frame_panics(
        frame in frame(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = frame.encode().to_vec();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let _ = read(&bytes, 1_000);
        let _ = read(&bytes[..place], 1_000);
    }
}

fn framed(payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn a_frame_too_long_is_refused_by_its_prefix_alone() {
    let prefix = (FRAME_BYTES_MAX as u32 + 1).to_be_bytes();
    assert_eq!(read(&prefix, 1), (vec![], Some(Violation::Oversized)));
}

#[test]
fn another_version_is_named() {
    assert_eq!(read(&framed(&[0xc3, 2, 1, 0xc0]), 9), (vec![], Some(Violation::Version(2))));
}

#[test]
fn an_unknown_kind_is_skipped() {
    let seen = Frame::Seen("198.18.0.1:3610".parse().unwrap());
    let bytes = [framed(&[0xc3, 1, 99, 0xc0]), seen.encode().to_vec()].concat();
    assert_eq!(read(&bytes, 3), (vec![seen], None));
}

#[test]
fn trailing_items_and_an_empty_frame_are_malformed() {
    let seen = Frame::Seen("198.18.0.1:3610".parse().unwrap()).encode();
    let mut longer = seen[4..].to_vec();
    longer[0] += 1; // one more byte in the list
    longer.push(0x01);
    for bytes in [framed(&longer), framed(&[]), framed(&[0xc0]), framed(&[0x01])] {
        assert_eq!(read(&bytes, 64), (vec![], Some(Violation::Malformed)), "{bytes:02x?}");
    }
}
