//! A hint to the processor that a place in memory is wanted soon, so that several waits run side by side. It changes
//! nothing that a program can see, and where there is no such instruction it is nothing.

/// Wants `list[at]`, if there is such a place.
#[inline]
pub fn prefetch<T>(list: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(item) = list.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the address is that of an element; the instruction is part of every x86-64 (SSE) and only moves a cache
        // line.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(item).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (list, at);
}

/// A list of `length` times the same, on large pages: see [`large_pages`].
pub fn filled<T: Clone>(length: usize, value: T) -> Vec<T> {
    let mut list = room(length);
    list.resize(length, value);
    list
}

/// An empty list with room for `length`, on large pages: see [`large_pages`].
pub fn room<T>(length: usize) -> Vec<T> {
    let list = Vec::with_capacity(length);
    // Before the first write, with which the small pages would come.
    large_pages(&list);
    list
}

/// Asks for large pages under the room of a list: each small page would cost a fault of its own, and where the places are
/// wanted in no order, look-ups. What was written already stays on small pages. Short lists are left alone.
pub fn large_pages<T>(list: &Vec<T>) {
    const LARGE: usize = 2 << 20;
    #[cfg(target_os = "linux")]
    if let Some(bytes) = list.capacity().checked_mul(size_of::<T>())
        && bytes >= 2 * LARGE
    {
        let from = list.as_ptr().addr().next_multiple_of(LARGE);
        let length = (list.as_ptr().addr() + bytes).saturating_sub(from) / LARGE * LARGE;
        // SAFETY: the range is inside the list's own memory, and the advice changes nothing that a program can see. A
        // kernel that does not know it refuses, which is as well.
        unsafe { libc::madvise(std::ptr::with_exposed_provenance_mut(from), length, libc::MADV_HUGEPAGE) };
    }
}
