//! What paceline measures, and what measures it from inside the process: jobs, models, their one interpreter, the hosts
//! that run batches, the suite's server and the load generator.
//!
//! The modules stand in reading order, and each uses only those above it; a test holds them to it. Statistics, records
//! and reports are in the crate `paceline`, so that a change to a template does not change the program that is measured.
//!
//! * [`file`] - reading files that users name;
//! * [`job`] - what a job is, read from TOML, and what doing it must yield;
//! * [`model`] - what a concurrency model offers to jobs;
//! * [`perform`] - the interpreter of jobs, and batches of them;
//! * [`models`] - the models, one to a file, and their registry;
//! * [`clock`] - the only clock;
//! * [`workloads`] - the built-in workloads, one TOML file each;
//! * [`histogram`] - distributions of times;
//! * [`usage`] - what processes have used;
//! * [`interrupt`] - Ctrl-C;
//! * [`soft_limits`] - raising this process's soft limits;
//! * [`prepared`] - a cell prepared in this process, its batches and their checks;
//! * [`custom`] - cells that a program brings of its own;
//! * [`protocol`] - what hosts and their parents say to each other;
//! * [`suite_server`] - the server that jobs talk to;
//! * [`process`] - child processes, from their parent's side;
//! * [`generator`] - the load generator that talks to servers;
//! * [`host`] - the child process that runs the batches of one model;
//! * [`child`] - what a child process does;
//! * [`fitness`] - measurements of the machine itself;
//! * [`fuzzing`] - what fuzzers feed.

// Blank lines keep rustfmt from sorting what stands in reading order.

pub mod file;

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
