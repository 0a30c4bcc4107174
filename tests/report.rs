//! The report as its readers get it: one file that needs nothing else, whatever is in the record.

#[path = "report/command.rs"]
mod command;
mod program;
mod sample_claims;
mod sample_gate;
mod sample_run;
#[path = "report/sentences.rs"]
mod sentences;

use std::{collections::HashSet, slice};

use paceline::{
    compare::compare_records,
    history::series,
    record::{Gate, Loop, Record, State},
    report::{
        Charts, Export, Extent, Sources, cells_table, claims_table, comparison_table, gate_table,
        history_csv, history_table, limits_table, load_table, page,
    },
};
use regex::Regex;

/// What `cargo bench` left on a machine without much time.
const BENCH: &str = "results/2026-11-29T15-26-27Z-criterion-29358";

fn page_of(record: &Record) -> String {
    page(&Sources { records: slice::from_ref(record), ..Sources::default() })
}

/// The sample's loads over time, at shares of the knee, and of servers that took turns.
fn told() -> Record {
    let mut record = sample_run::record();
    sample_run::courses::told(&mut record);
    record
}

/// Every page that is looked at, with what it is of.
fn pages() -> Vec<(&'static str, String)> {
    let record = sample_run::record();
    let mut one_scale = record.clone();
    one_scale.cells.retain(|cell| cell.scale == 10);
    let mut one_model = record.clone();
    one_model.cells.retain(|cell| cell.model == "tokio");
    let mut empty = record.clone();
    empty.cells.clear();
    let gate: Gate = sample_gate::sample();
    let claims = sample_claims::sample();
    let two = [record.clone(), elsewhere()];
    let mut again = record.clone();
    again.run.started = again.run.started.replace("11-25", "11-27");
    let past = series(&[record.clone(), again], slice::from_ref(&gate));
    let several = Sources {
        records: &two,
        gates: slice::from_ref(&gate),
        claims: slice::from_ref(&claims),
        history: &past,
        left_out: &["results/<b>old</b> has schema 9".to_owned()],
    };
    vec![
        ("a run", page_of(&record)),
        ("hostile texts", page_of(&sample_run::hostile())),
        ("refusals only", page_of(&sample_run::only_refused())),
        ("no intervals", page_of(&sample_run::without_intervals())),
        ("no numbers", page_of(&sample_run::not_finite())),
        ("loads over time", page_of(&told())),
        ("one scale", page_of(&one_scale)),
        ("one model", page_of(&one_model)),
        ("no cell", page_of(&empty)),
        ("everything", page(&several)),
    ]
}

/// The sample, as if another machine had run it a day later, and slower.
fn elsewhere() -> Record {
    let mut other = sample_run::record();
    other.run.id.push_str("-elsewhere");
    other.run.started = other.run.started.replace("11-25", "11-26");
    other.run.fingerprint.hash = "0123456789abcdef".into();
    other.run.fingerprint.kernel = "Linux 7.0".into();
    for cell in &mut other.cells {
        for ns in &mut cell.trials_ns {
            *ns += *ns / 10;
        }
    }
    other
}

fn found<'t>(pattern: &str, text: &'t str) -> Vec<&'t str> {
    let pattern = Regex::new(pattern).expect("it is one");
    pattern.captures_iter(text).map(|found| found.get(1).expect("it is found").as_str()).collect()
}

#[test]
fn a_page_refers_to_nothing_but_itself() {
    for (what, page) in pages() {
        let ids = found(r#" id="([^"]*)""#, &page);
        let unique: HashSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), unique.len(), "{what}: ids are unique");
        for target in found(r##"href="#([^"]*)""##, &page) {
            assert!(unique.contains(target), "{what}: #{target} is there");
        }
        let others = found(r#"(?:src|href|action)\s*=\s*"([^#"][^"]*)""#, &page);
        assert_eq!(others, ["data:,"], "{what}: nothing is loaded");
        assert!(!page.contains("url("), "{what}");
        assert!(!page.contains("@import"), "{what}");
    }
}

