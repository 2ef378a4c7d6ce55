//! The `trackside` binary; see [`trackside::cli`].

/// A fifth less processor time per request than with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // Where the kernel gives out huge pages unasked, a service at rest holds 25 MB that it does not use. Without them it
    // is as good as it was.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    trackside::cli::main()
}
