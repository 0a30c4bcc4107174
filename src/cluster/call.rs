//! Calls of a scheduler's commands, in a clean environment and with a timeout.

use std::{
    env,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use std::os::unix::process::CommandExt;

/// Why a call gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallError {
    /// There is no such program.
    Missing(String),
    /// It ended with another code than 0, and said this.
    Refused(String),
    /// It did not end in time.
    Silent(String),
}

impl CallError {
    pub(super) fn why(self) -> String {
        match self {
            CallError::Missing(why) | CallError::Refused(why) | CallError::Silent(why) => why,
        }
    }
}

/// Runs `command`, hides the variables that begin with one of `unset` and are not among `kept`, and returns what it
/// printed.
pub(super) fn call(
    command: &[String],
    (unset, kept): (&[String], &[String]),
    limit: Duration,
) -> Result<String, CallError> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(CallError::Missing("the engine has an empty command".into()));
    };
    let mut called = Command::new(program);
    called.args(arguments).env("LC_ALL", "C").process_group(0);
    called.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in env::vars_os() {
        let begins = |start: &String| name.to_string_lossy().starts_with(start.as_str());
        if unset.iter().any(begins) && !kept.iter().any(|kept| name == kept.as_str()) {
            called.env_remove(&name);
        }
    }
    let child = called.spawn().map_err(|error| {
        CallError::Missing(format!("`{program}` cannot be started here: {error}"))
    })?;
    let id = Pid::from_child(&child);
    let (done, ended) = mpsc::channel();
    thread::spawn(move || done.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(limit) else {
        let _ = kill_process_group(id, Signal::KILL);
        return Err(CallError::Silent(format!("`{program}` has not answered within {limit:?}")));
    };
    let output = output.map_err(|error| CallError::Refused(format!("`{program}`: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(CallError::Refused(format!("`{program}` says: {said}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Result<String, CallError> {
        let command = ["sh", "-c", script].map(str::to_owned);
        call(&command, (&[], &[]), Duration::from_secs(20))
    }

    #[test]
    fn a_call_that_hangs_is_ended_and_one_that_fails_says_why() {
        assert_eq!(sh("echo 12").unwrap(), "12\n");
        assert_eq!(
            sh("echo no such partition >&2; exit 1"),
            Err(CallError::Refused("`sh` says: no such partition".into()))
        );
        let hangs = ["sleep".to_owned(), "1000".to_owned()];
        assert!(matches!(
            call(&hangs, (&[], &[]), Duration::from_millis(50)),
            Err(CallError::Silent(_))
        ));
        let missing = call(&["no-such-scheduler".into()], (&[], &[]), Duration::from_secs(1));
        assert!(matches!(missing, Err(CallError::Missing(_))));
    }

    #[test]
    fn variables_of_a_job_that_paceline_runs_in_are_hidden_from_the_scheduler() {
        let command = ["sh", "-c", "echo ${HOME-hidden} ${PATH:+kept}"].map(str::to_owned);
        let lists = (&["HOM".into(), "PAT".into()][..], &["PATH".into()][..]);
        let said = call(&command, lists, Duration::from_secs(20));
        assert_eq!(said.unwrap(), "hidden kept\n");
    }
}
