//! Hosts and the echo server that are asked for what they are not, cannot connect, or lose their parent.

use std::process::{Command, Stdio};

use paceline_core::{
    job::Workload,
    models::{self, Entry, MODELS},
    perform::Placement,
    prepared::Fault,
    process::HostError,
};

use super::{
    ONE_SLEEP, able, cell,
    server::{PATIENCE, dead, program, workload},
};

#[test]
fn a_host_that_is_asked_for_another_model_says_so() {
    let echo = program().echo().unwrap();
    let job = workload(ONE_SLEEP);
    let (tokio, smol) = (models::find("tokio").unwrap(), models::find("smol").unwrap());
    let mut host = program().host(tokio, Some(1)).unwrap();
    let inside = Placement::Inside;
    host.prepare(cell(tokio, &job, Some(1), inside, 1, &echo), PATIENCE).unwrap();
    let other = host.prepare(cell(smol, &job, Some(1), inside, 1, &echo), PATIENCE);
    assert!(
        matches!(other, Err(HostError::Fault(Fault::Failed(why))) if why.contains("tokio already"))
    );
}

/// Checks that jobs without a server fail with the job and the reason.
fn fails_without_server(entry: &Entry, workers: Option<usize>, job: &Workload) {
    let mut host = program().host(entry, workers).unwrap();
    let echo = program().echo().unwrap();
    let mut cell = cell(entry, job, workers, entry.info.placements[0], 2, &echo);
    cell.servers.echo = vec![dead()];
    host.prepare(cell, PATIENCE).unwrap();
    let error = host.attest(PATIENCE).unwrap_err().to_string();
    let names_both = error.starts_with("job ") && error.contains("refused");
    assert!(names_both, "{} {}: {error}", entry.info.name, job.source);
}

#[test]
fn a_job_that_cannot_connect_fails_with_the_job_and_the_reason() {
    let job = workload("name = \"lost\"\njob = [{ connect = \"echo\" }]");
    for entry in MODELS.iter().filter(|entry| (entry.info.available)().is_ok()) {
        fails_without_server(entry, entry.info.workers(&[1])[0], &job);
    }
}

#[test]
fn an_error_that_nobody_meant_is_not_kept_by_a_group() {
    for on_failure in ["cancel", "wait"] {
        let job = workload(&format!(
            "name = \"lost\"\njob = [{{ group = {{ width = 3, of = [{{ connect = \"echo\" }}], on_failure = \"{on_failure}\", \
             every = {{ nth = 3, job = [{{ sleep = \"200ms\" }}, {{ fail = \"error\" }}] }} }} }}]"
        ));
        for name in MODELS.iter().map(|entry| entry.info.name) {
            let Some((entry, workers)) = able(name, &job) else { continue };
            if entry.info.connections(2) == Some(1) && on_failure == "cancel" {
                continue; // The child that fails is the only one that begins.
            }
            fails_without_server(entry, workers, &job);
        }
    }
}

#[test]
fn the_echo_server_and_the_host_end_with_their_parents_input() {
    for role in ["__echo", "__host"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_paceline"))
            .arg(role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdin.take());
        let status = child.wait().unwrap();
        assert!(status.success(), "{role}: {status}");
    }
}
