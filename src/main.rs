//! The `paceline` command.

fn main() -> std::process::ExitCode {
    paceline_core::child::spawned_with(&paceline::gate::selftest::custom_cells());
    paceline::cli::main()
}
