//! Two servers that take turns, so that their trials can be compared in pairs.

use crate::{
    record::{Against, Cell, State},
    run::shuffled,
};

/// Returns the order in which servers are measured in a trial. Two that are compared are first alternately, so that
/// neither gains or loses by being first.
pub(super) fn turns(paired: bool, seed: u64, servers: usize, trial: u32) -> Vec<usize> {
    if !paired {
        return shuffled(servers, seed.wrapping_add(u64::from(trial)));
    }
    let mut turns = shuffled(servers, seed);
    if trial % 2 == 1 {
        turns.reverse();
    }
    turns
}

/// Writes a cell to the record.
type Write<'a> = &'a mut dyn FnMut(&Cell) -> Result<(), String>;

/// Writes the cell at `index`, which has ended. In a pair, a cell with figures is written once the other has ended too,
/// and the second one then has the comparison.
pub(super) fn keep(
    paired: bool,
    cells: &mut [Option<Cell>],
    index: usize,
    write: Write<'_>,
) -> Result<(), String> {
    if paired {
        let other = 1 - index;
        if cells[other].is_none() && waits(cells[index].as_ref()) {
            return Ok(());
        }
        let against = match &*cells {
            [Some(base), Some(head)] => Against::of(base, head),
            _ => None,
        };
        if let Some(load) = cells[1].as_mut().and_then(|head| head.load.as_mut()) {
            load.against = against;
        }
        if let Some(waited) = cells[other].as_ref().filter(|cell| waits(Some(cell))) {
            write(waited)?;
        }
    }
    cells[index].as_ref().map_or(Ok(()), write)
}

/// Writes the cell of a pair whose other cell was interrupted.
pub(super) fn keep_lone(
    paired: bool,
    cells: &[Option<Cell>],
    write: Write<'_>,
) -> Result<(), String> {
    match cells {
        [Some(lone), None] | [None, Some(lone)] if paired && waits(Some(lone)) => write(lone),
        _ => Ok(()),
    }
}

fn waits(cell: Option<&Cell>) -> bool {
    cell.is_some_and(|cell| cell.state == State::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{LoadFigures, Loop, PerTrial};
    use paceline_core::perform::Placement;

    fn ended(model: &str, state: State) -> Cell {
        let rates = vec![1.0, 2.0, 3.0];
        Cell {
            per_trial: PerTrial { jobs_per_second: rates, ..PerTrial::default() },
            load: Some(LoadFigures::new(Loop::Closed, None, None, 1)),
            ..Cell::new("serve", model, 1, None, Placement::Inside, state)
        }
    }

    /// Returns the cells in the order in which they are written; a star marks a comparison.
    fn written(ends: &[(usize, State)]) -> String {
        let mut cells = vec![None, None];
        let mut said = String::new();
        let mut write = |cell: &Cell| {
            let star = cell.load.as_ref().is_some_and(|load| load.against.is_some());
            said += &cell.model;
            said += if star { "*" } else { "" };
            Ok(())
        };
        for (index, state) in ends {
            cells[*index] = Some(ended(["a", "b"][*index], *state));
            keep(true, &mut cells, *index, &mut write).unwrap();
        }
        keep_lone(true, &cells, &mut write).unwrap();
        said
    }

    #[test]
    fn two_servers_that_are_compared_are_first_in_turn() {
        let first = |seed: u64| (0..6).map(|trial| turns(true, seed, 2, trial)[0]).collect();
        let all: Vec<Vec<usize>> = (0..20).map(first).collect();
        assert!(all.iter().all(|of| of.array_windows().all(|[one, next]| one != next)), "{all:?}");
        assert!(all.iter().any(|of| of[0] == 0) && all.iter().any(|of| of[0] == 1), "{all:?}");
    }

    #[test]
    fn each_cell_of_a_pair_is_written_once_and_a_comparison_takes_both() {
        use State::{Failed, Ok};
        for (ends, wanted) in [
            (&[(0, Ok), (1, Ok)][..], "ab*"),
            (&[(1, Ok), (0, Ok)], "b*a"),
            (&[(0, Failed), (1, Ok)], "ab"),
            (&[(1, Failed), (0, Ok)], "ba"),
            (&[(0, Failed), (1, Failed)], "ab"),
            (&[(0, Ok), (1, Failed)], "ab"),
            (&[(0, Ok)], "a"),
            (&[(1, Ok)], "b"),
            (&[(1, Failed)], "b"),
            (&[], ""),
        ] {
            assert_eq!(written(ends), wanted, "{ends:?}");
        }
    }
}
