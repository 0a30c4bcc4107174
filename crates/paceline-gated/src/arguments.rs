//! Determines what started this program: its user, cargo, nextest, or paceline (as a host).

use crate::{
    count::{COUNT, Counted},
    host::HOST,
};

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Answer paceline's requests.
    Host,
    /// Make calls that paceline counts.
    Count(Counted),
    /// Print the names of the cells that match the filter, one per line, as the test harness does.
    List(Filter),
    /// Pass these arguments to `paceline gate`.
    Gate(Vec<String>),
    /// Print the figures of the cells that match the filter.
    Figures(Filter),
    /// Call each matching cell once, as a test.
    Smoke(Filter),
    /// Say that there is no such flag.
    Unknown(String),
}

/// Which cells are selected.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    words: Vec<String>,
    skip: Vec<String>,
    exact: bool,
    /// Whether only ignored cells are selected. There are none.
    ignored: bool,
}

impl Filter {
    /// Returns whether the filter selects a cell of this name. A filter without words selects every cell.
    pub(crate) fn takes(&self, name: &str) -> bool {
        let fits = |word: &String| if self.exact { name == word } else { name.contains(word) };
        let named = self.words.is_empty() || self.words.iter().any(fits);
        named && !self.ignored && !self.skip.iter().any(fits)
    }
}

/// Flags of the gate that the test harness does not have. With one of them, all arguments go to `paceline gate`.
const OF_THE_GATE: [&str; 2] = ["--base", "--compare"];
/// Flags of the test harness, nextest and criterion that take a value. `cargo bench` gives its arguments to every bench, so
/// those of the others are not wrong here.
const WITH_VALUE: [&str; 23] = [
    "--format",
    "--color",
    "--test-threads",
    "--logfile",
    "--shuffle-seed",
    "-Z",
    "--save-baseline",
    "-s",
    "--baseline",
    "-b",
    "--baseline-lenient",
    "--load-baseline",
    "--sample-size",
    "--warm-up-time",
    "--measurement-time",
    "--nresamples",
    "--noise-threshold",
    "--confidence-level",
    "--significance-level",
    "--profile-time",
    "--plotting-backend",
    "--output-format",
    "-c",
];
/// Those that take none.
const WITHOUT_VALUE: [&str; 22] = [
    "--bench",
    "--test",
    "--list",
    "--exact",
    "--ignored",
    "--include-ignored",
    "--nocapture",
    "--no-capture",
    "--show-output",
    "--quiet",
    "-q",
    "--report-time",
    "--ensure-time",
    "--shuffle",
    "--exclude-should-panic",
    "--force-run-in-process",
    "--verbose",
    "-v",
    "--quick",
    "--noplot",
    "-n",
    "--discard-baseline",
];

