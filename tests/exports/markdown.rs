//! What people read of a gate on a terminal, and of runs and gates in a pull request.

use paceline::{
    record::State,
    report::{Export, gate_table},
};

use crate::{GATES, RUNS, every, sample_gate, sample_run};

/// Asserts that all of `parts` are in `text`, in this order.
fn in_order(text: &str, parts: &[&str]) {
    let place = |of: &&str| text.find(*of).unwrap_or_else(|| panic!("{of}: {text}"));
    let places: Vec<usize> = parts.iter().map(place).collect();
    assert!(places.is_sorted(), "{places:?}\n{text}");
}

#[test]
fn the_table_begins_with_the_verdict_and_folds_what_is_not_regressed() {
    let short = gate_table(&GATES[0], false);
    assert!(short.starts_with("regressed: 2 of 8 cells take more than their margin allows\n"));
    in_order(
        &short,
        &[
            "\nimproved\n",
            "\ninconclusive\n",
            "\nnew: not gated\n",
            "\nremoved: not gated\n",
            "\nwithout a verdict\n",
            "\nnot regressed: 3",
            "\nnull arm",
            "\ntrials dropped: 13 of 533",
        ],
    );
    assert!(!short.contains("cpu/rayon/2") && short.contains("160"), "{short}");
    assert!(short.contains("+5.2 %") && short.contains("+4.2 % to +7.2 %"), "{short}");
    assert!(short.contains("failed: the head ended in mid-trial"), "{short}");
    let note = short.lines().find(|line| line.starts_with("note: the head has other margins"));
    assert!(note.unwrap().ends_with("90 %"), "{short}");
    let all = gate_table(&GATES[0], true);
    assert!(all.contains("cpu/rayon/2") && !all.contains("not regressed: 3"), "{all}");
    for line in all.lines() {
        assert!(line.chars().count() < 250, "{line}");
    }
    for text in [true, false].map(|all| gate_table(&GATES[1], all)) {
        let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(bad, None, "{text}");
    }
    assert!(gate_table(&GATES[3], false).starts_with("nothing compared: "));
}

#[test]
fn a_null_arm_that_fired_is_named() {
    let text = gate_table(&GATES[1], false);
    assert!(text.starts_with("environment invalid: the base differs"), "{text}");
    let line = text.lines().find(|line| line.starts_with("null arm")).unwrap();
    assert!(line.contains("a change in 1 of 9") && line.contains("echo/tokio/10"), "{line}");
    assert!(line.contains("+4.4 %") && line.contains("void and without a verdict"), "{line}");
    let again = text.lines().find(|line| line.starts_with("measured again")).unwrap();
    assert!(again.ends_with(": echo/tokio/10"), "{again}");
}

#[test]
fn a_head_that_is_far_slower_in_some_of_its_processes_is_named() {
    let mut gate = GATES[0].clone();
    assert!(!gate_table(&gate, false).contains("far slower"));
    gate.cells[1].log_ratios = [vec![0.0; 36], vec![0.7; 4]].concat();
    gate.cells[1].trials = 40;
    let (name, text) = (&gate.cells[1].cell, gate_table(&gate, false));
    let line = text.lines().find(|line| line.starts_with("the head is far slower")).unwrap();
    assert!(line.contains(name.as_str()) && line.ends_with(", in 4 of 40 trials"), "{line}");
}

#[test]
fn the_verdict_is_first_then_regressions_then_what_is_inconclusive_then_the_rest_folded() {
    let text = Export::Markdown.render(&GATES[0]);
    assert!(text.starts_with("### paceline gate: regressed\n"), "{text}");
    in_order(
        &text,
        &[
            "\nNote: the head has other margins, which do not count&#58; ",
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
        ],
    );
    assert!(text.contains("| +2.1 % |") && text.contains("| 160 |"), "{text}");
}

#[test]
fn a_bench_is_headed_by_its_command_and_an_unusual_number_of_trials_is_beside_its_figure() {
    let mut record = RUNS[0].clone();
    record.run.instrument = "criterion".into();
    let usual = record.cells.iter().find(|cell| cell.state == State::Ok).unwrap().trials();
    let note = format!("Trials of a figure&#58; {usual}, or as in brackets");
    let text = Export::Markdown.render(&record);
    assert!(text.starts_with("### cargo bench: 119 cells: ") && text.contains(&note), "{text}");
    assert!(!text.contains("% ("), "{text}");
    let few = record.cells.iter_mut().find(|cell| cell.state == State::Ok).unwrap();
    few.trials_ns.resize(usual + 1, 1);
    let text = Export::Markdown.render(&record);
    assert!(text.contains(&format!("% ({})", usual + 1)), "{text}");
}

