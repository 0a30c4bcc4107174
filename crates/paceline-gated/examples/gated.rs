//! Runs your own code through the gate: `cargo run --release -p paceline-gated --example gated -- --compare --budget
//! 30s`.
//!
//! Each cell has two variants, the base and the head, so one program compares them. A bench called `gate` in your crate,
//! with one variant per cell, is compared across revisions instead: see docs/gate.md.

#![expect(clippy::stable_sort_primitive, reason = "the stable sort is what is compared with")]

use std::{collections::HashMap, hint::black_box, process::ExitCode};

use paceline_gated::{CustomCell, Gated};

/// Returns numbers in no particular order, the same in every process.
fn numbers() -> Vec<u64> {
    (0..10_000_u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20).collect()
}

fn main() -> ExitCode {
    // This outer closure runs once per process and is not timed. The inner one is.
    let sort = CustomCell::closure("sort/10000", || {
        let numbers = numbers();
        move || {
            let mut sorted = numbers.clone();
            sorted.sort();
            sorted
        }
    })
    .against(|| {
        let numbers = numbers();
        move || {
            let mut sorted = numbers.clone();
            sorted.sort_unstable();
            sorted
        }
    });
    // Both variants are the same, so the gate must not find a difference.
    let look_up = || {
        let map: HashMap<u64, usize> = numbers().into_iter().zip(0..).collect();
        move || (0..1_000).filter(|key| map.contains_key(black_box(key))).count()
    };
    let look_up = CustomCell::closure("look up/1000", look_up).against(look_up);
    // A command is timed from its start to its end.
    let command = CustomCell::command("command", ["true"]).against_command(["sh", "-c", "true"]);
    Gated::new().cell(sort).cell(look_up).cell(command).main()
}
