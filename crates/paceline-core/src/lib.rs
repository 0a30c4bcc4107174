//! The measured code: jobs, models, the interpreter that they share, the hosts that run batches, the suite's server and
//! the load generator.
//!
//! The modules are listed in reading order. Each uses only those above it; a test enforces this. Statistics, records
//! and reports are in the crate `paceline`, so a change to a template does not change the measured program.
//!
//! * [`quantity`] - numbers and plurals in sentences;
//! * [`mod@file`] - reads files that users name;
//! * [`leash`] - ends children with this process, however it ends;
//! * [`network`] - which addresses a socket may have;
//! * [`job`] - jobs, read from TOML, and their expected results;
//! * [`model`] - the interface of a concurrency model;
//! * [`perform`] - the interpreter of jobs, and batches;
//! * [`models`] - the models, one per file, and their registry;
//! * [`clock`] - the only clock;
//! * [`workloads`] - the built-in workloads, one TOML file each;
//! * [`histogram`] - distributions of times;
//! * [`usage`] - CPU time, context switches and page faults of processes;
//! * [`interrupt`] - Ctrl-C handling;
//! * [`soft_limits`] - raises this process's soft limits;
//! * [`prepared`] - a cell prepared in this process: runs and checks its batches;
//! * [`custom`] - cells defined by a user's program;
//! * [`protocol`] - messages between hosts and their parents;
//! * [`suite_server`] - the server that jobs talk to;
//! * [`process`] - child processes, seen from the parent;
//! * [`generator`] - the load generator that talks to servers;
//! * [`host`] - the child process that runs the batches of one model;
//! * [`child`] - the entry point of child processes;
//! * [`fitness`] - measurements of the machine itself;
//! * [`fuzzing`] - entry points for fuzzers.
//!
//! A function that can panic, or fail for more than what it does, documents that.

// Tests, benches and examples may print, and fail by a panic.
#![warn(clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]
#![allow(
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "this crate is the program's: its docs state what a signature does not"
)]

pub mod quantity;
pub mod file;
pub mod leash;
pub mod network;
pub mod job;
pub mod model;
pub mod perform;
pub mod models;
pub mod clock;
pub mod workloads;
pub mod histogram;
pub mod usage;
pub mod interrupt;
pub mod soft_limits;
pub mod prepared;
pub mod custom;
pub mod protocol;
pub mod suite_server;
pub mod process;
pub mod generator;
pub mod host;
pub mod child;
pub mod fitness;

#[doc(hidden)]
pub mod fuzzing;

pub use paceline_gated::layout;
