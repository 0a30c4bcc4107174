//! Cells of your own for paceline's regression gate: closures and commands, in a bench of one expression.
//!
//! ```no_run
//! use paceline_gated::Gated;
//!
//! fn main() -> std::process::ExitCode {
//!     Gated::new().closure("parse/small", || || "17".parse::<u32>()).main()
//! }
//! ```
//!
//! Put this in `benches/gate.rs`, with `harness = false` in `Cargo.toml`. Then
//!
//! * `cargo bench --bench gate` prints the time per call of each cell;
//! * `paceline gate --base main` builds the bench at `main` and in the working tree, alternates between both and
//!   reports which cells regressed;
//! * `cargo test --all-targets` calls each cell once.
//!
//! This crate is deliberately small: it has no runtime, no statistics and no report, so it adds only seconds to your
//! build. The program `paceline` measures and judges. It starts your bench as a child process and controls it over its
//! standard input.

// Tests, benches and examples may print, and fail by a panic.
#![warn(clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

// Blank lines stop rustfmt from sorting the modules, which are in reading order.

pub mod clock;

pub mod layout;

pub mod usage;

mod allocations;

mod cell;

mod host;

mod count;

mod figures;

mod arguments;

mod gated;

pub use allocations::so_far as allocations_so_far;
pub use cell::{CustomCell, Variant};
pub use gated::Gated;
pub use host::serve;
