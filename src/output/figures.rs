//! Formats numbers for people, and makes text from records, such as names, safe to show.

use std::time::Duration;

use paceline_core::quantity::counted;
use sha2::{Digest, Sha256};

/// Formats a rate with three digits and a prefix: `1.23k`, `912`, `4.50M`.
pub fn rate(value: f64) -> String {
    const PREFIXES: [&str; 5] = ["", "k", "M", "G", "T"];
    let mut value = value;
    let mut prefix = 0;
    while value >= 999.5 && prefix + 1 < PREFIXES.len() {
        value /= 1000.0;
        prefix += 1;
    }
    let digits = match value {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$}{}", PREFIXES[prefix])
}

/// Formats a duration with three digits: `1.20 s`, `350 ms`, `12.0 µs`.
pub fn long(duration: Duration) -> String {
    seconds(duration.as_secs_f64())
}

/// Formats nanoseconds as [`long`] does.
pub(crate) fn long_ns(ns: u64) -> String {
    long(Duration::from_nanos(ns))
}

/// Formats a figure in nanoseconds as [`long`] does, with its fraction: of a few nanoseconds it is a large part.
pub(crate) fn long_ns_f64(ns: f64) -> String {
    if ns.is_finite() { seconds(ns / 1e9) } else { "-".into() }
}

fn seconds(seconds: f64) -> String {
    // What rounds to 1000 of a unit is 1 of the next.
    let (value, unit) = match seconds {
        0.0 => return "0 s".into(),
        s if s >= 7200.0 => (s / 3600.0, "h"),
        s if s >= 120.0 => (s / 60.0, "min"),
        s if s >= 0.9995 => (s, "s"),
        s if s >= 0.9995e-3 => (s * 1e3, "ms"),
        s if s >= 0.9995e-6 => (s * 1e6, "µs"),
        s => (s * 1e9, "ns"),
    };
    format!("{} {unit}", rate(value))
}

/// Formats a duration as one word that an option takes, in whole seconds rounded up: `4m9s`.
pub fn for_option(duration: Duration) -> String {
    let whole = Duration::from_secs(duration.as_secs() + 1);
    humantime::format_duration(whole).to_string().replace(' ', "")
}

/// The units of times in nanoseconds, the least first.
pub(crate) const TIMES: &[(f64, &str)] = &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")];
/// The units of sizes in bytes, the least first.
pub(crate) const SIZES: &[(f64, &str)] =
    &[(1.0, "B"), (1024.0, "KiB"), (1_048_576.0, "MiB"), (1_073_741_824.0, "GiB")];

/// Returns the unit in which `value` has at most three digits before its point, and the value in it.
pub(crate) fn in_unit<'u>(value: f64, units: &[(f64, &'u str)]) -> (f64, &'u str) {
    let fits = |(size, _): &&(f64, &str)| value.abs() < size * 999.5;
    let (size, name) = *units.iter().find(fits).unwrap_or(&units[units.len() - 1]);
    (value / size, name)
}

/// Formats a share as a percentage: `9.4 %`, `35 %`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    format!("{percent:.*} %", usize::from(percent.abs() < 9.95))
}

/// Formats a small share with two digits: `0.12 %`. A share that is not 0 is never shown as 0.
pub(crate) fn fine_percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".into(),
        small if small < 0.01 => "<0.01 %".into(),
        percent if percent < 9.95 => format!("{percent:.2} %"),
        percent => format!("{percent:.0} %"),
    }
}

/// Formats a share with its sign: `+3.2 %`. One that is not 0 is not shown as 0, down to 0.001 %: an interval that ends
/// there does not contain 0.
pub fn signed(share: f64) -> String {
    let percent = share * 100.0;
    let digits = match percent.abs() {
        small if (0.0005..0.005).contains(&small) => 3,
        small if (0.005..0.05).contains(&small) => 2,
        _ => 1,
    };
    // Without a sign of its own: -0.0 is 0.
    format!("{:+.digits$} %", if percent.abs() < 0.0005 { 0.0 } else { percent })
}

/// Formats a prediction: "11 batches of 1.20 s".
pub(crate) fn batches_of(batches: u32, batch: Duration) -> String {
    format!("{} of {}", counted(batches as usize, "batch"), long(batch))
}

