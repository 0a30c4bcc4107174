//! A process that is counted and not timed: it makes a number of calls of one cell and ends.
//!
//! paceline runs it under valgrind, or built with the feature `allocations`. Without a clock and with arguments of one
//! length, all that two such processes differ in is the number of calls.

use std::io::Write;

use crate::{
    allocations::so_far,
    cell::{CustomCell, Variant},
    host::private_streams,
};

/// The argument that makes a program such a process.
pub(crate) const COUNT: &str = "__count";

/// The calls to count.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) name: String,
    pub(crate) variant: Variant,
    pub(crate) calls: u64,
}

impl Counted {
    /// Reads the arguments after [`COUNT`]: the cell's name, the variant and the number of calls.
    pub(crate) fn read(words: &[String]) -> Option<Self> {
        let [name, variant, calls] = words else { return None };
        let variant = [Variant::Base, Variant::Head].into_iter().find(|of| of.name() == variant)?;
        Some(Counted { name: name.clone(), variant, calls: calls.parse().ok()? })
    }
}

/// Makes a first call, then the calls that are counted. Answers with `counted`, in a build that counts allocations
/// followed by their number, or with `uncountable` and the reason.
pub(crate) fn serve(cells: &[CustomCell], wanted: &Counted) -> Result<(), String> {
    let (_, mut replies) = private_streams().map_err(|error| error.to_string())?;
    let reply = count(cells, wanted)?;
    writeln!(replies, "{reply}").map_err(|error| error.to_string())?;
    // Open until the process has ended: valgrind writes its counts then, and the parent waits for the end of this output.
    std::mem::forget(replies);
    Ok(())
}

fn count(
    cells: &[CustomCell],
    Counted { name, variant, calls }: &Counted,
) -> Result<String, String> {
    let cell = cells.iter().find(|cell| cell.name() == name);
    let cell = cell.ok_or_else(|| format!("no cell is called `{name}`"))?;
    let mut invocation = cell.prepare(*variant)?;
    if so_far().is_some() && invocation.spawns() {
        return Ok(
            "uncountable a command is a program of its own, whose allocations are not counted"
                .into(),
        );
    }
    // What happens once, such as the first growth of a buffer, is in no count.
    invocation.repeat(1)?;
    let before = so_far();
    invocation.repeat(*calls)?;
    Ok(match (before, so_far()) {
        (Some(before), Some(after)) => format!("counted {}", after - before),
        _ => "counted".into(),
    })
}
