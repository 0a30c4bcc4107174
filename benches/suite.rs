//! `cargo bench`: the core workloads on every model over their scales. The suite itself lives in `src/bench`.

fn main() -> std::process::ExitCode {
    paceline::bench::main()
}