#[test]
fn no_word_of_a_record_becomes_a_tag_or_turns_the_text() {
    for (what, page) in pages() {
        assert_eq!(page.matches("<script").count(), 1, "{what}: the page's own script");
        assert!(!page.contains("<b>"), "{what}");
        let turns = |c: &char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{7}' | '\u{1b}');
        assert_eq!(page.chars().find(turns), None, "{what}");
        let longest = page.split(['<', '>', ' ', '\n', '"']).map(str::len).max();
        assert!(longest < Some(2_000), "{what}: a word of {longest:?} bytes");
    }
}

#[test]
fn no_word_of_a_record_moves_a_cursor_or_turns_the_text_of_a_terminal() {
    let record = sample_run::hostile();
    let mut claims = sample_claims::sample();
    claims.claims[0].name = sample_run::HOSTILE.into();
    let both = [record.clone(), record.clone()];
    for text in [
        cells_table(&record.cells, Extent::Short),
        cells_table(&record.cells, Extent::All),
        limits_table(&record.cells),
        load_table(&record.cells, Extent::All),
        claims_table(&claims, Extent::Short),
        comparison_table(&compare_records(&both[0], &both[1], true).unwrap(), Extent::Short),
        history_table(&series(&both, &[])),
        history_csv(&series(&both, &[])),
    ] {
        let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(bad, None, "{text}");
    }
}

#[test]
fn pictures_are_well_formed_and_named() {
    for (what, page) in pages() {
        let pictures = found(r"(?s)(<svg .*?</svg>)", &page);
        assert!(!pictures.is_empty() || what == "no cell" || what == "refusals only", "{what}");
        for svg in pictures {
            assert!(!svg.contains("NaN") && !svg.contains("inf,"), "{what}: {svg}");
            let parsed = roxmltree::Document::parse(svg);
            let parsed = parsed.unwrap_or_else(|error| panic!("{what}: {error} in {svg}"));
            let root = parsed.root_element();
            let has = |name: &str| root.children().any(|child| child.tag_name().name() == name);
            let decorative = root.attribute("aria-hidden") == Some("true");
            assert!(decorative || (has("title") && has("desc")), "{what}: {svg}");
        }
    }
}

#[test]
fn the_page_has_cells_in_the_order_of_the_plan_however_the_trials_were_shuffled() {
    let planned = sample_run::record();
    let mut shuffled = planned.clone();
    shuffled.cells.reverse();
    let rows = |record: &Record| {
        let page = page_of(record);
        let (_, all) = page.split_once("Every cell, and the command").expect("the table is there");
        all.split_once("</table>").expect("it ends").0.to_owned()
    };
    assert!(rows(&shuffled) == rows(&planned));
}

#[test]
fn the_size_of_futures_has_a_column_only_where_it_was_measured() {
    const SIZE: &str = "bytes of an async job";
    let mut record = sample_run::record();
    for (size, shown) in [(None, false), (Some(1_234), true)] {
        for cell in &mut record.cells {
            cell.attest.iter_mut().for_each(|seen| seen.future_bytes = size);
        }
        let page = page_of(&record);
        assert_eq!(page.contains(SIZE), shown);
        assert_eq!(page.contains("1 234</td>"), shown, "the sample attests what ran");
    }
}

#[test]
fn every_cell_without_a_figure_is_there_with_its_reason() {
    let record = sample_run::record();
    let page = page_of(&record);
    let escape =
        |text: &str| text.replace('&', "&#38;").replace('<', "&#60;").replace('\'', "&#39;");
    let without: Vec<_> = record.cells.iter().filter(|cell| cell.state != State::Ok).collect();
    assert!(without.len() > 8);
    for cell in &without {
        let reason = escape(cell.reason.as_deref().unwrap());
        assert!(page.contains(&reason), "{reason}");
    }
    let table = page.split("Every cell without a figure, and why").nth(2).unwrap();
    let rows = table.split("</table>").next().unwrap().matches("<tr>").count();
    assert_eq!(rows, without.len() + 1);
    assert!(page_of(&sample_run::only_refused()).contains("No cell has a figure"));
}

