//! Nodes that are one machine, though their boot ids differ.

use std::fs;

use super::{all_end_well, collected, planned, program::call, record_in, said, work};

/// Runs a command with the boot id in the file `boot`, as some containers have one of their own.
const INSIDE: [&str; 6] = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    "mount --bind boot /proc/sys/kernel/random/boot_id && exec \"$@\"",
    "sh",
];

#[test]
fn containers_with_a_boot_id_of_their_own_are_one_machine_by_their_clock() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("boot"), "another").unwrap();
    let can = call(INSIDE[0], folder, INSIDE[1..].iter().chain(&["true"])).output().unwrap();
    if !can.status.success() {
        return eprintln!("left out: no other boot id can be had here: {}", said(&can));
    }
    planned(folder, &["a=127.0.0.1", "b=127.0.0.2"], "--port 17561");
    all_end_well([work(folder, &[], "a"), work(folder, &INSIDE, "b")]);
    let cells = collected(folder);
    let nodes = fs::read_to_string(record_in(folder).join("nodes.json")).unwrap();
    assert!(nodes.contains("\"boot_id\": \"another\""), "{nodes}");
    assert!(cells[0].is_shared_host(), "{:?}", cells[0].load);
}
