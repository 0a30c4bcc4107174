//! Plain tables, and matrices that fit the width of the terminal.

use std::env;

use comfy_table::{
    Attribute, Cell as Field, CellAlignment, Color, ColumnConstraint, ContentArrangement, Row,
    Table, presets,
};

use super::{figures::plain, print::is_coloured};

/// The width of a table of figures without a terminal, and the greatest width of a matrix.
const WIDTH: usize = 100;
/// Terminals with fewer columns are narrow.
const NARROW: usize = 60;
/// The width of a list, whose words are wrapped.
const LIST_WIDTH: usize = 120;
/// The least width of a column of words.
const WORDS: usize = 22;

/// Formats a plain table with a head.
pub fn list_table(head: &[&str], rows: &[Vec<String>]) -> String {
    list_table_within(usize::MAX, head, rows)
}

/// Formats a plain table, at most `most` columns wide. Where columns of words would have a word a line, each row is a
/// paragraph.
pub fn list_table_within(most: usize, head: &[&str], rows: &[Vec<String>]) -> String {
    let within = known_width().unwrap_or(LIST_WIDTH).clamp(40, 400).min(most);
    let wide = |column: usize| {
        let fields = rows.iter().filter_map(|row| row.get(column)).flat_map(|field| field.lines());
        let widest = fields.chain([head[column]]).map(|line| line.chars().count()).max();
        // Longer fields can be wrapped.
        widest.unwrap_or(0).min(WORDS) + 2
    };
    if (0..head.len()).map(wide).sum::<usize>() > within {
        return paragraphs(head, rows, within);
    }
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(within as u16)
        .set_header(head.to_vec());
    for row in rows {
        table.add_row(row);
    }
    // Names are never broken.
    if let Some(names) = table.column_mut(0) {
        names.set_constraint(ColumnConstraint::ContentWidth);
    }
    trimmed(&table)
}

/// Formats each row as its name, and below it a line for each of its other fields. Of rows whose first column has no
/// head, the first two fields are the name.
fn paragraphs(head: &[&str], rows: &[Vec<String>], within: usize) -> String {
    let names = if head[0].is_empty() { 2 } else { 1 };
    let paragraph = |row: &Vec<String>| {
        let mut lines = vec![fold(&row[..names.min(row.len())].join("  "), within)];
        let fields = head.iter().zip(row).skip(names).filter(|(_, field)| !field.is_empty());
        for (head, field) in fields {
            // A field may have several lines.
            let field = field.lines().collect::<Vec<_>>().join(" ");
            lines.push(fold(&format!("  {head}: {field}"), within));
        }
        lines.join("\n")
    };
    rows.iter().map(paragraph).collect::<Vec<_>>().join("\n")
}

/// Splits the names of columns that are written in one text: `model | scale | p99`.
pub(crate) fn columns(names: &str) -> Vec<&str> {
    names.split(" | ").collect()
}

/// Formats a table of figures, which are never wrapped: names are left-aligned, the rest right-aligned. Columns that do
/// not fit go into further blocks, each with the names.
pub(crate) fn figures_table(head: &[&str], rows: &[Vec<String>]) -> String {
    named_table(1, head, rows)
}

/// Formats the same where the first `names` columns together are the name of a row.
pub(crate) fn named_table(names: usize, head: &[&str], rows: &[Vec<String>]) -> String {
    let shown = |row: &Vec<String>| row.iter().map(MatrixField::from).collect();
    in_blocks(names, head, &rows.iter().map(shown).collect::<Vec<_>>(), width())
}

/// The meaning of a field that its colour repeats; colour is never the only sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Best,
    Tied,
    Wrong,
    Absent,
}