#[test]
fn runs_of_two_machines_are_compared_under_a_warning() {
    let two = [sample_run::record(), elsewhere()];
    let page = page(&Sources { records: &two, ..Sources::default() });
    assert!(page.contains("These runs are of different machines or builds"));
    assert!(page.contains("The machines differ in kernel (Linux 6.12, Linux 7.0)"));
    assert!(page.contains("What changed"));
}

#[test]
fn an_unreliable_model_is_called_so_beside_its_figures() {
    let remark = "may is unreliable: in optimised builds its connections fail";
    let mut record = sample_run::record();
    for text in [page_of(&record), cells_table(&record.cells, Extent::Short)] {
        assert!(!text.contains(remark));
    }
    for cell in record.cells.iter_mut().filter(|cell| cell.model == "smol") {
        cell.model = "may".into();
    }
    let (gate, claims) = (sample_gate::sample(), sample_claims::sample());
    let both = [record.clone(), record.clone()];
    let history = history_table(&series(slice::from_ref(&record), &[]));
    for (what, text) in [
        ("a page", page_of(&record)),
        ("a comparison", page(&Sources { records: &both, ..Sources::default() })),
        ("a gate", gate_table(&gate, false)),
        ("claims", claims_table(&claims, Extent::Short)),
        ("the page of claims", page(&Sources { claims: &[claims], ..Sources::default() })),
        ("cells", cells_table(&record.cells, Extent::Short)),
        ("every cell", cells_table(&record.cells, Extent::All)),
        ("limits", limits_table(&record.cells)),
        ("a load", load_table(&record.cells, Extent::All)),
        ("a history", history),
        (
            "a comparison's table",
            comparison_table(&compare_records(&both[0], &both[1], true).unwrap(), Extent::Short),
        ),
        ("Markdown", Export::Markdown.render(&record)),
    ] {
        let text = text.replace("&#58;", ":");
        assert!(text.contains(remark), "{what} says nothing of it: {text}");
        let of_cells = ["cells", "every cell", "limits"].contains(&what);
        assert!(!of_cells || text.matches(remark).count() == 1, "{what} says it twice: {text}");
    }
}

#[test]
fn no_sentence_says_to_take_an_unreliable_model() {
    let mut record = sample_run::record();
    let before = page_of(&record);
    let taken = before.split("Inside: ").nth(1).unwrap().split([' ', '@']).next().unwrap();
    let names = record.cells.iter_mut().map(|cell| &mut cell.model);
    for name in names.chain(record.run.models.iter_mut().map(|model| &mut model.name)) {
        *name = name.replace(taken, "may");
    }
    let page = page_of(&record);
    assert!(page.contains("left out of the sentences: may."), "{page}");
    assert!(!page.contains("Inside: may") && !page.contains("scales is may"), "{page}");
}

#[test]
fn a_page_is_the_same_for_the_same_record_and_small() {
    let record = sample_run::record();
    let page = page_of(&record);
    assert!(page == page_of(&record));
    // 200 cells are to fit into 600 KB, and this has 119.
    assert!(page.len() < 360_000, "{} bytes", page.len());
    let script = page.split("<script>").nth(1).and_then(|rest| rest.split("</script>").next());
    assert!(script.is_some_and(|script| script.len() < 20_000));
}

