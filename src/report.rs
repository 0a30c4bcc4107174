//! Tables for people: per workload, scale down and model across.

mod figures;
mod table;

pub use figures::{count, long, rate};
pub(crate) use table::rounds_of;
pub use table::{cells_table, list_table, summary};
