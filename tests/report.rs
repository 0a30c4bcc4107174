//! The report as its readers get it: one file that needs nothing else, whatever is in the record.

mod sample_claims;
mod sample_gate;
mod sample_run;

use std::{
    collections::HashSet,
    fs,
    path::Path,
    process::{Command, Output},
    slice,
};

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
    assert!(!page_of(&record).contains(remark));
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
    }
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
        "at 75 % of the highest kept",
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
fn what_a_page_says_follows_from_the_record() {
    let page = page_of(&sample_run::record());
    for said in [
        "models on AMD EPYC",
        "119 cells, 25 November 2026",
        "Which model, when",
        "Out: take a sequential program at 1 job at once, a thread for each job from 10 to 10 000",
        "In: take ",
        "in: jobs start on the pool; out: they are handed in, and waking the pool counts",
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
    let record = paceline::record::read(Path::new(BENCH)).unwrap();
    let count = |is: fn(State) -> bool| record.cells.iter().filter(|cell| is(cell.state)).count();
    let (missing, skipped) = (count(|of| of != State::Ok), count(|of| of == State::Skipped));
    let page = page_of(&record);
    let summary = format!("What was not measured: {missing} of {} cells", record.cells.len());
    let (before, fold) = page.split_once(&*summary).unwrap();
    for reason in ["predicted:", "ulimit", "skipped at"] {
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

fn report(results: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
    command.env("PACELINE_ALLOW_DEBUG", "1").arg("report").args(arguments);
    command.arg("--out").arg(results).current_dir(results).output().expect("it starts")
}

/// What is said on standard error, if the exit code is this.
fn said(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(text.lines().count(), usize::from(code != 0), "one sentence: {text}");
    text
}

#[test]
fn the_newest_run_is_reported_where_none_is_named() {
    let results = tempfile::tempdir().unwrap();
    let folder = sample_run::write(&sample_run::record(), results.path());
    let output = report(results.path(), &[]);
    said(&output, 0);
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.starts_with("<!doctype html>"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("report.html"));
    let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let output = report(results.path(), &[&name, "-o", "-"]);
    assert!(output.stdout.starts_with(b"<!doctype html>"));
    let output = report(results.path(), &[&name, "--format", "md"]);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("###"));
    let output = report(results.path(), &[&name, "--format", "svg", "--chart", "cpu/speed-up"]);
    said(&output, 0);
    assert!(results.path().join("cpu-speed-up.svg").exists());
}

#[test]
fn a_wrong_request_gets_one_sentence_and_leaves_nothing_behind() {
    let results = tempfile::tempdir().unwrap();
    assert!(said(&report(results.path(), &[]), 2).contains("there is no run in"));
    let folder = sample_run::write(&sample_run::record(), results.path());
    let name = folder.file_name().unwrap().to_str().unwrap();
    let other = format!("{}/{name}", results.path().display());
    for (arguments, code, sentence) in [
        (vec!["nowhere"], 2, "name a folder that has one of run.json"),
        (vec![name, name], 2, "is named twice"),
        (vec![name, &other, "--format", "csv"], 2, "name one"),
        (vec![name, "--format", "svg"], 2, "name a chart with --chart"),
        (
            vec![name, "--format", "svg", "--chart", "sleep/hat"],
            2,
            "its charts are sleep/throughput",
        ),
        (vec![name, "--chart", "sleep/throughput"], 2, "--chart goes with"),
        (vec![name, "-o", "missing/folder/page.html"], 1, "choose another place with -o"),
        (vec![name, "-o", "/dev/full"], 1, "cannot write"),
    ] {
        let text = said(&report(results.path(), &arguments), code);
        assert!(text.contains(sentence), "{arguments:?}: {text}");
    }
    let output = report(results.path(), &[name, "--format", "pdf"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("choose one of html, table, svg, markdown")
    );
    let left: Vec<_> = fs::read_dir(results.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_torn_last_line_costs_one_cell_and_a_newer_schema_is_refused() {
    let results = tempfile::tempdir().unwrap();
    let folder = sample_run::write(&sample_run::record(), results.path());
    let name = folder.file_name().unwrap().to_str().unwrap();
    let cells = folder.join("cells.jsonl");
    let text = fs::read_to_string(&cells).unwrap();
    fs::write(&cells, &text[..text.len() - 40]).unwrap();
    said(&report(results.path(), &[name]), 0);
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("118 cells"), "the torn one is missing");
    fs::write(&cells, text.replacen("{\"workload\"", "{workload", 1)).unwrap();
    assert!(said(&report(results.path(), &[name]), 2).contains(
        "cells.jsonl, line 1, is damaged (key must be a string at column 2): delete this line"
    ));
    fs::write(&cells, &text).unwrap();
    let run = fs::read_to_string(folder.join("run.json")).unwrap();
    fs::write(folder.join("run.json"), run.replacen("\"schema\": 2", "\"schema\": 9", 1)).unwrap();
    assert!(said(&report(results.path(), &[name]), 2).contains("use a newer paceline"));
}

/// The run in the README: real models, real distributions.
const REFERENCE: &str = "results/2026-11-26T00-15-20Z-rounds-17411";

/// What `cargo bench` left on a machine without much time.
const BENCH: &str = "results/2026-11-26T23-05-35Z-criterion-6306";

#[test]
fn the_page_of_the_reference_run_has_at_most_3_kilobytes_a_cell_and_its_picture_is_that_runs() {
    let record = paceline::record::read(Path::new(REFERENCE)).unwrap();
    assert!(record.cells.len() >= 200);
    assert_eq!(record.workloads(), ["sleep", "echo", "cpu", "service"], "as they were asked for");
    let page = page_of(&record);
    let most = record.cells.len() * 3000;
    assert!(page.len() <= most, "{} bytes of {most}", page.len());
    let charts = Charts::of(&record);
    let picture = fs::read_to_string("docs/report.svg").unwrap();
    assert_eq!(charts.svg("service/throughput").unwrap().trim(), picture.trim());
}

#[test]
fn a_run_that_was_cut_off_says_so_and_nothing_of_a_record_is_written_over() {
    let results = tempfile::tempdir().unwrap();
    let at = results.path().join("run");
    fs::create_dir_all(&at).unwrap();
    let reference = |part| fs::read_to_string(Path::new(REFERENCE).join(part)).unwrap();
    let mut run: serde_json::Value = serde_json::from_str(&reference("run.json")).unwrap();
    run["planned"] = 240.into();
    fs::write(at.join("run.json"), run.to_string()).unwrap();
    let some: String = reference("cells.jsonl").split_inclusive('\n').take(100).collect();
    fs::write(at.join("cells.jsonl"), some + "{\"torn").unwrap();
    let says = |arguments: &[&str], code, sentences: &[&str]| {
        let output = report(results.path(), arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(sentences.iter().all(|sentence| said.contains(sentence)), "{said}");
    };
    let cut_off = "100 of its 240 cells have ended";
    says(&["run"], 0, &[cut_off, "paceline run --resume --out"]);
    assert!(fs::read_to_string(at.join("report.html")).unwrap().contains(cut_off));
    for part in ["run.json", "cells.jsonl"] {
        let part = at.join(part);
        let before = fs::read(&part).unwrap();
        says(&["run", "-o", part.to_str().unwrap()], 2, &["part of a record"]);
        assert_eq!(fs::read(&part).unwrap(), before);
    }
    fs::write(at.join("cells.jsonl"), "").unwrap();
    says(&[], 2, &["no cell of", "--resume"]);
    says(&["run", "--format", "svg"], 2, &["no chart"]);
}

#[test]
fn the_record_of_claims_has_a_page_too() {
    let results = tempfile::tempdir().unwrap();
    let at = results.path().join("claims");
    fs::create_dir_all(&at).unwrap();
    let claims = serde_json::to_string(&sample_claims::sample()).unwrap();
    fs::write(at.join("claims.json"), claims).unwrap();
    for named in [&["claims"][..], &[]] {
        said(&report(results.path(), named), 0);
        assert!(fs::read_to_string(at.join("report.html")).unwrap().contains("paceline claims"));
        fs::remove_file(at.join("report.html")).unwrap();
    }
}
