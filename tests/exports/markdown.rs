//! The Markdown that people read in a pull request.

use paceline::report::Export;

use crate::sample_gate::{large, sample, unfit};

/// The cells of a row of a table: what stands between bars that no backslash precedes.
fn columns(line: &str) -> usize {
    line.trim_start_matches('|').trim_end_matches('|').split('|').count()
}

#[test]
fn the_verdict_is_first_then_regressions_then_what_is_inconclusive_then_the_rest_folded() {
    let text = Export::Markdown.render(&sample());
    assert!(text.starts_with("### paceline gate: regressed\n"), "{text}");
    let place = |of: &str| text.find(of).unwrap_or_else(|| panic!("{of}: {text}"));
    assert!(
        text.contains("\nNote: the head has other margins, which do not count&#58; "),
        "{text}"
    );
    let order = [
        "**Regressed: 2**",
        "**Inconclusive: 3**",
        "<details>",
        "**Without a verdict: 3**",
        "**Improved: 1**",
        "**New: not gated: 1**",
        "**Removed: not gated: 1**",
        "**Not regressed: 3**",
        "null arm",
        "</details>",
    ];
    let places: Vec<usize> = order.iter().map(|of| place(of)).collect();
    assert!(places.is_sorted(), "{places:?}\n{text}");
    assert!(text.contains("| +2.1 % |") && text.contains("| 160 |"), "{text}");
}

#[test]
fn a_hostile_name_is_nothing_but_text() {
    for gate in [sample(), unfit()] {
        let text = Export::Markdown.render(&gate);
        let mut tags = text.split('<').skip(1).map(|rest| rest.split('>').next().unwrap());
        let own = ["details", "/details", "summary", "/summary", "code", "/code"];
        assert!(tags.all(|tag| own.contains(&tag)), "{text}");
        for bad in ["@user", "`", "http:", "www.", "\\"] {
            assert!(!text.contains(bad), "{bad}: {text}");
        }
        let mut wide = None;
        for line in text.lines() {
            if line.starts_with('|') {
                assert_eq!(columns(line), *wide.get_or_insert(columns(line)), "{line}");
            } else {
                wide = None;
            }
        }
    }
}

#[test]
fn it_fits_into_a_comment_and_counts_what_was_left_out() {
    for count in [40, 400, 4000] {
        let text = Export::Markdown.render(&large(count));
        assert!(text.len() <= 65_536, "{}", text.len());
        assert!(text.ends_with("</details>\n"), "it is whole");
        let shown = text.lines().filter(|line| line.starts_with("| <code>")).count();
        let left = text.lines().find_map(|line| {
            line.strip_suffix(" of them left out for lack of room: the record has all.")
        });
        let left: usize = left.map_or(0, |left| left.parse().unwrap());
        assert_eq!(shown + left, count);
        assert!(shown > 20, "{shown}");
    }
}
