//! What people are shown: tables, per workload with scale down and model across, and the two places to print.

mod figures;
mod print;
mod table;

pub use figures::{count, long, rate};
pub use print::{print, print_error};
pub(crate) use table::rounds_of;
pub use table::{cells_table, list_table, list_table_within, summary};