/// A field of a matrix.
#[derive(Clone, Debug)]
pub(crate) struct MatrixField {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

impl From<&String> for MatrixField {
    fn from(text: &String) -> Self {
        MatrixField { text: text.clone(), tone: Tone::Plain }
    }
}

/// A way to write a matrix: its head, and its rows, each of which begins with its name.
pub(crate) type Form = (Vec<String>, Vec<Vec<MatrixField>>);

/// Formats a matrix in one block, in the first of its forms that fits into 100 columns or the terminal; if none fits,
/// the last one in several blocks. Returns the index of the form.
pub(crate) fn matrix(forms: &[Form]) -> (String, usize) {
    let within = width().min(WIDTH);
    let fits = |form: &Form| widths(&head_of(form), &form.1).iter().sum::<usize>() <= within;
    let chosen = forms.iter().position(fits).unwrap_or(forms.len() - 1);
    (in_blocks(1, &head_of(&forms[chosen]), &forms[chosen].1, within), chosen)
}

fn head_of(form: &Form) -> Vec<&str> {
    form.0.iter().map(String::as_str).collect()
}

/// Returns whether the terminal is too narrow for a table with remarks in its fields.
pub(crate) fn is_narrow() -> bool {
    width() < NARROW
}

/// Returns how many columns of the terminal each column of a table takes.
fn widths(head: &[&str], rows: &[Vec<MatrixField>]) -> Vec<usize> {
    let wide = |column: usize| {
        let fields = rows.iter().filter_map(|row| row.get(column));
        let fields = fields.map(|field| plain(&field.text).chars().count());
        fields.chain([head[column].chars().count()]).max().unwrap_or(0) + 2
    };
    (0..head.len()).map(wide).collect()
}

/// The first `names` columns, which are the name of a row, are in each block.
fn in_blocks(names: usize, head: &[&str], rows: &[Vec<MatrixField>], within: usize) -> String {
    let wide = widths(head, rows);
    let name: usize = wide[..names].iter().sum();
    // Long names leave no room for any column.
    if wide[names..].iter().any(|column| name + column > within) {
        let text = |row: &Vec<MatrixField>| row.iter().map(|field| plain(&field.text)).collect();
        return paragraphs(head, &rows.iter().map(text).collect::<Vec<_>>(), within);
    }
    let mut blocks: Vec<(usize, Vec<usize>)> = vec![];
    for (column, wide) in wide.iter().enumerate().skip(names) {
        match blocks.last_mut() {
            Some((used, of)) if *used + wide <= within => {
                *used += wide;
                of.push(column);
            }
            _ => blocks.push((name + wide, (0..names).chain([column]).collect())),
        }
    }
    let block = |(_, columns): &(usize, Vec<usize>)| {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if is_coloured() {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(columns.iter().map(|column| head[*column]));
        for row in rows {
            let fields = columns.iter().filter_map(|column| row.get(*column));
            table.add_row(Row::from(fields.map(field)));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        trimmed(&table)
    };
    blocks.iter().map(block).collect::<Vec<_>>().join("\n\n")
}

/// A name with a line feed would be two rows.
fn field(shown: &MatrixField) -> Field {
    let field = Field::new(plain(&shown.text));
    match shown.tone {
        Tone::Plain => field,
        Tone::Best => field.fg(Color::Green).add_attribute(Attribute::Bold),
        Tone::Tied => field.fg(Color::Green),
        Tone::Wrong => field.fg(Color::Red),
        Tone::Absent => field.add_attribute(Attribute::Dim),
    }
}

/// Returns the width of the terminal, or the value of `COLUMNS`; 100 without either.
pub(crate) fn width() -> usize {
    known_width().unwrap_or(WIDTH).clamp(40, 400)
}

fn known_width() -> Option<usize> {
    let said = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    said.or_else(|| Table::new().width().map(usize::from))
}

/// Returns the text with long lines broken between words, if there is a terminal or `COLUMNS`. A continuation is
/// indented by two more spaces than its line. Coloured lines are those of tables, and fit already.
pub(crate) fn folded(text: &str) -> String {
    if known_width().is_none() {
        return text.to_owned();
    }
    let fit = |line: &str| {
        if line.contains('\u{1b}') { line.to_owned() } else { fold(line, width()) }
    };
    text.lines().map(fit).collect::<Vec<_>>().join("\n")
}

fn fold(line: &str, within: usize) -> String {
    if line.chars().count() <= within {
        return line.to_owned();
    }
    let indent = line.len() - line.trim_start().len();
    let (mut folded, mut used) = (line[..indent].to_owned(), indent);
    for (index, word) in words(&line[indent..]).into_iter().enumerate() {
        let wide = word.chars().count();
        if index > 0 && used + 1 + wide > within {
            folded.push('\n');
            folded.push_str(&" ".repeat(indent + 2));
            used = indent + 2;
        } else if index > 0 {
            folded.push(' ');
            used += 1;
        }
        folded.push_str(&word);
        used += wide;
    }
    folded
}

/// Returns the words between which a line may be broken: a number keeps its groups and its percent sign.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![];
    for word in line.split(' ') {
        let is_group = word.trim_end_matches([',', ';', ':', '.', ')']).len() == 3
            && word.starts_with(|c: char| c.is_ascii_digit());
        let after_number = |last: &&mut String| last.ends_with(|c: char| c.is_ascii_digit());
        match words.last_mut().filter(after_number) {
            Some(last) if is_group || word.starts_with('%') => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

/// Returns the table without trailing spaces.
fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_takes_the_first_form_that_has_room_and_else_blocks_with_the_names_in_each() {
        let of = |text: &str| {
            let figure = || MatrixField { text: text.into(), tone: Tone::Plain };
            let row = |name: &str| {
                let name = MatrixField { text: name.into(), tone: Tone::Plain };
                std::iter::once(name).chain((0..4).map(|_| figure())).collect()
            };
            vec![row("tokio"), row("smol")]
        };
        let head = || ["model", "1", "10", "100", "1 000"].map(String::from).to_vec();
        let (long, short) = ((head(), of(&"9".repeat(30))), (head(), of("9.99k")));
        let (text, form) = matrix(&[long.clone(), short]);
        assert_eq!((form, text.lines().count()), (1, 3), "{text}");
        let (text, form) = matrix(&[long]);
        assert_eq!((form, text.matches("tokio").count()), (0, 2), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }

    #[test]
    fn each_block_has_all_columns_of_the_name() {
        let row =
            |metric: &str| ["echo/tokio/10", metric, "12", "11.4 µs", "3.1 µs"].map(String::from);
        let rows = [row("p50"), row("memory")]
            .map(|row| row.iter().map(MatrixField::from).collect::<Vec<_>>());
        let text = in_blocks(2, &["cell", "metric", "runs", "last", "first"], &rows, 40);
        assert_eq!(
            (text.matches("metric").count(), text.matches("memory").count()),
            (2, 2),
            "{text}"
        );
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
    }

    #[test]
    fn where_no_column_has_room_beside_the_names_each_row_is_a_paragraph() {
        let row = |name: &str| vec![name.to_owned(), "11.4 µs".into(), String::new(), "a b".into()];
        let rows = [row("a-cell-with-a-long-name/of-a-model/1000"), row("short")];
        let text = paragraphs(&["cell", "base", "head", "why"], &rows, 20);
        let wanted = "a-cell-with-a-long-name/of-a-model/1000\n  base: 11.4 µs\n  why: a b\nshort";
        assert!(text.starts_with(wanted), "{text}");
        let shown: Vec<Vec<MatrixField>> =
            rows.iter().map(|row| row.iter().map(MatrixField::from).collect()).collect();
        assert!(in_blocks(1, &["cell", "base", "head", "why"], &shown, 40).starts_with(wanted));
        let judged = vec!["good".into(), "timer".into(), "late by 60 µs\n→ wait".into()];
        let text = paragraphs(&["", "what", "found"], &[judged], 16);
        assert_eq!(text, "good  timer\n  found: late by\n    60 µs → wait");
    }

    #[test]
    fn long_lines_break_between_words_and_keep_their_indent() {
        assert_eq!(fold("  one two three", 11), "  one two\n    three");
        assert_eq!(fold("at 10 000, 5 % off", 9), "at\n  10 000,\n  5 % off");
        assert_eq!(fold("a-word-that-is-too-long yes", 8), "a-word-that-is-too-long\n  yes");
    }
}
