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