impl Mode {
    /// Reads the arguments, without the program's name.
    pub(crate) fn of(arguments: impl IntoIterator<Item = String>) -> Self {
        let mut words: Vec<String> = arguments.into_iter().collect();
        if words.first().is_some_and(|word| word == HOST) {
            return Mode::Host;
        }
        if words.first().is_some_and(|word| word == COUNT)
            && let Some(counted) = Counted::read(&words[1..])
        {
            return Mode::Count(counted);
        }
        let of_the_gate = |word: &String| {
            OF_THE_GATE.iter().any(|flag| {
                word.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
            })
        };
        // cargo adds `--bench` for `cargo bench`, and nothing for `cargo test`.
        let benched = words.iter().any(|word| word == "--bench");
        if words.iter().any(of_the_gate) {
            words.retain(|word| word != "--bench" && word != "--compare");
            return Mode::Gate(words);
        }
        let has = |flag: &str| words.iter().any(|word| word == flag);
        let mut filter =
            Filter { exact: has("--exact"), ignored: has("--ignored"), ..Filter::default() };
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            if word == "--skip" {
                filter.skip.extend(rest.next().cloned());
            } else if let Some(word) = word.strip_prefix("--skip=") {
                filter.skip.push(word.to_owned());
            } else if WITH_VALUE.contains(&word.as_str()) {
                rest.next();
            } else if !word.starts_with('-') {
                filter.words.push(word.clone());
            } else {
                let name = word.split('=').next().unwrap_or(word);
                if !WITHOUT_VALUE.contains(&name) && !WITH_VALUE.contains(&name) {
                    return Mode::Unknown(name.to_owned());
                }
            }
        }
        match () {
            () if has("--list") => Mode::List(filter),
            () if benched && !has("--test") => Mode::Figures(filter),
            () => Mode::Smoke(filter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::Variant;

    fn mode(words: &str) -> Mode {
        Mode::of(words.split_whitespace().map(str::to_owned))
    }

    fn filter(words: &[&str], exact: bool) -> Filter {
        let words = words.iter().map(ToString::to_string).collect();
        Filter { words, exact, ..Filter::default() }
    }

    #[test]
    fn cargo_test_calls_each_cell_once_and_cargo_bench_prints_figures() {
        assert_eq!(mode(""), Mode::Smoke(Filter::default()));
        assert_eq!(mode("--bench"), Mode::Figures(Filter::default()));
        assert_eq!(mode("parse --bench"), Mode::Figures(filter(&["parse"], false)));
        assert_eq!(mode("--bench --test"), Mode::Smoke(Filter::default()));
        assert_eq!(mode("--test-threads 3 parse"), Mode::Smoke(filter(&["parse"], false)));
    }

    /// A misspelled `--base` would otherwise measure nothing, and end as if nothing had regressed.
    #[test]
    fn an_unknown_flag_is_wrong_and_one_of_another_bench_is_not() {
        for words in ["--bsae main --bench", "--bench --budgte=3s", "-x"] {
            assert!(matches!(mode(words), Mode::Unknown(_)), "{words}");
        }
        assert_eq!(mode("--bench --bsae=main"), Mode::Unknown("--bsae".into()));
        for words in ["--bench --save-baseline main --sample-size=20 -v", "--baseline main --bench"]
        {
            assert_eq!(mode(words), Mode::Figures(Filter::default()), "{words}");
        }
    }

    #[test]
    fn nextest_gets_its_list_and_its_single_cell() {
        assert_eq!(mode("--list --format terse"), Mode::List(Filter::default()));
        let Mode::List(ignored) = mode("--list --format terse --ignored") else { panic!("list") };
        assert!(!ignored.takes("parse"));
        let one = mode("parse/small --exact --nocapture");
        assert_eq!(one, Mode::Smoke(filter(&["parse/small"], true)));
        assert!(
            filter(&["parse"], true).takes("parse")
                && !filter(&["parse"], true).takes("parse/small")
        );
    }

    #[test]
    fn a_cell_that_is_to_be_skipped_is_neither_listed_nor_called() {
        for words in ["--skip slow parse", "parse --skip=slow --list", "--bench --skip slow parse"]
        {
            let (Mode::Smoke(filter) | Mode::List(filter) | Mode::Figures(filter)) = mode(words)
            else {
                panic!("{words}")
            };
            let taken = ["parse/small", "parse/slow", "other"].map(|name| filter.takes(name));
            assert_eq!(taken, [true, false, false], "{words}");
        }
    }

    #[test]
    fn a_base_and_a_comparison_are_for_the_gate() {
        let Mode::Gate(words) = mode("--base main --budget 20s --bench") else { panic!("gate") };
        assert_eq!(words, ["--base", "main", "--budget", "20s"]);
        assert_eq!(mode("--base=main --bench"), Mode::Gate(vec!["--base=main".into()]));
        assert_eq!(mode("--compare --strict"), Mode::Gate(vec!["--strict".into()]));
        assert_eq!(mode("--baseline main"), Mode::Smoke(Filter::default()));
        assert_eq!(mode("__host"), Mode::Host);
        let counted = Counted { name: "parse".into(), variant: Variant::Head, calls: 10 };
        assert_eq!(mode("__count parse head 000010"), Mode::Count(counted));
    }
}
