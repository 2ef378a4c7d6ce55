//! The `trackside` binary; see [`trackside::cli`].

fn main() -> std::process::ExitCode {
    trackside::cli::main()
}
