//! Margins of a change for each cell, from the command line or a file.

use std::path::Path;

use paceline_core::file::read_text;
use regex::Regex;
use serde::{Deserialize, Deserializer, de::Error};

use crate::{
    output::{listed, shorten},
    start::parse_regex,
};

/// The most cells that a sentence names.
const NAMED: usize = 5;
/// The most characters of a line that an error quotes.
const LINE: usize = 80;
/// The greatest size of a margin file, in bytes.
const MOST: u64 = 1 << 20;

/// The margins of a cell. All are shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margin {
    /// The least difference that is called a change.
    pub margin: f64,
    /// The difference that must have been detectable before a cell is called not regressed.
    pub clear: f64,
    /// The standard deviation caused by the layout of code, if known.
    pub layout_sd: f64,
    /// The least difference of exact counts that is called a change.
    pub count: f64,
}

impl Default for Margin {
    fn default() -> Self {
        Margin { margin: 0.03, clear: 0.05, layout_sd: 0.0, count: 0.005 }
    }
}

/// Margins of all cells.
#[derive(Clone, Debug, Default)]
pub struct Margins {
    of_all: Margin,
    of_some: Vec<(Regex, MarginOverrides)>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    margin: Option<Percentage>,
    clear_margin: Option<Percentage>,
    layout_sd: Option<Percentage>,
    count_margin: Option<Percentage>,
    #[serde(default)]
    cell: Vec<CellMargins>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CellMargins {
    name: Pattern,
    margin: Option<Percentage>,
    clear_margin: Option<Percentage>,
    layout_sd: Option<Percentage>,
    count_margin: Option<Percentage>,
}

/// A value such as `"3%"`. A bare number would leave open whether 3 is a share or a percentage.
struct Percentage(String);

impl<'de> Deserialize<'de> for Percentage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(deserializer)?;
        let text = value.as_str().filter(|text| percent(text).is_ok());
        let allowed = "write a percentage of 0% to 100% in quotes, such as \"3%\"";
        text.map(|text| Percentage(text.to_owned())).ok_or_else(|| D::Error::custom(allowed))
    }
}

/// A regular expression that matches the whole name of a cell.
struct Pattern(Regex);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        // By itself, because an error shows the end of what was parsed.
        let whole = parse_regex(&name).and_then(|_| parse_regex(&format!("^(?:{name})$")));
        whole.map(Pattern).map_err(D::Error::custom)
    }
}

/// Settings from a file or the command line; the rest is unchanged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MarginOverrides {
    /// Such as `3%`.
    pub margin: Option<String>,
    /// Such as `5%`.
    pub clear_margin: Option<String>,
    /// Such as `1%`.
    pub layout_sd: Option<String>,
    /// Such as `0.5%`.
    pub count_margin: Option<String>,
}

impl MarginOverrides {
    fn over(&self, under: Margin) -> Result<Margin, String> {
        // Values of a file were checked as it was read, so one that is wrong here is an option's.
        let read = |option: &str, text: &Option<String>, otherwise| match text {
            Some(text) => percent(text).map_err(|why| format!("{option} {text}: {why}")),
            None => Ok(otherwise),
        };
        let margin = Margin {
            margin: read("--margin", &self.margin, under.margin)?,
            clear: read("--clear-margin", &self.clear_margin, under.clear)?,
            layout_sd: read("layout_sd", &self.layout_sd, under.layout_sd)?,
            count: read("count_margin", &self.count_margin, under.count)?,
        };
        if margin.count <= 0.0 {
            return Err("a margin of counts, count_margin, is over 0 %, such as 0.5 %".into());
        }
        if margin.clear < margin.margin || margin.margin <= 0.0 {
            return Err(format!(
                "a margin is over 0 % and at most the clear margin, clear_margin: {} % and {} % are not",
                100.0 * margin.margin,
                100.0 * margin.clear
            ));
        }
        Ok(margin)
    }
}

