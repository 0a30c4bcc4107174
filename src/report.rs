//! What people are shown: tables, per workload with scale down and model across, and the two places to print.

mod advice;
mod details;
mod figures;
mod print;
mod progress;
mod table;

pub use crate::record::bytes_per_job;
pub use advice::{advice_in_short, advice_text};
pub use figures::{count, long, rate};
pub use print::{print, print_error};
pub use progress::Progress;
pub(crate) use table::rounds_of;
pub use table::{cells_table, limits_table, list_table, summary};
