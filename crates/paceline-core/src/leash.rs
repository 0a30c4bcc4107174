//! A leash on a child's process group: if this process ends in any way, SIGKILL included, the group is killed.
//!
//! A process that is killed cannot end its children. Therefore a shell waits for the end of a pipe that only this
//! process holds open, and then kills the groups that are still on a leash. Children need not cooperate: a cell may hang
//! or have started a server, and valgrind or cargo do not watch their standard input. The shell does nothing while
//! something is measured.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{LazyLock, Mutex, PoisonError},
};

/// Reads `+ GROUP` and `- GROUP` until the end of its input, then kills the groups that are left.
const SCRIPT: &str = r#"trap '' HUP INT TERM
groups=' '
while read -r sign group; do
  case $sign in
    +) groups="$groups$group " ;;
    -) groups="${groups%% $group *} ${groups#* $group }" ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group"; done"#;

/// The input of the shell; `None` on a system without one. There, children end only if they notice the end of their
/// own standard input.
static SHELL: LazyLock<Option<Mutex<ChildStdin>>> = LazyLock::new(|| {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", SCRIPT, "paceline-leash"]).current_dir("/").process_group(0);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    Some(Mutex::new(shell.spawn().ok()?.stdin.take()?))
});

/// A leash on a process group. Dropping it lets the group go: do so before the group's leader is waited for, because
/// its id may then belong to another group.
#[derive(Debug)]
pub struct Leash(u32);

impl Leash {
    /// Puts the process group that `child` leads on a leash.
    #[must_use]
    pub fn on(child: &Child) -> Self {
        tell('+', child.id());
        Leash(child.id())
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        tell('-', self.0);
    }
}

fn tell(sign: char, group: u32) {
    if let Some(shell) = &*SHELL {
        // A shell that was killed leaves children as on a system without one.
        let line = format!("{sign} {group}\n");
        let _ = shell.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, thread, time::Duration};

    use rustix::process::{Pid, Signal, kill_process_group};

    /// Names the file in which the process that is killed notes its groups.
    const NOTED: &str = "PACELINE_TEST_NOTED";

    /// The process that is killed: it starts four groups, lets all but the second one go, and notes their ids.
    #[test]
    #[ignore = "in a process of its own, started by the test below"]
    fn leader_of_four_groups() {
        let groups = [(); 4].map(|()| {
            let mut sh = Command::new("/bin/sh");
            sh.args(["-c", "sleep 600 & sleep 600 & wait"]).process_group(0).stdout(Stdio::null());
            let child = sh.spawn().unwrap();
            (child.id().to_string(), Leash::on(&child), child)
        });
        let ids = groups.each_ref().map(|(id, ..)| id.clone()).join(" ");
        let [one, mut two, three, four] = groups;
        drop([one.1, three.1, four.1]);
        fs::write(std::env::var_os(NOTED).unwrap(), ids + "\n").unwrap();
        two.2.wait().unwrap();
    }

    /// Returns whether a process of the group still runs. One that has ended may not have been waited for.
    fn runs(group: Pid) -> bool {
        let in_group = |entry: fs::DirEntry| {
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // The program's name is in parentheses and may contain anything.
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            let own: i32 = fields.get(2)?.parse().ok()?;
            (own == group.as_raw_pid() && fields[0] != "Z").then_some(())
        };
        let mut all = fs::read_dir("/proc").into_iter().flatten().flatten();
        all.find_map(in_group).is_some()
    }

    #[test]
    fn groups_on_a_leash_end_with_a_killed_process_and_those_let_go_stay() {
        let place = tempfile::tempdir().unwrap();
        let noted = place.path().join("groups");
        let mut leader = Command::new(std::env::current_exe().unwrap());
        leader.args(["--exact", "--ignored", "leash::tests::leader_of_four_groups"]);
        let mut leader = leader.env(NOTED, &noted).stdout(Stdio::null()).spawn().unwrap();
        let ids = loop {
            let text = fs::read_to_string(&noted).unwrap_or_default();
            if let Some(ids) = text.strip_suffix('\n') {
                break ids.to_owned();
            }
            assert!(leader.try_wait().unwrap().is_none(), "it ended before it was killed");
            thread::sleep(Duration::from_millis(10));
        };
        let group = |id: &str| Pid::from_raw(id.parse().unwrap()).unwrap();
        let groups: Vec<Pid> = ids.split(' ').map(group).collect();
        let ran = groups.iter().copied().all(runs);
        leader.kill().unwrap();
        leader.wait().unwrap();
        let ended = (0..3_000).any(|_| {
            thread::sleep(Duration::from_millis(10));
            !runs(groups[1])
        });
        let stayed = [0, 2, 3].map(|at| runs(groups[at]));
        for group in groups {
            let _ = kill_process_group(group, Signal::KILL);
        }
        assert!(ran && ended, "the group on a leash still runs");
        assert_eq!(stayed, [true; 3], "groups that were let go are not killed");
    }
}