/// Joins the first `most` of `all`, and adds the number of the others: `a, b and 3 more`.
pub(crate) fn listed(all: &[String], most: usize) -> String {
    let (shown, others) = all.split_at(most.min(all.len()));
    match others.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Returns the text with a capital first letter.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Returns the text with a lowercase first letter.
pub(crate) fn uncapital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// Returns the word as a shell takes it, quoted if it has other characters than plain ones.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+@,:".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Returns the text in one line. Characters that move the cursor, change direction or are invalid in XML are escaped.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => shown.push(' '),
            c if moves(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// Returns whether the character moves the cursor, changes direction or is invalid in XML.
fn moves(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Returns the text with the same characters escaped, line ends too: `\n` and `\r` say what was typed.
pub(crate) fn escaped(text: &str) -> String {
    let one = |c: char| if moves(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(one).collect()
}

/// Returns the same line by line: line ends stay.
pub(crate) fn escaped_lines(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

/// Returns the same in at most `most` characters. The cut part is hashed, so that different names stay different.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let shown = plain(text);
    if shown.is_empty() {
        return "(no name)".into();
    }
    if shown.chars().count() <= most {
        return shown;
    }
    let hash = Sha256::digest(text.as_bytes());
    let kept: String = shown.chars().take(most.saturating_sub(9)).collect();
    format!("{kept}…{:02x}{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2], hash[3])
}

/// Returns a sentence in one line and in at most `most` characters; a sentence that is longer ends with `…`.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    let shown = plain(text);
    if shown.chars().count() <= most {
        return shown;
    }
    let kept: String = shown.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Returns the same line by line, for tables with names from records.
pub(crate) fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_round_into_the_next_prefix() {
        let rates = [0.5, 9.994, 12.34, 999.4, 999.6, 12_345.0, 1e7].map(rate);
        assert_eq!(rates, ["0.50", "9.99", "12.3", "999", "1.00k", "12.3k", "10.0M"]);
        assert_eq!([1_500, 0].map(|us| long(Duration::from_micros(us))), ["1.50 ms", "0 s"]);
        let close = [999_400, 999_600, 999_999_999].map(|ns| long(Duration::from_nanos(ns)));
        assert_eq!(close, ["999 µs", "1.00 ms", "1.00 s"]);
        let times = [0.0, 0.42, 11.96, 1_500.0, f64::NAN].map(long_ns_f64);
        assert_eq!(times, ["0 s", "0.42 ns", "12.0 ns", "1.50 µs", "-"]);
        // 1010 KiB have four digits, and are less than a MiB.
        let sizes = [1010.0, 1010.0 * 1024.0, 2e12].map(|bytes| in_unit(bytes, SIZES).1);
        assert_eq!(sizes, ["KiB", "MiB", "GiB"]);
        assert_eq!(for_option(Duration::from_millis(248_500)), "4m9s");
        assert_eq!([0.0944, 0.348, 1.0].map(percent), ["9.4 %", "35 %", "100 %"]);
        assert_eq!([0.032, -0.2].map(signed), ["+3.2 %", "-20.0 %"]);
        let ends = [-0.000_1, 0.000_04, -0.000_001, 0.0, -0.0].map(signed);
        assert_eq!(ends, ["-0.01 %", "+0.004 %", "+0.0 %", "+0.0 %", "+0.0 %"]);
    }

    #[test]
    fn a_long_name_keeps_what_tells_it_apart_and_a_long_sentence_only_ends() {
        assert_eq!([shorten("a b\nc", 5), shorten("", 5)], ["a b c", ""]);
        assert_eq!([shorten("abc defg", 6), shorten("abc defg", 5)], ["abc d…", "abc…"]);
        assert!(cut("abcdefghijklm", 12).starts_with("abc…"), "{}", cut("abcdefghijklm", 12));
        assert_ne!(cut("abcdefghijklm", 12), cut("abcdefghijkln", 12));
    }

    #[test]
    fn what_moves_the_cursor_is_escaped_so_that_it_can_be_read() {
        let typed = "a\r\nb\0\t\u{1b}[2K\u{202e}é'\"\\";
        let shown = r#"a\r\nb\u{0}\t\u{1b}[2K\u{202e}é'"\"#;
        assert_eq!(escaped(typed), shown);
        assert_eq!(escaped_lines(typed), shown.replace(r"\n", "\n"));
    }
}
