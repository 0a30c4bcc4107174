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
//! Put this into `benches/gate.rs`, with `harness = false` in `Cargo.toml`. Then
//!
//! * `cargo bench --bench gate` prints the time of a call of each cell;
//! * `paceline gate --base main` builds the bench at `main` and in the working tree, runs both in turns and says which
//!   cells regressed;
//! * `cargo test --all-targets` calls each cell once.
//!
//! This crate is small on purpose: it has no runtime, no statistics and no report, so that it adds seconds to your
//! build. The measuring and judging is done by the program `paceline`, which starts your bench as a child process and
//! tells it what to do over its standard input.

// Blank lines keep rustfmt from sorting what stands in reading order.

pub mod clock;

pub mod usage;

mod cell;

mod host;

mod figures;

mod arguments;

mod gated;

pub use cell::{CustomCell, FirstCall, Invocation, Variant};
pub use gated::Gated;