impl Margins {
    /// Reads `file`, if there is one; the command line overrides what it says of all cells.
    ///
    /// # Errors
    ///
    /// Returns a sentence that names the place in the file.
    pub fn read(file: Option<&Path>, given: &MarginOverrides) -> Result<Self, String> {
        let Some(path) = file else { return Margins::of_text(None, given) };
        let place = path.display().to_string();
        let text = read_text(path, MOST).map_err(|why| format!("{place}: {why}"))?;
        Margins::of_text(Some((&place, &text)), given)
    }

    /// Parses a file's text, with the name of its place for errors; without one, returns the defaults.
    ///
    /// # Errors
    ///
    /// Returns a sentence that names the place in the file.
    pub fn of_text(file: Option<(&str, &str)>, given: &MarginOverrides) -> Result<Self, String> {
        let text = match file {
            Some((place, text)) => parse(text).map_err(|why| format!("{place}: {why}"))?,
            None => Text::default(),
        };
        let Text { margin, clear_margin, layout_sd, count_margin, cell } = text;
        let of = |[margin, clear_margin, layout_sd, count_margin]: [Option<Percentage>; 4]| {
            let [margin, clear_margin, layout_sd, count_margin] =
                [margin, clear_margin, layout_sd, count_margin].map(|of| of.map(|of| of.0));
            MarginOverrides { margin, clear_margin, layout_sd, count_margin }
        };
        let place = file.map(|(place, _)| format!("{place}: ")).unwrap_or_default();
        let of_file = of([margin, clear_margin, layout_sd, count_margin]);
        let of_file = of_file.over(Margin::default()).map_err(|why| format!("{place}{why}"))?;
        let of_all = given.over(of_file)?;
        let mut of_some = Vec::new();
        for CellMargins { name, margin, clear_margin, layout_sd, count_margin } in cell {
            let given = of([margin, clear_margin, layout_sd, count_margin]);
            // Errors must appear before anything is measured.
            given.over(of_all).map_err(|why| format!("{place}of `{}`: {why}", shown(&name.0)))?;
            of_some.push((name.0, given));
        }
        Ok(Margins { of_all, of_some })
    }

    /// Returns the margins of a cell: later entries of the file override earlier ones. Those that do not go together,
    /// which [`check`](Self::check) names, are the defaults.
    #[must_use]
    pub fn of(&self, cell: &str) -> Margin {
        self.try_of(cell).unwrap_or_default()
    }

    fn try_of(&self, cell: &str) -> Result<Margin, String> {
        let mut found = self.of_some.iter().filter(|(pattern, _)| pattern.is_match(cell));
        found.try_fold(self.of_all, |under, (_, given)| given.over(under))
    }

    /// Returns a sentence about entries for cells that are none of `cells`; `None` if there is no such entry.
    #[must_use]
    pub fn unused(&self, cells: &[String]) -> Option<String> {
        let is_unused = |pattern: &&Regex| !cells.iter().any(|cell| pattern.is_match(cell));
        let unused = self.of_some.iter().map(|(pattern, _)| pattern).filter(is_unused);
        let names = unused.map(|pattern| shown(pattern).to_owned());
        let names = listed(&names.collect::<Vec<_>>(), NAMED);
        (!names.is_empty())
            .then(|| format!("there are margins for cells that do not exist: {names}"))
    }

    /// Checks the margins of each cell.
    ///
    /// # Errors
    ///
    /// Returns a sentence for the first cell whose entries do not go together.
    pub fn check(&self, cells: &[String]) -> Result<(), String> {
        cells.iter().try_for_each(|cell| match self.try_of(cell) {
            Ok(_) => Ok(()),
            Err(why) => Err(format!("the margins of {cell} do not go together: {why}")),
        })
    }
}

impl Margins {
    /// Describes how these margins of `cells` differ from the `used` ones; `None` if they do not.
    #[must_use]
    pub fn unlike(&self, used: &Margins, cells: &[String]) -> Option<String> {
        let differ: Vec<String> = cells
            .iter()
            .filter_map(|cell| {
                let (other, used) = (self.of(cell), used.of(cell));
                (other != used)
                    .then(|| format!("{cell} {} instead of {}", other.describe(), used.describe()))
            })
            .collect();
        let more = differ.len().saturating_sub(NAMED);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        let named = differ.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join("; ");
        (!named.is_empty()).then(|| format!("{named}{more}"))
    }
}