#[test]
fn a_load_over_time_and_a_comparison_are_on_the_page_and_in_the_table() {
    let (page, without) = (page_of(&told()), page_of(&sample_run::record()));
    for said in [
        "Answers per second over time",
        "p99 latency over time",
        "seconds since the window began",
        "Two servers that took turns",
        "no difference found",
        "at 75.5 % of the highest kept",
    ] {
        assert!(page.contains(said) && !without.contains(said), "{said:?}");
    }
    // A point where each trial has a p99: not in the first three seconds, and not in the last, which had no request.
    let chart = Charts::of(&told()).svg("serve-service/load-latency-time").unwrap();
    // Three servers, six points each, and the name of the picture.
    assert_eq!(chart.matches("<title>").count(), 3 * 6 + 1);
    let offered = |record: &Record| {
        let chart = Charts::of(record).svg("serve-service/load-throughput-time").unwrap();
        chart.contains(">offered<")
    };
    let mut closed = told();
    for load in closed.cells.iter_mut().filter_map(|cell| cell.load.as_mut()) {
        load.looped = Loop::Closed;
        // So few that most intervals have no p99: the median is drawn.
        let all = load.intervals.iter_mut().flatten().filter_map(|one| one.latency.as_mut());
        all.filter(|times| times.count < 2_000).for_each(|times| times.count = 900);
    }
    assert!(offered(&told()) && !offered(&closed));
    assert!(page_of(&closed).contains("p50 latency over time"));
    // In the first interval of the ramp that was not answered as offered, 17 of 1 217 are missing: it kept pace.
    let table = load_table(&told().cells, Extent::All);
    for said in [
        "pool: kept pace in each interval of the ramp",
        "at 50 % of that, 700 requests per second: p50 5.20 ms (5.04 ms to 5.30 ms), p99 6.50 ms",
        "tokio against smol, 5 pairs of trials, intervals of 98.1 %: req/s 0.812× (0.782× to 0.853×), slower; p50 1.016× \
         (0.986× to 1.056×), no difference found; p99 1.438× (1.407× to 1.478×), slower",
    ] {
        assert!(table.contains(said), "no {said:?} in {table}");
    }
    let mut outage = told();
    let broken = "A line is broken where an interval has no such latency";
    assert!(!page_of(&outage).contains(broken));
    let loads = outage.cells.iter_mut().filter_map(|cell| cell.load.as_mut());
    for trial in loads.flat_map(|load| load.intervals.iter_mut()) {
        trial[6].latency = None;
    }
    assert!(page_of(&outage).contains(broken), "it would look as fast as its neighbours");
    let mut behind = told();
    behind.cells.retain(|cell| cell.load.as_ref().is_some_and(|load| load.ramp.is_some()));
    for cell in behind.cells.iter_mut().filter(|cell| cell.model == "pool") {
        let intervals = cell.load.iter_mut().flat_map(|load| load.intervals.iter_mut());
        intervals.for_each(|trial| trial[5].answered = 1_700);
    }
    let table = load_table(&behind.cells, Extent::All);
    let said = "first fell behind 5.0 s into the ramp, where 1.80k requests per second were offered and 1.70k answered";
    assert!(table.contains(said), "{table}");
    assert!(table.contains("from 100 to 1.30k requests per second over 3 s"), "{table}");
}

#[test]
fn the_scale_of_servers_under_load_is_called_connections_and_not_jobs_at_once() {
    let mut record = sample_run::record();
    assert!(page_of(&record).contains("jobs at once"));
    record.cells.retain(|cell| cell.load.is_some());
    let page = page_of(&record);
    assert!(page.contains("Latency by percentile, 256 connections"));
    assert!(!page.contains("jobs at once") && !page.contains("job at once"));
    let compared =
        compare_records(&record, &record, true).unwrap_or_else(|_| panic!("one machine"));
    for (extent, said) in
        [(Extent::Short, ", by connections"), (Extent::All, " at 256 connections, ")]
    {
        let table = comparison_table(&compared, extent);
        assert!(table.contains(said) && !table.contains("by scale"), "{table}");
    }
    record.cells[0].state = State::Failed;
    record.cells[0].reason = Some("the server is gone".into());
    let table = load_table(&record.cells, Extent::Short);
    let at = format!("; at {} connections): the server is gone", record.cells[0].scale);
    assert!(table.contains(&at), "{table}");
}

#[test]
fn a_gate_without_a_null_arm_says_so() {
    let mut gate = sample_gate::sample();
    assert!(!gate_table(&gate, false).contains("null arm, base against its copy: not measured"));
    gate.cells.iter_mut().for_each(|cell| (cell.null, cell.null_fired) = (None, false));
    let table = gate_table(&gate, false);
    assert!(table.contains("null arm, base against its copy: not measured\n"), "{table}");
}

