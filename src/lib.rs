//! **paceline** runs the same jobs on every concurrency model and shows, honestly, which one keeps pace.
//!
//! What is measured, and what measures it from inside the process, is the crate [`paceline_core`]. Here are plans,
//! records, statistics, the instruments and the reports. The modules stand in reading order, and each uses only those
//! above it; a test holds them to it.
//!
//! * [`output`]: printing, progress, and the formatting of numbers and plain tables;
//! * [`machine`]: fingerprint and limits of this machine;
//! * [`stats`]: statistics, pure functions on slices;
//! * [`record`]: what is kept under `results/`;
//! * [`plan`]: which cells there are, and what each will take;
//! * [`session`]: what both instruments share while they measure;
//! * [`start`]: what a record says before the first cell;
//! * [`advice`]: what to take for a job, and from which scale on;
//! * [`compare`]: verdicts on pairs of trials, and two records side by side: pure functions;
//! * [`history`]: recorded runs over time, and where they step;
//! * [`run`]: the instrument of trials, a fresh process each;
//! * [`cluster`]: the same trials in blocks, on the nodes of a cluster, and one record of them;
//! * [`load`]: the instrument of load, on servers;
//! * [`claims`]: each claim of the concurrency tutorial as an experiment;
//! * [`mod@bench`]: the instrument behind `cargo bench`, driven by criterion;
//! * [`gate`]: the instrument that says whether a change made something slower;
//! * [`doctor`]: whether this machine is fit to measure;
//! * [`report`]: tables, charts, the page and exports of whole records;
//! * [`cli`]: the command line;
//! * [`fuzzing`]: what fuzzers feed.

// Blank lines keep rustfmt from sorting what stands in reading order.

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

pub mod cluster;

pub mod load;

pub mod claims;

pub mod bench;

pub mod gate;

pub mod doctor;

pub mod report;

pub mod cli;

#[doc(hidden)]
pub mod fuzzing;
