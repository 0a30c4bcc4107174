//! What holds for the whole of the sample: the machine, the build, the models and the definitions.

use std::collections::BTreeMap;

use paceline::{
    machine::{Build, Fingerprint, HostActivity},
    record::{Definition, ModelRecord, Run, SCHEMA},
};
use paceline_core::{
    histogram::{Distribution, Histogram},
    process::allocator_settings,
    workloads,
};
use serde_json::json;

/// The name of its folder.
pub(crate) const ID: &str = "2026-11-25T02-00-00Z-trials-4711";

pub(crate) fn run() -> Run {
    let settings = json!({ "trials": 3, "pin": false, "to_the_limit": false });
    let fingerprint = fingerprint();
    Run {
        schema: SCHEMA,
        id: ID.into(),
        started: "2026-11-25T02:00:00Z".into(),
        instrument: "trials".into(),
        command: ["paceline", "run", "sleep", "cpu", "--trials", "3"].map(str::to_owned).into(),
        budget_seconds: 1800.0,
        seed: Some(42),
        settings: settings.as_object().unwrap().clone(),
        build: Build {
            program: "9f3c5a0b1d2e4f60".into(),
            paceline: "0.1.0".into(),
            rustc: fingerprint.rustc.clone(),
            target: "x86_64-unknown-linux-gnu".into(),
            flags: fingerprint.flags.clone(),
            debug: false,
            allocator: "system (Rust's default)".into(),
            dependencies: versions(),
        },
        fingerprint,
        commit: Some("0123456789abcdef0123456789abcdef01234567".into()),
        models: models(),
        workloads: ["sleep", "cpu", "serve-service"].map(define).into(),
        planned: None,
        timer_floor: timer_floor(),
    }
}

fn define(name: &str) -> Definition {
    Definition { name: name.into(), source: workloads::find(name).unwrap().source }
}

fn fingerprint() -> Fingerprint {
    Fingerprint {
        hash: "5a3c1e0f9b7d2468".into(),
        architecture: "x86_64".into(),
        cpu: ["AuthenticAMD", "25", "17", "1"].map(str::to_owned),
        cpu_name: "AMD EPYC 9R14".into(),
        logical_cpus: 8,
        cpu_quota: None,
        cpu_set: None,
        libc: Some("glibc 2.41".into()),
        huge_pages: Some("madvise".into()),
        threads_per_core: "1".into(),
        hypervisor: true,
        kernel: "Linux 6.12".into(),
        rustc: "rustc 1.95.0 (2026-10-12)".into(),
        flags: "opt-level=3 lto=fat codegen-units=1".into(),
        features: vec!["tokio=default,full".into()],
        allocator: allocator_settings().to_string_lossy().into_owned(),
    }
}

fn versions() -> BTreeMap<String, String> {
    [("tokio", "1.52.0"), ("rayon", "1.12.0"), ("smol", "2.0.2"), ("crossbeam-channel", "0.5.15")]
        .map(|(name, version)| (name.into(), version.into()))
        .into()
}

fn models() -> Vec<ModelRecord> {
    let model = |name: &str, family: &str, version: &str, note: &str| ModelRecord {
        name: name.into(),
        family: family.into(),
        version: version.into(),
        tag: "idiomatic".into(),
        available: true,
        note: note.into(),
        ..ModelRecord::default()
    };
    vec![
        model("sequential", "threads", "1.95.0", "one job after another on the calling thread"),
        model("threads", "threads", "1.95.0", "std::thread, one per job, spawned and joined"),
        model("pool", "threads", "0.5.15", "`workers` threads behind one unbounded queue"),
        model("rayon", "work-stealing", "1.12.0", "a pool of its own"),
        model("tokio", "async", "1.52.0", "multi-thread runtime; offload by spawn_blocking"),
        model("smol", "async", "2.0.2", "an Executor of its own on `workers` threads"),
        ModelRecord {
            available: false,
            reason: Some("io_uring is forbidden here: kernel.io_uring_disabled is 2".into()),
            ..model("monoio", "io_uring", "0.2.4", "a runtime per worker, not pinned")
        },
    ]
}

/// Most wake-ups come 60 µs late, some later.
fn timer_floor() -> Option<Distribution> {
    let mut late = Histogram::default();
    (0..50_u64).for_each(|n| late.record(52_000 + n * n * 40));
    late.distribution()
}

/// A quiet machine, for two seconds.
pub(crate) fn meanwhile() -> HostActivity {
    HostActivity {
        cpu_ticks: 1600,
        steal_ticks: 2,
        busy_ticks: 900,
        pressure_us: Some(24_000),
        cpus: 8,
    }
}
