//! `cargo bench`: the core workloads on every model over their scales. The instrument is `src/bench`, its command line `src/cli/bench.rs`.

fn main() -> std::process::ExitCode {
    paceline::cli::bench()
}
