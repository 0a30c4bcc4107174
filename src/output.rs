//! Printing, progress on a terminal, and the formatting of numbers, durations and plain tables.
//!
//! The instruments use it; the formatting of whole records is in `report`, above them.

mod figures;
mod print;
mod progress;
mod table;

pub(crate) use figures::{
    SIZES, TIMES, batches_of, capital, cut, escaped, escaped_lines, fine_percent, in_unit, listed,
    long_ns, long_ns_f64, plain, plain_lines, shell_word, shorten, uncapital,
};
pub use figures::{for_option, long, percent, rate, signed};
pub(crate) use paceline_core::quantity::noun;
pub use paceline_core::quantity::{count, counted};
pub(crate) use print::unprinted;
pub use print::{print, print_bytes, print_error, print_note, print_warning, remedy};
pub use progress::{Building, Progress};
pub(crate) use table::{
    MatrixField, Tone, columns, figures_table, folded, is_narrow, matrix, named_table, width,
};
pub use table::{list_table, list_table_within};
