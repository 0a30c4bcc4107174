//! Reports of whole records: tables, charts, the page, and exports for other programs.

mod advice;
mod agreement;
mod benched;
pub mod chart;
mod claims;
mod compact;
mod compare;
mod details;
mod export;
mod file;
mod gate;
mod history;
mod history_csv;
mod load;
mod page;
mod selftest;
mod spark;
mod table;
mod unreliable;

pub use advice::{advice_in_short, advice_text};
pub use agreement::agreement_table;
pub use benched::{benched_table, missing};
pub use claims::claims_table;
pub use compact::{closing_table, compact_table};
pub use compare::comparison_table;
pub use details::floor_line;
pub use export::{Export, Exported, RunDocument, run_schema};
pub use file::{PAGE, write_page};
pub use gate::gate_table;
pub use history::history_table;
pub use history_csv::history_csv;
pub use load::load_table;
pub use page::{Charts, Sources, page};
pub use selftest::selftest_text;
pub use table::{cells_table, limits_table, summary};
