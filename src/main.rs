//! The `trackside` binary; see [`trackside::cli`].

/// Bodies are taken in on one thread and freed on another; glibc's allocator makes of that a tenth of all work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    trackside::cli::main()
}
