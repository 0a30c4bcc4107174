//! The `paceline` command.

fn main() -> std::process::ExitCode {
    paceline_core::child::spawned_with(&paceline::gate::selftest::custom_cells());
    if std::env::var_os(paceline::cli::BENCH).is_some() {
        return paceline::cli::bench();
    }
    paceline::cli::main()
}
