//! The entry point of paceline's child processes: a host, the suite's server, a load generator, or one that is counted.

use crate::{
    custom::CustomCell,
    generator, host,
    interrupt::survive_file_limit,
    layout,
    process::{COUNT_BATCHES, ECHO, HOST, LOAD, OWN_CELLS},
    suite_server,
};

/// Does a child's work and exits, if this process was started as a child. A program that uses the instruments calls
/// this first.
pub fn spawned() {
    spawned_with(&[]);
}

/// Does the same for a program that has cells of its own; see
/// [`Program::with_own_cells`](crate::process::Program::with_own_cells).
pub fn spawned_with(cells: &[CustomCell]) {
    survive_file_limit();
    let mut arguments = std::env::args_os().skip(1);
    let role = arguments.next();
    // Not one that is counted, whose counts are to be the same each time.
    if role.as_ref().is_some_and(|role| role == HOST || role == OWN_CELLS) {
        layout::shift();
    }
    let done = match role {
        Some(role) if role == HOST => host::serve(),
        Some(role) if role == OWN_CELLS => paceline_gated::serve(cells),
        Some(role) if role == ECHO => suite_server::serve(),
        Some(role) if role == LOAD => generator::serve(),
        Some(role) if role == COUNT_BATCHES => {
            host::count::serve(arguments.map(|word| word.to_string_lossy().into_owned()))
        }
        _ => return,
    };
    std::process::exit(i32::from(done.is_err()));
}
