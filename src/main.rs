//! The `paceline` command.

fn main() -> std::process::ExitCode {
    paceline::measure::spawned_with(&paceline::gate::selftest::own_cells());
    paceline::cli::main()
}
