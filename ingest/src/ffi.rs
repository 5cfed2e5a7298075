//! The one call of the C library that Rust's own does not make: how memory goes back to the system.

/// Has large blocks of memory go back to the system as soon as they are free. To be called before there are threads.
///
/// Chunks and encoded batches are blocks of some MiB that live for as long as a write takes. Once the C library has met blocks
/// of a size it keeps them, in heaps that several threads share, and of what it keeps a good part fits nothing. A block of
/// its own (a mapping, whatever `MALLOC_MMAP_THRESHOLD_` says) is gone when it is freed; it costs more, about a tenth of
/// `ingest`'s CPU under load.
pub fn give_back_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// What is as large is a block of its own, in bytes.
        const LARGE_BYTES: libc::c_int = 1 << 20;
        #[expect(unsafe_code, reason = "a call of the C library")]
        // SAFETY: two integers are handed over, and no other thread allocates meanwhile. Where it is refused nothing changes.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
        }
    }
}
