//! `cargo bench`: the core workloads on every model over their scales. All of it is in the program `paceline`
//! (`src/cli/bench.rs`), which this becomes: optimising and linking the same code twice took minutes.
#![expect(
    clippy::print_stderr,
    reason = "without the program there is nothing else to print an error"
)]

use std::{
    env,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

fn main() -> ExitCode {
    let program = env!("CARGO_BIN_EXE_paceline");
    let error =
        Command::new(program).args(env::args_os().skip(1)).env("PACELINE_BENCH", "1").exec();
    eprintln!("error: {program} does not start: {error}; run cargo bench to build it again");
    ExitCode::FAILURE
}
