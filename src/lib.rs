//! **paceline** runs the same jobs on every concurrency model and shows, honestly, which one keeps pace.
//!
//! The crate [`paceline_core`] has the measured program, and the measuring inside the process. This crate has plans,
//! records, statistics, the instruments and the reports. The modules are in reading order, and each uses only those
//! above it; a test enforces this.
//!
//! * [`output`]: printing, progress, and the formatting of numbers and plain tables;
//! * [`machine`]: fingerprint and limits of this machine;
//! * [`stats`]: statistics, pure functions on slices;
//! * [`record`]: the files under `results/`;
//! * [`plan`]: the cells, and the predicted time of each;
//! * [`session`]: what the instruments share while they measure;
//! * [`start`]: the beginning of a record;
//! * [`advice`]: which model to use for a job, by scale;
//! * [`compare`]: verdicts on pairs of trials, and comparisons of two records: pure functions;
//! * [`history`]: recorded runs over time, and their steps;
//! * [`run`]: the trial instrument, with a fresh process for each trial;
//! * [`load`]: the load instrument, for servers;
//! * [`cluster`]: the same trials in blocks on the nodes of a cluster, or load between nodes, combined into one record;
//! * [`claims`]: each claim of the concurrency tutorial as an experiment;
//! * [`mod@bench`]: the instrument behind `cargo bench`, driven by criterion;
//! * [`gate`]: the regression gate;
//! * [`doctor`]: whether this machine is fit to measure on;
//! * [`report`]: tables, charts, the page and exports of whole records;
//! * [`cli`]: the command line;
//! * [`fuzzing`]: the entry points for fuzzers.
//!
//! An error that is a `String` is one sentence for users. A function that can panic, or fail for more than
//! what it does, documents that.

// Tests, benches and examples may print, and fail by a panic.
#![warn(clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]
#![allow(
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "this crate is the program's: its docs state what a signature does not"
)]

pub mod output;
pub mod machine;
pub mod stats;
pub mod record;
pub mod plan;
pub mod session;
pub mod start;
pub mod advice;
pub mod compare;
pub mod history;
pub mod run;
pub mod load;
pub mod cluster;
pub mod claims;
pub mod bench;
pub mod gate;
pub mod doctor;
pub mod report;
pub mod cli;

#[doc(hidden)]
pub mod fuzzing;