#[test]
fn what_a_page_says_follows_from_the_record() {
    let page = page_of(&sample_run::record());
    for said in [
        "models on AMD EPYC",
        "119 cells, 25 November 2026",
        "Which model, when",
        "; outside: a sequential program at 1 job at once, a thread for each job from 10 to 10 000",
        "Inside: ",
        "in (inside): a task on the pool spawns the jobs; out (outside, or dealt to the cores)",
        "Before you take monoio: it needs a Linux that permits io_uring",
        " from 100 000); a longer --budget makes room",
        "the Universal Scalability Law",
        "Speed-up over workers",
        "p99 latency over the offered rate",
        "Latency by percentile",
        "Memory per job",
        "paceline run sleep --model tokio --scale 1000 --workers 8 --trials 3 --seed 42",
        "seed 42",
        "5a3c1e0f9b7d2468",
    ] {
        assert!(page.contains(said), "no {said:?}");
    }
}

#[test]
fn reasons_stand_in_the_fold_and_not_among_the_sentences() {
    let record = paceline::record::read(BENCH.as_ref()).unwrap();
    let count = |is: fn(State) -> bool| record.cells.iter().filter(|cell| is(cell.state)).count();
    let (missing, skipped) = (count(|of| of != State::Ok), count(|of| of == State::Skipped));
    let page = page_of(&record);
    let summary = format!("What was not measured: {missing} of {} cells", record.cells.len());
    let (before, fold) = page.split_once(&*summary).unwrap();
    for reason in ["predicted:", "hard limit", "skipped at"] {
        assert!(!before.contains(reason), "{reason}");
    }
    let lines = fold.split_once("</ul>").unwrap().0;
    assert!(lines.matches("<li>").count() <= 10, "{lines}");
    assert!(lines.contains(&format!("<li>over budget: {skipped} cells (")), "{lines}");
    let mut absent = sample_run::record();
    for model in &mut absent.run.models {
        model.available = model.name != "tokio" && model.name != "smol";
        model.reason = Some("install it".into());
    }
    assert!(page_of(&absent).contains("cannot run here: tokio, smol (install it)"));
}

#[test]
fn a_claim_that_does_not_hold_is_no_failure_and_changes_are_sorted_within_a_metric() {
    let claims = page(&Sources { claims: &[sample_claims::sample()], ..Sources::default() });
    let body = claims.split_once("<main").unwrap().1;
    assert!(body.contains("class=\"l not \"") && !body.contains("regressed"));
    let two = [sample_run::record(), elsewhere()];
    let compared = page(&Sources { records: &two, ..Sources::default() });
    assert!(compared.matches("What changed: ").count() > 2);
}

#[test]
fn the_chart_of_latencies_names_the_models_that_it_lacks_and_those_whose_histogram_is_damaged() {
    let whole = page_of(&sample_run::record());
    // At 10 000 jobs all have latencies but rayon, whose cell is invalid.
    assert!(whole.contains("they lack figures at this scale: rayon."));
    assert!(!whole.contains("Not drawn"));
    let mut record = sample_run::record();
    let smol = record.cells.iter_mut().filter(|cell| cell.model == "smol");
    smol.filter_map(|cell| cell.latency.as_mut()).for_each(|latency| latency.hdr_v2.truncate(20));
    let page = page_of(&record);
    assert!(page.contains("the histogram in the record is damaged: smol."));
}

#[test]
fn each_chart_is_a_picture_of_its_own() {
    let charts = Charts::of(&sample_run::record());
    assert!(charts.names().contains(&"sleep/throughput"), "{:?}", charts.names());
    for name in charts.names() {
        let svg = charts.svg(name).unwrap();
        let parsed = roxmltree::Document::parse(&svg).unwrap();
        assert_eq!(parsed.root_element().tag_name().name(), "svg");
    }
    assert!(charts.svg("sleep/nothing").is_none());
}
