//! Whole numbers in sentences for people: grouped thousands, and nouns in the singular or plural.

/// Formats a whole number with grouped thousands: `1 000 000`.
pub fn count(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    groups.map(|group| String::from_utf8_lossy(group)).collect::<Vec<_>>().join(" ")
}

/// Formats a number with what it counts: "1 cell", "1 000 batches". Of several words, the first one is counted: "2 jobs
/// at once".
pub fn counted(number: usize, what: &str) -> String {
    format!("{} {}", count(number), noun(number, what))
}

/// Returns the noun alone, in the plural unless `number` is 1.
pub fn noun(number: usize, what: &str) -> String {
    if number == 1 {
        return what.to_owned();
    }
    let (first, rest) = what.split_at(what.find(' ').unwrap_or(what.len()));
    let ending = if first.ends_with(['s', 'x']) || first.ends_with("ch") { "es" } else { "s" };
    format!("{first}{ending}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_in_the_singular_and_thousands_are_grouped() {
        assert_eq!([7, 1000, 1_000_000].map(count), ["7", "1 000", "1 000 000"]);
        let cells = [0, 1, 2, 12_345].map(|number| counted(number, "cell"));
        assert_eq!(cells, ["0 cells", "1 cell", "2 cells", "12 345 cells"]);
        assert_eq!(counted(2, "job at once"), "2 jobs at once");
        assert_eq!(counted(2, "batch") + &counted(2, "process"), "2 batches2 processes");
    }
}
