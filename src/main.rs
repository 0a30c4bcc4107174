//! The `paceline` command.

fn main() -> std::process::ExitCode {
    paceline::measure::spawned();
    paceline::cli::main()
}
