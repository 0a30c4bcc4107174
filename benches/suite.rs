//! `cargo bench`: the core workloads on every model over their scales. This program only starts `paceline`, which does
//! all of it (`src/cli/bench.rs`): optimising and linking the same code twice took minutes.

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