#[test]
fn the_summary_is_first_and_each_workload_is_folded_with_its_reasons() {
    let text = Export::Markdown.render(&RUNS[0]);
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("### paceline run: 119 cells: 10"), "{first}");
    assert!(first.contains(" refused, ") && first.contains("1 failed"), "{first}");
    in_order(
        &text,
        &[
            "<details><summary>sleep: 42 cells: ",
            "| jobs per second at | sequential | threads | pool | rayon | tokio | smol |",
            "| 1 000 000 | skipped | refused | skipped | skipped | 2.0",
            "Bimodal, so no single figure represents it",
            "Without a figure:",
            "* refused threads at 100 000, 1 000 000: needs 100256 threads",
            "* invalid rayon at 10 000: job 17 returned",
            "* failed smol at 1 000 000: the host ended by signal 9",
            "</details>",
            "<details><summary>cpu: 64 cells: 64 ok</summary>",
            "| jobs per second at | pool&#64;1 | pool&#64;2 |",
            "<details><summary>serve-service: 13 cells: ",
            "| model | load | conns | req/s | of bound | errors |",
            "| tokio | up to its knee | 256 | 11.0k | 100 % | 0 % |",
            "generator saturated",
        ],
    );
}

#[test]
fn a_hostile_name_is_nothing_but_text_and_tables_stay_tables() {
    for (_, text) in every(Export::Markdown) {
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
    assert!(Export::Markdown.render(&RUNS[1]).contains("script"));
}

#[test]
fn a_gate_fits_into_a_comment_and_counts_what_was_left_out() {
    for count in [40, 400, 4000] {
        let text = Export::Markdown.render(&sample_gate::large(count));
        assert!(text.len() <= 65_536, "{}", text.len());
        assert!(text.ends_with("</details>\n"), "it is whole");
        let shown = text.lines().filter(|line| line.starts_with("| <code>")).count();
        let left = text.lines().find_map(|line| {
            line.strip_suffix(" of them left out for lack of room: the record has all.")
        });
        let left: usize = left.map_or(0, |left| left.replace(' ', "").parse().unwrap());
        assert_eq!(shown + left, count);
        assert!(shown > 20, "{shown}");
    }
}

#[test]
fn a_run_fits_into_a_comment_and_counts_what_was_left_out() {
    for count in [40, 1_000, 4_000] {
        let text = Export::Markdown.render(&sample_run::large(count));
        assert!(text.len() <= 65_536, "{}", text.len());
        assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
        let rows = text.lines().filter(|line| line.starts_with("| 1") && line.contains(" | "));
        let fields = rows.flat_map(|row| row.trim_matches('|').split(" | ").skip(1));
        let shown = fields.filter(|field| !field.trim().is_empty()).count();
        let left =
            text.lines().find_map(|line| line.split_once(" cells left out for lack of room"));
        let left = left.map_or("0", |(counts, _)| counts.split(" of ").next().unwrap());
        let left: usize = left.replace(' ', "").parse().unwrap();
        assert_eq!(shown + left, count);
        assert!(shown >= 40, "{shown}");
    }
    // Tables that have no room for all of their rows.
    for loads in [false, true] {
        let mut record = sample_run::large(3_000);
        let load = RUNS[0].cells.iter().find_map(|cell| cell.load.clone());
        for (index, cell) in record.cells.iter_mut().enumerate() {
            (cell.workload, cell.scale) = ("one".into(), index + 1);
            cell.model = "tokio".into();
            cell.load = load.clone().filter(|_| loads);
        }
        let text = Export::Markdown.render(&record);
        assert!(text.len() <= 65_536, "{}", text.len());
        let shown = text.lines().filter(|line| line.starts_with("| ")).count() - 1;
        let left = format!("\n{} of 3 000 cells left out", paceline::output::count(3_000 - shown));
        assert!(shown > 500 && text.contains(&left), "{shown}");
    }
}

#[test]
fn a_figure_without_an_interval_is_not_ranked_and_only_refusals_are_a_page() {
    let text = Export::Markdown.render(&RUNS[4]);
    assert!(text.contains(" n&#61;1 |"), "{text}");
    assert!(!text.contains("| &#42;"), "{text}");
    let text = Export::Markdown.render(&RUNS[3]);
    assert!(text.starts_with("### paceline run: 119 cells: 119 refused\n"), "{text}");
    assert!(text.contains("needs 40000 open files, has 1024"), "{text}");
}
