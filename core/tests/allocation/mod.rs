//! What the thread of a test has allocated: an allocator that counts.
#![expect(
    unsafe_code,
    reason = "an allocator is unsafe to implement; this one only counts and forwards"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes that this thread has allocated and not freed; less than none if it freed another's.
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

/// Moving a block counts as both of them: while it is copied, both are there.
// SAFETY: every call goes to the system's allocator as it is, and so does what is freed.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller keeps to the same contract, and the block is the system's.
        unsafe { System.dealloc(block, layout) }
    }
}

fn count(bytes: isize) {
    let held = HELD.get() + bytes;
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

/// What a call answered, and how many bytes it had allocated at most beyond what there was before.
pub fn peak<T>(call: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = call();
    (result, (PEAK.get() - before).unsigned_abs())
}

/// By how many bytes the thread holds more after a call than before; 0 if it holds less.
pub fn growth(call: impl FnOnce()) -> usize {
    let before = HELD.get();
    call();
    usize::try_from(HELD.get() - before).unwrap_or_default()
}
