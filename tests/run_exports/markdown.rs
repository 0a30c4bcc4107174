//! The Markdown that people read in a pull request.

use paceline::report::RunExport;

use crate::{all_kinds, hostile, large, only_refused, record, without_intervals};

#[test]
fn the_summary_is_first_and_each_workload_is_folded_with_its_reasons() {
    let text = RunExport::Markdown.render(&record());
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("### paceline run: 119 cells: 10"), "{first}");
    assert!(first.contains(" refused, ") && first.contains("1 failed"), "{first}");
    let place = |of: &str| text.find(of).unwrap_or_else(|| panic!("{of}: {text}"));
    let order = [
        "<details><summary>sleep: 42 cells: ",
        "| jobs per second at | sequential | threads | pool | rayon | tokio | smol |",
        "| 1 000 000 | skipped | refused | skipped | skipped | 2.0",
        "Without a figure:",
        "* refused threads at 100 000, 1 000 000: needs 100256 threads",
        "* invalid rayon at 10 000: job 17 returned",
        "* failed smol at 1 000 000: the host ended by signal 9",
        "</details>",
        "<details><summary>cpu: 64 cells: 64 ok</summary>",
        "| jobs per second at | pool&#64;1 | pool&#64;2 |",
        "<details><summary>serve-service: 13 cells: ",
        "| model | connections | load |",
        "| tokio | 256 | up to its knee | 11.0k |",
        "generator saturated",
    ];
    let places: Vec<usize> = order.iter().map(|of| place(of)).collect();
    assert!(places.is_sorted(), "{places:?}\n{text}");
}

#[test]
fn a_hostile_name_is_nothing_but_text_and_tables_stay_tables() {
    for record in all_kinds() {
        let text = RunExport::Markdown.render(&record);
        assert!(text.len() <= 65_536, "{}", text.len());
        let mut tags = text.split('<').skip(1).map(|rest| rest.split('>').next().unwrap());
        let own = ["details", "/details", "summary", "/summary", "code", "/code", "sub", "/sub"];
        assert!(tags.all(|tag| own.contains(&tag)), "{text}");
        for bad in ["@user", "`", "http:", "www.", "\\"] {
            assert!(!text.contains(bad), "{bad}: {text}");
        }
        let mut wide = None;
        for line in text.lines() {
            if line.starts_with('|') {
                let columns = line.trim_matches('|').split('|').count();
                assert_eq!(columns, *wide.get_or_insert(columns), "{line}");
            } else {
                wide = None;
            }
        }
        assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
    }
}

#[test]
fn it_fits_into_a_comment_and_counts_what_was_left_out() {
    for count in [40, 1_000, 4_000] {
        let text = RunExport::Markdown.render(&large(count));
        assert!(text.len() <= 65_536, "{}", text.len());
        assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
        let rows = text.lines().filter(|line| line.starts_with("| 1") && line.contains(" | "));
        let fields = rows.flat_map(|row| row.trim_matches('|').split(" | ").skip(1));
        let shown = fields.filter(|field| !field.trim().is_empty()).count();
        let left =
            text.lines().find_map(|line| line.split_once(" cells left out for lack of room"));
        let left = left.map_or(0, |(left, _)| left.split(' ').next().unwrap().parse().unwrap());
        assert_eq!(shown + left, count);
        assert!(shown >= 40, "{shown}");
    }
}

#[test]
fn a_figure_without_an_interval_is_not_ranked_and_only_refusals_are_a_page() {
    let text = RunExport::Markdown.render(&without_intervals());
    assert!(text.contains(" n&#61;1 |"), "{text}");
    assert!(!text.contains("| &#42;"), "{text}");
    let text = RunExport::Markdown.render(&only_refused());
    assert!(text.starts_with("### paceline run: 119 cells: 119 refused\n"), "{text}");
    assert!(text.contains("needs 40000 open files, has 1024"), "{text}");
    assert!(RunExport::Markdown.render(&hostile()).contains("script"));
}

#[test]
fn rows_of_a_table_that_has_no_room_are_left_out_and_counted() {
    for loads in [false, true] {
        let mut record = large(3_000);
        let load = self::record().cells.iter().find_map(|cell| cell.load.clone());
        for (index, cell) in record.cells.iter_mut().enumerate() {
            (cell.workload, cell.scale) = ("one".into(), index + 1);
            cell.model = "tokio".into();
            cell.load = load.clone().filter(|_| loads);
        }
        let text = RunExport::Markdown.render(&record);
        assert!(text.len() <= 65_536, "{}", text.len());
        let shown = text.lines().filter(|line| line.starts_with("| ")).count() - 1;
        let left = format!("\n{} of 3000 cells left out", 3_000 - shown);
        assert!(shown > 500 && text.contains(&left), "{shown}");
    }
}
