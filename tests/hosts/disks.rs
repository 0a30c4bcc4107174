//! Plans of loads on a disk that is full or cannot be written, and nodes whose clocks are an hour off.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output},
};

use super::{
    all_end_well, await_that, collected, collected_with, fails, load_words, paceline, planned,
    said, work,
};

const NODES: [&str; 2] = ["a=127.0.0.1", "b=127.0.0.2"];

/// A small file system in memory at `folder/plan`, which goes with it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it. Returns `None` after a message where the system does not allow that.
    fn mount(folder: &Path) -> Option<Self> {
        let at = folder.join("plan");
        fs::create_dir(&at).unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=256k", "paceline-test"];
        let output = Command::new("mount").args(mount).arg(&at).output();
        match output {
            Ok(output) if output.status.success() => Some(SmallDisk(at)),
            _ => {
                eprintln!("left out: no file system can be mounted here: {output:?}");
                None
            }
        }
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).unwrap();
        for size in [4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }

    fn remount(&self, how: &str) {
        let how = format!("remount,{how}");
        assert!(Command::new("mount").args(["-o", &how]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn cluster(folder: &Path, words: &[&str]) -> Output {
    paceline(folder, &[], words).output().unwrap()
}

fn both(folder: &Path) -> [Child; 2] {
    ["a", "b"].map(|node| work(folder, &[], node))
}

const FULL: &str = "No space left on device";

#[test]
fn a_full_disk_under_a_load_is_said_by_each_role_and_the_block_is_done_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let Some(disk) = SmallDisk::mount(folder) else { return };
    disk.fill();
    let words = load_words("plan", &NODES, "--duration 3s --port 17551");
    fails(&cluster(folder, &words), 1, &[FULL]);
    disk.make_room();
    let output = cluster(folder, &words);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    disk.fill();
    fails(&cluster(folder, &["submit", "plan", "--engine", "local"]), 1, &[FULL]);
    let [leader, generator] = both(folder).map(|node| node.wait_with_output().unwrap());
    fails(&leader, 1, &[FULL]);
    fails(&generator, 1, &["ended this generator", FULL, "the load is void"]);
    disk.make_room();
    // Now it is full in mid-load.
    let nodes = both(folder);
    let has_begun = || {
        let attempts = fs::read_dir(folder.join("plan/parts/0000")).into_iter().flatten().flatten();
        attempts
            .filter(|of| fs::metadata(of.path().join("node.json")).is_ok_and(|of| of.len() > 0))
            .count()
            > 0
    };
    await_that("an attempt begins", has_begun);
    disk.fill();
    let [leader, generator] = nodes.map(|node| node.wait_with_output().unwrap());
    fails(&leader, 1, &[FULL, "make room, and go on with paceline cluster submit"]);
    fails(&generator, 1, &["ended this generator", FULL]);
    disk.make_room();
    all_end_well(both(folder));
    assert_eq!(collected(folder).len(), 1);
}

#[test]
fn a_plan_that_cannot_be_written_ends_each_command_with_a_sentence() {
    const READ_ONLY: &str = "Read-only file system";
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let Some(disk) = SmallDisk::mount(folder) else { return };
    planned(folder, &NODES, "--port 17552");
    disk.remount("ro");
    let [leader, generator] = both(folder).map(|node| node.wait_with_output().unwrap());
    fails(&leader, 1, &["cannot write to", READ_ONLY, "make it writable"]);
    fails(&generator, 1, &["ended this generator", READ_ONLY, "the load is void"]);
    fails(&cluster(folder, &["submit", "plan", "--engine", "local"]), 1, &[READ_ONLY]);
    fails(&cluster(folder, &["cancel", "plan"]), 1, &[READ_ONLY]);
    fails(&cluster(folder, &["collect", "plan"]), 1, &[READ_ONLY, "let it write there"]);
    let status = cluster(folder, &["status", "plan"]);
    assert_eq!(status.status.code(), Some(0), "{}", said(&status));
    disk.remount("rw");
    all_end_well(both(folder));
    assert_eq!(collected(folder).len(), 1);
}

/// Builds a library that puts the wall clock an hour ahead in the program that preloads it.
fn an_hour_ahead(folder: &Path) -> Option<PathBuf> {
    const SOURCE: &str = "#include <time.h>\n#include <unistd.h>\n#include <sys/syscall.h>\n\
        int clock_gettime(clockid_t clock, struct timespec *now) {\n\
            int failed = syscall(SYS_clock_gettime, clock, now);\n\
            if (!failed && clock == CLOCK_REALTIME) now->tv_sec += 3600;\n\
            return failed;\n}\n";
    let [source, library] = ["ahead.c", "ahead.so"].map(|name| folder.join(name));
    fs::write(&source, SOURCE).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    compiler.output().is_ok_and(|output| output.status.success()).then_some(library)
}

#[test]
fn nodes_whose_clocks_are_an_hour_off_start_together_and_the_record_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let Some(library) = an_hour_ahead(folder) else {
        return eprintln!("left out: there is no C compiler here");
    };
    planned(folder, &[NODES[0], NODES[1], "c=127.0.0.3"], "--port 17553");
    // The monotonic clock of c is an hour ahead, as if it had started an hour earlier.
    let apart = ["unshare", "--time", "--monotonic", "3600", "--fork"];
    let can = Command::new(apart[0]).args(&apart[1..]).arg("true").output();
    let inside: &[&str] = if can.is_ok_and(|output| output.status.success()) {
        &apart
    } else {
        eprintln!("left out: there are no time namespaces here, so monotonic clocks agree");
        &[]
    };
    let mut ahead = paceline(folder, &[], &["work", "plan", "0000", "--node", "b"]);
    let ahead = ahead.env("LD_PRELOAD", library).spawn().unwrap();
    all_end_well([work(folder, &[], "a"), ahead, work(folder, inside, "c")]);
    // b has a library that others have not, so it is a machine of another kind.
    let cells = collected_with(folder, &["--any-machine"]);
    assert!(cells[0].load.as_ref().unwrap().hosts.as_ref().unwrap().clock_uncertainty_ns.is_some());
    let collect = cluster(folder, &["collect", "plan", "--any-machine"]);
    let said = said(&collect);
    let off: Vec<&str> = said.lines().filter(|line| line.contains("The wall clock of")).collect();
    assert!(off.len() == 1 && off[0].contains("wall clock of b is 36"), "{said}");
    assert!(off[0].contains("its dates are wrong, its figures are not"), "{said}");
}
