//! Allocations of jobs on models, counted in a build of paceline-host as the gate makes it.

use std::{fs, path::Path, process::Command, time::Duration};

use paceline_core::{
    models::find,
    process::{Counted, Program},
    protocol::CellSpec,
};

/// Returns paceline-host as the gate builds it to count allocations, but unoptimised, with the dependencies that these
/// tests have compiled.
fn host_that_counts(folder: &Path) -> Program {
    let target = Path::new(env!("CARGO_BIN_EXE_paceline")).ancestors().nth(2).unwrap();
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--offline", "-p", "paceline", "-p", "paceline-core"]);
    cargo.args(["--bin", "paceline-host", "--features", "paceline-gated/allocations"]);
    cargo.arg("--target-dir").arg(target).current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(cargo.status().unwrap().success());
    // It must not be mistaken for the usual one, which cargo links again when it is asked for it.
    let (host, built) = (folder.join("paceline-host"), target.join("debug/paceline-host"));
    fs::copy(&built, &host).unwrap();
    fs::remove_file(built).unwrap();
    Program::at(host)
}

#[test]
fn one_more_allocation_of_each_job_is_found_exactly_and_equal_programs_differ_by_none() {
    let folder = tempfile::tempdir().unwrap();
    let program = host_that_counts(folder.path());
    let count = |model: &str, scale: usize, batches: u64| {
        let placement = find(model).unwrap().info.placements[0];
        let cell = CellSpec { model: model.into(), placement, scale, ..CellSpec::simplest() };
        program.allocations(Counted::Batches(&cell), batches, Duration::from_mins(5)).unwrap()
    };
    // A task of tokio is one allocation, and a job of `sequential` has none. tokio's queues are as large for 10 jobs as for
    // 14.
    for (model, of_a_job) in [("tokio-current-thread", 1), ("sequential", 0)] {
        let [ten, again, more, batches] = [(10, 3), (10, 3), (14, 3), (10, 6)]
            .map(|(scale, batches)| count(model, scale, batches));
        assert!(ten > 0 && ten == again, "{model}: {ten} {again}");
        assert_eq!((more - ten, batches), (3 * 4 * of_a_job, 2 * ten), "{model}");
    }
    // Such a host is slower, and never timed.
    let mut host = program.host_of_custom_cells().unwrap();
    let refused = host.prepare(CellSpec::simplest(), Duration::from_mins(5)).unwrap_err();
    assert!(
        refused.to_string().contains("it is built with the feature `allocations`"),
        "{refused}"
    );
}
