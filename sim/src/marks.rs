//! Rare things of the world, marked as those of the core are: whatever no run ever meets, no run tests.

stayfound_core::marks! {
    pub(crate)
    LinkFollowed "link-followed" "A link went on from its dialler's new address.",
    ClosingLost "closing-lost" "A notice that a link is closed was lost.",
    OtherHostAnswered "other-host-answered" "A dial was answered by a host that has the address now.",
    DiallerRefused "dialler-refused" "An acceptor does not let the dialler in.",
    GaveUpTooSoon "gave-up-too-soon" "A dialler gave up when the acceptor had opened its end.",
    FrameSplit "frame-split" "Bytes of a link arrived in two pieces.",
    FramesJoined "frames-joined" "Bytes of a link arrived together with those before them.",
    QueueFull "queue-full" "A datagram found the queue of a last mile full.",
    TooLarge "too-large" "A datagram was larger than its path.",
    RouterRefused "router-refused" "A router let a packet from outside not in.",
    DuplicateArrived "duplicate-arrived" "A datagram was sent once and is on its way twice.",
    DatagramCorrupted "datagram-corrupted" "A bit of a datagram is another.",
    WriteTorn "write-torn" "A row is half there.",
    WritesLost "writes-lost" "Writes that were said to be durable are gone.",
    Overslept "overslept" "A process was woken later than it wanted, because it was halted.",
}
