//! What people are shown: tables, per workload with scale down and model across, and the two places to print.

mod advice;
mod claims;
mod compare;
mod details;
mod export;
mod figures;
mod gate;
mod history;
mod history_csv;
mod load;
mod print;
mod progress;
mod selftest;
mod table;

pub use advice::{advice_in_short, advice_text};
pub use claims::claims_table;
pub use compare::comparison_table;
pub use details::floor_line;
pub use export::{Export, OtavaRow, RunDocument, RunExport, otava_rows, otava_values, run_schema};
pub use figures::{count, long, rate};
pub use gate::gate_table;
pub use history::history_table;
pub use history_csv::history_csv;
pub use load::load_table;
pub use print::{print, print_error};
pub use progress::{Building, Progress};
pub use selftest::selftest_text;
pub(crate) use table::rounds_of;
pub use table::{cells_table, limits_table, list_table, list_table_within, summary};
