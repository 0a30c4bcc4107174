//! A process whose batches of one cell are counted and not timed: their allocations, or under valgrind their
//! instructions.

use std::io::{self, Write};

use paceline_gated::allocations_so_far;

use super::{Engine, Host, keep_panics};
use crate::{
    prepared::Fault,
    protocol::{CellSpec, Reply},
};

/// Runs a first batch, then those that are counted. The arguments are the cell and the number of batches. Answers with
/// `counted`, in a build that counts allocations followed by their number, or with `failed` or `invalid` and the reason.
pub(crate) fn serve(mut words: impl Iterator<Item = String>) -> io::Result<()> {
    let (cell, batches) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let cell: CellSpec = serde_json::from_str(&cell)?;
    let batches: u64 = batches.parse().map_err(io::Error::other)?;
    keep_panics();
    let reply = match counted(cell, batches) {
        Ok(Some(count)) => format!("counted {count}"),
        Ok(None) => "counted".into(),
        Err(Fault::Failed(why)) => format!("failed {}", why.replace('\n', " ")),
        Err(Fault::Invalid(why)) => format!("invalid {}", why.replace('\n', " ")),
    };
    writeln!(io::stdout(), "{reply}")
}

fn counted(cell: CellSpec, batches: u64) -> Result<Option<u64>, Fault> {
    let mut host = Host::default();
    host.prepare(cell)?;
    let (prepared, Engine::Here(model)) = host.ready()? else {
        return Err(Fault::Failed("it runs out of process".into()));
    };
    // What happens once, such as the first growth of a queue, is in no count.
    prepared.batch(&**model)?;
    let before = allocations_so_far();
    for _ in 0..batches {
        prepared.batch(&**model)?;
    }
    let after = allocations_so_far();
    Ok(before.zip(after).map(|(before, after)| after - before))
}

/// Returns the answer of a host whose build counts allocations, to any request: it is slower, and never timed.
pub(super) fn refusal() -> Option<Reply> {
    allocations_so_far().map(|_| {
        let why = "it is built with the feature `allocations` of paceline-gated, which is slower: leave the feature out";
        Reply::Fault(Fault::Failed(why.into()))
    })
}
