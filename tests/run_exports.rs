//! What a recorded run is exported as is what each format's documentation says, whatever the names are.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod sample_run;

use paceline::record::{State, read};

#[test]
fn the_sample_has_a_cell_of_every_kind_and_is_the_same_each_time_and_on_disk() {
    let record = sample_run::record();
    for state in [State::Ok, State::Invalid, State::Refused, State::Skipped, State::Failed] {
        assert!(record.cells.iter().any(|cell| cell.state == state), "{state:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let place = sample_run::write(&sample_run::record(), folder.path());
    let back = read(&place).unwrap();
    assert!(back.cells == record.cells && back.rounds.len() == record.rounds.len());
    assert!(record.rounds.len() > 200 && record.cells.len() > 80);
}