impl Margin {
    /// Returns "3 % and 5 %", with the layout if known.
    fn describe(self) -> String {
        let percent = |share: f64| format!("{} %", (share * 1e6).round() / 1e4);
        let layout = match self.layout_sd {
            0.0 => String::new(),
            sd => format!(" with a layout of {}", percent(sd)),
        };
        let (counts, usual) = (percent(self.count), percent(Margin::default().count));
        let counts = if counts == usual { String::new() } else { format!(", {counts} of counts") };
        format!("{} and {}{layout}{counts}", percent(self.margin), percent(self.clear))
    }
}

/// Returns the pattern as the file has it.
fn shown(pattern: &Regex) -> &str {
    pattern.as_str().trim_start_matches("^(?:").trim_end_matches(")$")
}

fn parse(text: &str) -> Result<Text, String> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        // The line has the key, which the error lacks.
        let typed = text.lines().nth(line - 1).unwrap_or_default().trim();
        let typed = match typed {
            "" => String::new(),
            typed => format!("`{}`: ", shorten(typed, LINE)),
        };
        format!("line {line}: {typed}{}", error.message())
    })
}

/// Parses a share such as `3%` or `3 %`.
fn percent(text: &str) -> Result<f64, String> {
    let digits = text.trim().strip_suffix('%').map(str::trim);
    let number = digits.and_then(|digits| digits.parse::<f64>().ok());
    match number.filter(|number| (0.0..=100.0).contains(number)) {
        Some(number) => Ok(number / 100.0),
        None => Err("a margin is a percentage of 0% to 100%, such as 3%".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, given: &MarginOverrides) -> Result<Margins, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Margins::read(Some(file.path()), given)
    }

    #[test]
    fn a_cells_margin_is_that_of_the_last_entry_that_names_it() {
        let text = "margin = \"2%\"\n[[cell]]\nname = 'echo/.*'\nmargin = \"4%\"\nclear_margin = \"8 %\"\n[[cell]]\nname = '.*/may/.*'\nlayout_sd = \"1%\"\n";
        let margins = read(text, &MarginOverrides::default()).unwrap();
        assert_eq!(margins.of("cpu/tokio/4"), Margin { margin: 0.02, ..Margin::default() });
        assert_eq!(
            margins.of("echo/may/10"),
            Margin { margin: 0.04, clear: 0.08, layout_sd: 0.01, ..Margin::default() }
        );
        assert_eq!(margins.of("my-echo/x"), margins.of("x"), "a name is matched as a whole");
    }

    #[test]
    fn entries_of_a_cell_that_do_not_go_together_are_an_error_and_not_the_wider_of_them() {
        let wide = "[[cell]]\nname = '.*'\nmargin = \"8%\"\nclear_margin = \"10%\"\n";
        let text = format!("{wide}[[cell]]\nname = 'x'\nclear_margin = \"5%\"\n");
        let margins = read(&text, &MarginOverrides::default()).unwrap();
        assert_eq!(margins.check(&["y".into()]), Ok(()));
        let why = margins.check(&["y".into(), "x".into()]).unwrap_err();
        assert!(why.starts_with("the margins of x do not go together: "), "{why}");
        assert_eq!(margins.of("x"), Margin::default());
    }

    #[test]
    fn entries_for_no_cell_are_named() {
        let entry = |name: &str| format!("[[cell]]\nname = '{name}'\nmargin = '1%'\n");
        let text = ["pasre", "echo/.*", "x"].map(entry).concat();
        let margins = read(&text, &MarginOverrides::default()).unwrap();
        let unused = |cells: &[&str]| {
            margins.unused(&cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(unused(&["pasre", "echo/x", "x"]), None);
        let said = unused(&["parse", "x"]).unwrap();
        assert_eq!(said, "there are margins for cells that do not exist: pasre, echo/.*");
    }

    #[test]
    fn the_command_line_counts_over_what_the_file_says_of_all() {
        let given = MarginOverrides { margin: Some("1%".into()), ..MarginOverrides::default() };
        let margin = read("margin = \"2%\"", &given).unwrap().of("x");
        assert_eq!(margin, Margin { margin: 0.01, ..Margin::default() });
    }

    #[test]
    fn other_margins_are_named_cell_by_cell() {
        let none = MarginOverrides::default();
        let used = Margins::of_text(None, &none).unwrap();
        let text = "[[cell]]\nname = 'spin'\nmargin = \"90%\"\nclear_margin = \"95.5%\"\n";
        let other = Margins::of_text(Some(("gate.toml", text)), &none).unwrap();
        let cells = ["spin".to_owned(), "turn".to_owned()];
        let said = other.unlike(&used, &cells).unwrap();
        assert_eq!(said, "spin 90 % and 95.5 % instead of 3 % and 5 %");
        assert_eq!(other.unlike(&used, &cells[1..]), None);
        assert_eq!(other.unlike(&other, &cells), None);
        let text = "[[cell]]\nname = 'spin'\ncount_margin = \"90%\"\n";
        let other = Margins::of_text(Some(("gate.toml", text)), &none).unwrap();
        let said = other.unlike(&used, &cells).unwrap();
        assert_eq!(said, "spin 3 % and 5 %, 90 % of counts instead of 3 % and 5 %");
    }

    #[test]
    fn a_wrong_value_is_told_with_its_file_its_line_and_what_is_allowed() {
        let none = MarginOverrides::default();
        let why = |text: &str| Margins::of_text(Some(("gate.toml", text)), &none).unwrap_err();
        let allowed = "a percentage of 0% to 100% in quotes, such as \"3%\"";
        for (text, place) in [
            ("margin = 3", "gate.toml: line 1: `margin = 3`: "),
            ("\nclear_margin = 0.05", "gate.toml: line 2: `clear_margin = 0.05`: "),
            ("margin = \"3\"", "gate.toml: line 1: `margin = \"3\"`: "),
            ("margin = true", "gate.toml: line 1: `margin = true`: "),
            ("[[cell]]\nname = 'x'\nlayout_sd = 1", "gate.toml: line 3: `layout_sd = 1`: "),
        ] {
            assert_eq!(why(text), format!("{place}write {allowed}"));
        }
        let said = why("[[cell]]\nname = 'y'\n[[cell]]\nname = 'x('");
        let regex = "gate.toml: line 4: `name = 'x('`: this is no regular expression: unclosed";
        assert!(said.starts_with(regex), "{said}");
        for text in ["margin = \"9%\"", "[[cell]]\nname = 'x'\nmargin = \"9%\""] {
            let said = why(text);
            assert!(said.starts_with("gate.toml: ") && said.contains("clear_margin"), "{said}");
        }
        assert!(why("count_margin = \"0%\"").starts_with("gate.toml: a margin of counts"));
        let given = MarginOverrides { margin: Some("3".into()), ..none };
        let said = Margins::of_text(None, &given).unwrap_err();
        assert_eq!(said, "--margin 3: a margin is a percentage of 0% to 100%, such as 3%");
    }

    #[test]
    fn faults_name_the_line_and_what_is_right() {
        let none = MarginOverrides::default();
        let why = read("margin = \"2%\"\nfoo = [\n", &none).unwrap_err();
        assert!(why.contains("line 2") || why.contains("line 3"), "{why}");
        assert!(read("margin = \"x\"", &none).unwrap_err().contains("such as \"3%\""));
        assert!(read("margin = \"9%\"", &none).unwrap_err().contains("at most the clear margin"));
        assert!(read("count_margin = \"0%\"", &none).unwrap_err().contains("over 0 %"));
        assert!(read("[[cell]]\nname = '('\n", &none).unwrap_err().contains("regular expression"));
        assert!(read("marge = \"9%\"", &none).is_err(), "an unknown key is no setting");
        assert!(
            Margins::read(Some(Path::new("/nowhere")), &none).unwrap_err().contains("/nowhere")
        );
    }
}
