//! What `paceline load` shows, in every export of a run.

use paceline::{
    history::series,
    load::{METRICS, MetricUnit},
    record::{Cell, Knee, KneeStep, Metric, Record, State},
    report::{Export, Extent, Sources, load_table, page},
};
use paceline_core::generator::Interval;
use serde_json::Value;

use crate::{RUNS, sample_run::courses};

/// A run of one server in an open loop, some of whose answers were errors.
fn loaded() -> Record {
    let mut record = RUNS[0].clone();
    let is_open = |cell: &Cell| {
        let load = cell.load.as_ref();
        cell.state == State::Ok && load.is_some_and(|load| load.schedule_error.is_some())
    };
    let mut cell = record.cells.iter().find(|cell| is_open(cell)).unwrap().clone();
    // So many that every percentile is told.
    cell.latency.as_mut().unwrap().count = 20_000;
    cell.service_time.as_mut().unwrap().count = 20_000;
    let load = cell.load.as_mut().unwrap();
    load.schedule_error.as_mut().unwrap().count = 20_000;
    load.errors = [("status 503".into(), 17), ("timeout".into(), 5)].into();
    load.error_latency.clone_from(&cell.service_time);
    load.first_error = Some("request 7: the answer has status 503".into());
    record.cells = vec![cell];
    record
}

#[test]
fn whatever_the_table_of_a_load_shows_is_in_every_export_with_its_value() {
    let record = loaded();
    let cell = &record.cells[0];
    let text = |export: Export| export.render(&record);
    let csv = text(Export::Csv);
    let rows: Vec<_> =
        csv::Reader::from_reader(csv.as_bytes()).into_records().map(Result::unwrap).collect();
    let head = csv::Reader::from_reader(csv.as_bytes()).headers().unwrap().clone();
    let column = |name: &str| {
        let place =
            head.iter().position(|of| of == name).unwrap_or_else(|| panic!("{name} is missing"));
        rows[0][place].to_owned()
    };
    let names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
    let table = load_table(&record.cells, Extent::All);
    let row = table.lines().find(|line| line.trim_start().starts_with(&cell.model)).unwrap();
    let markdown = text(Export::Markdown);
    assert!(markdown.contains(&names.join(" | ")), "{markdown}");
    for field in row.split("  ").map(str::trim).filter(|field| !field.is_empty()) {
        assert!(markdown.contains(&format!(" {field} ")), "{field}: {markdown}");
    }
    let metrics: Vec<f64> = METRICS.iter().map(|metric| metric.of(cell).unwrap()).collect();
    let open: Vec<f64> = text(Export::OpenMetrics)
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    for (metric, value) in METRICS.iter().zip(metrics) {
        let name = metric.name;
        let near = |found: f64, wanted: f64| (found - wanted).abs() <= wanted.abs() * 1e-9;
        assert!(
            table.contains(name) && near(column(metric.column).parse().unwrap(), value),
            "{name}"
        );
        let seconds = if metric.unit == MetricUnit::Time { value / 1e9 } else { value };
        assert!(open.iter().any(|found| near(*found, seconds)), "{name} in OpenMetrics");
        let Some(figure) = metric.figure else { continue };
        for export in
            [Export::Otava, Export::ActionSmaller, Export::ActionBigger, Export::Junit, Export::Bmf]
        {
            let bigger = metric.unit == MetricUnit::Rate;
            let known = match (export, figure) {
                (Export::ActionSmaller | Export::Otava, _) if bigger => continue,
                (Export::ActionBigger, _) if !bigger => continue,
                (Export::ActionBigger | Export::Bmf, "jobs_per_second") => "throughput".to_owned(),
                (Export::Bmf, "latency_p50_ns") => "latency".to_owned(),
                (Export::Bmf, other) => other.replace('_', "-"),
                _ => figure.to_owned(),
            };
            let text = text(export);
            assert!(
                text.contains(&known) && text.contains(&value.to_string()),
                "{known} in {export}"
            );
        }
    }
    let json: Value = serde_json::from_str(&text(Export::Json)).unwrap();
    assert_eq!(json["cells"][0], serde_json::to_value(cell).unwrap());
    assert_eq!(
        (json["cells"][0]["load"]["errors"]["status 503"].as_u64(), &*column("errors")),
        (Some(17), "22")
    );
    assert_eq!(column("errors_by_kind"), "status 503: 17; timeout: 5");
    assert_eq!(column("first_error"), "request 7: the answer has status 503");
}

/// Formats for programs that take a figure by a fixed name, or histograms: they have a cell's figures as a whole.
const WITHOUT_URLS: [Export; 7] = [
    Export::Bmf,
    Export::ActionSmaller,
    Export::ActionBigger,
    Export::Junit,
    Export::OpenMetrics,
    Export::Otava,
    Export::HdrLog,
];

#[test]
fn each_url_by_itself_is_in_every_report_and_export_that_has_room_for_lists() {
    let mut record = loaded();
    let without = record.clone();
    let urls = courses::urls("/orders");
    record.cells[0].load.as_mut().unwrap().by_url = urls.clone().into();
    let shown = [
        ["GET /items?page=1", "12", "4 321", "0.16 %", "5.11 ms", "6.22 ms", "17.3 ms"],
        ["GET /health", "1", "1", "0 %", "2.44 ms", "", "2.55 ms"],
        ["POST /orders", "3", "0", "100 %", "", "", ""],
    ];
    let page = page(&Sources { records: std::slice::from_ref(&record), ..Sources::default() });
    let page = page.split("Each URL by itself</caption>").nth(1).unwrap();
    let rows: Vec<&str> = page.split("<tr>").skip(2).take(3).collect();
    let table = load_table(&record.cells, Extent::Short);
    for (url, fields) in urls.iter().zip(shown) {
        let html: Vec<String> =
            fields[1..].iter().map(|field| format!("<td>{field}</td>")).collect();
        let row = rows.iter().find(|row| row.contains(&format!(">{}</td>", fields[0]))).unwrap();
        assert!(row.contains(&html.concat()), "{row}");
        let line = table.lines().find(|line| line.contains(fields[0])).unwrap();
        let found: Vec<&str> =
            line.split("  ").map(str::trim).filter(|field| !field.is_empty()).collect();
        let whole: Vec<&str> = fields.into_iter().filter(|field| !field.is_empty()).collect();
        assert_eq!(found, whole);
        let markdown = fields.map(|field| field.replace('?', "&#63;").replace('=', "&#61;"));
        let markdown = format!("| {} |", markdown.join(" | "));
        assert!(Export::Markdown.render(&record).contains(&markdown), "{markdown}");
        let json: Value = serde_json::from_str(&Export::Json.render(&record)).unwrap();
        let all = json["cells"][0]["load"]["by_url"].as_array().unwrap();
        assert!(all.contains(&serde_json::to_value(url).unwrap()), "{all:?}");
    }
    let csv = Export::Csv.render(&record);
    let mut csv = csv::Reader::from_reader(csv.as_bytes());
    let head = csv.headers().unwrap().clone();
    let row = csv.records().next().unwrap().unwrap();
    let column = |name: &str| row[head.iter().position(|of| of == name).unwrap()].to_owned();
    for (name, field) in [
        ("urls", "GET /items?page=1; GET /health; POST /orders"),
        ("urls_weight", "12 1 3"),
        ("urls_latency_count", "4321 1 0"),
        ("urls_errors", "7 0 1093"),
        ("urls_latency_ns_p50", "5110000 2440000 -"),
        ("urls_latency_ns_p99", "6220000 - -"),
        ("urls_latency_ns_max", "17300000 2550000 -"),
    ] {
        assert_eq!(column(name), field, "{name}");
    }
    for export in Export::all(false) {
        let same = export.render(&record) == export.render(&without);
        assert_eq!(same, WITHOUT_URLS.contains(&export), "{export}");
    }
}

#[test]
fn a_latency_that_is_mostly_the_generators_lateness_is_marked_or_left_out() {
    let mut record = loaded();
    let on_time = load_table(&record.cells, Extent::All);
    assert!(!on_time.contains('?'), "{on_time}");
    let latency = record.cells[0].latency.clone();
    let load = record.cells[0].load.as_mut().unwrap();
    load.schedule_error = latency;
    load.by_url = courses::urls("/orders").into();
    let mut late = courses::at_share(0.5, load);
    late.mostly_late = vec!["p99".into()];
    late.error_share = Some(0.025);
    load.at_shares = vec![late];
    load.intervals = vec![vec![Interval {
        lasts_ns: 1_000_000_000,
        latency: load.schedule_error.clone(),
        schedule_error: load.schedule_error.clone(),
        ..Interval::default()
    }]];
    let said = "over half of p50, p90, p99, p99.9, max";
    let table = load_table(&record.cells, Extent::All);
    let marks = |begin: &str| {
        let rows = table.lines().filter(|line| line.trim_start().starts_with(begin));
        rows.map(|row| row.matches(" ?").count()).sum::<usize>()
    };
    assert_eq!(marks(&format!("{} ", record.cells[0].model)), 5, "{table}");
    // The longest latency of one URL may be of a request that started on time.
    assert_eq!(marks("GET /items"), 2, "{table}");
    let words = table.split_whitespace().collect::<Vec<_>>().join(" ");
    let share = "p99 ?6.50 ms (6.30 ms to 6.63 ms), max 31.0 ms; ?: over half of it is";
    for part in [said, share, "own lateness; 2.50 % of requests were errors"] {
        assert!(words.contains(part), "{part}: {table}");
    }
    let text = |export: Export| export.render(&record);
    let markdown = text(Export::Markdown);
    assert!(markdown.contains(said) && markdown.matches("&#63;").count() > 5, "{markdown}");
    let csv = text(Export::Csv);
    for names in ["p50 p90 p99 p99.9 max", ",p99,0.025,", "\"p50,p99 "] {
        assert!(csv.contains(names), "{names}: {csv}");
    }
    for export in [Export::Bmf, Export::ActionSmaller, Export::Otava] {
        let text = text(export);
        assert!(!text.contains("latency") && text.contains("cpu"), "{export}: {text}");
    }
    let open = text(Export::OpenMetrics);
    let is_latency = |line: &&str| line.starts_with("paceline_run_latency_");
    assert_eq!(open.lines().find(is_latency), None, "{open}");
    let junit = text(Export::Junit);
    assert!(junit.contains(said) && !junit.contains("latency_p99_ns"), "{junit}");
    let html = |record: &Record| {
        page(&Sources { records: std::slice::from_ref(record), ..Sources::default() })
    };
    // At its rate, by percentile, in the interval, of two URLs, and among all cells.
    let shown = html(&record);
    assert_eq!(shown.matches("<td>?").count(), 1 + 7 + 3 + 3 + 1, "{shown}");
    assert!(shown.matches("own lateness").count() >= 4);
    // A search has its steps and the shares.
    let step = KneeStep { rate: 9.0, latency_ns_p99: Some(5e6), mostly_late: true, gave_way: None };
    let knee = Knee { limit_ns: 9_000_000, steps: vec![step], gave_way: None };
    record.cells[0].load.as_mut().unwrap().knee = Some(knee);
    let tried = html(&record);
    let tried = tried.split("Every rate that was tried</caption>").nth(1).unwrap();
    let tried = tried.split("</table>").next().unwrap();
    assert_eq!(tried.matches("<td>?").count(), 2);
    assert!(tried.contains("2.50 % of requests were errors"), "{tried}");
}

/// Returns the same server at a knee, at which it gave way for this reason.
fn at_a_knee(gave_way: Option<&str>) -> Record {
    let mut record = loaded();
    let load = record.cells[0].load.as_mut().unwrap();
    let step = |share: f64, gave_way: Option<&str>| KneeStep {
        rate: load.rate.unwrap() * share,
        latency_ns_p99: Some(5e6),
        mostly_late: false,
        gave_way: gave_way.map(str::to_owned),
    };
    let steps = vec![step(0.5, None), step(1.0, None), step(1.05, gave_way)];
    let steps = steps.into_iter().take(if gave_way.is_some() { 3 } else { 2 }).collect();
    let gave_way = gave_way.map(str::to_owned);
    load.knee = Some(Knee { limit_ns: 9_000_000, steps, gave_way });
    record
}

/// Their readers follow figures over runs, and would take a change of the generator, or of the rate, for one of the server.
#[test]
fn exports_that_follow_figures_have_no_least_rate_and_no_latency_at_a_knee() {
    let formats = [
        Export::Bmf,
        Export::ActionBigger,
        Export::ActionSmaller,
        Export::Otava,
        Export::Junit,
        Export::OpenMetrics,
    ];
    let rate = [
        "\"throughput\"",
        " throughput\"",
        "\njobs_per_second",
        "throughput_jobs_per_second{",
        "bound_ratio{",
    ];
    let least = "throughput_least_jobs_per_second{";
    let late = Some("generator late: 9 of 100 starts were over 1 ms late");
    for (gave_way, exact) in
        [(late, false), (None, false), (Some("the 99th percentile is 50.00 ms"), true)]
    {
        let record = at_a_knee(gave_way);
        let text: String = formats.iter().map(|export| export.render(&record)).collect();
        assert_eq!(rate.map(|part| text.contains(part)), [exact; 5], "{text}");
        assert_eq!(text.contains(least), !exact, "{text}");
        let latencies = ["latency_", "\"latency\"", "service_time", "schedule_error"];
        assert!(!latencies.iter().any(|name| text.contains(name)), "{text}");
        assert!(text.contains("cpu_per_job"), "{text}");
        // The history has the same of them.
        let metrics: Vec<Metric> =
            series(&[record], &[]).iter().map(|series| series.metric).collect();
        assert_eq!(metrics.contains(&Metric::Requests), exact);
        assert!(!metrics.contains(&Metric::P99));
    }
    let open: String = formats.iter().map(|export| export.render(&loaded())).collect();
    assert!(rate.iter().all(|part| open.contains(part)) && !open.contains(least), "{open}");
}

#[test]
fn a_rate_that_is_only_the_least_that_a_server_keeps_is_marked_wherever_it_is_shown() {
    let shown = |gave_way: Option<&str>| {
        let record = at_a_knee(gave_way);
        let csv = Export::Csv.render(&record);
        let mut csv = csv::Reader::from_reader(csv.as_bytes());
        let place = csv.headers().unwrap().iter().position(|name| name == "knee_is_least");
        let least = csv.records().next().unwrap().unwrap()[place.unwrap()].to_owned();
        let html = page(&Sources { records: std::slice::from_ref(&record), ..Sources::default() });
        let table = load_table(&record.cells, Extent::Short);
        ([table, Export::Markdown.render(&record), html], least)
    };
    for gave_way in [Some("generator late: 9 of 100 starts were over 1 ms late"), None] {
        let ([table, markdown, html], least) = shown(gave_way);
        assert_eq!(least, "yes");
        // Beside the figure, and with its meaning.
        let words = table.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [" ≥3.00k ", "≥: the server may keep a higher", "up to at least 3.00k offered "]
        {
            assert!(words.contains(part), "{part}: {table}");
        }
        assert!(markdown.contains("| ≥3.00k |"), "{markdown}");
        assert!(markdown.contains("≥&#58; the server may keep a higher"), "{markdown}");
        // In the table over connections and in that of all cells, each with the meaning; and in the chart.
        assert_eq!(html.matches(">≥3.00k").count(), 2, "{html}");
        assert!(html.matches("(≥: the server may keep a higher").count() >= 3, "{html}");
        assert!(html.contains(": at least 3.00k per second"), "{html}");
    }
    let (texts, least) = shown(Some("the 99th percentile is 50.00 ms"));
    assert_eq!(least, "no");
    assert!(texts.iter().all(|text| !text.contains('≥')), "{texts:?}");
}

#[test]
fn the_first_error_is_a_whole_sentence_in_the_table_and_one_without_end_only_ends() {
    let mut record = loaded();
    let mut words = |error: &str| {
        record.cells[0].load.as_mut().unwrap().first_error = Some(error.into());
        let table = load_table(&record.cells, Extent::Short);
        table.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let long = format!("request 7: {}(by sysctl -w)", "no local port is free; ".repeat(20));
    assert!(words(&long).contains(&format!("the first: {long} ")), "{}", words(&long));
    let endless = words(&"word ".repeat(1_000));
    assert!(endless.contains("word word… ") || endless.contains("word wo… "), "{endless}");
}

#[test]
fn markdown_of_a_load_is_called_one_and_has_its_ranks_its_errors_and_its_legend_alone() {
    let mut record = loaded();
    record.run.instrument = "load".into();
    let text = Export::Markdown.render(&record);
    assert!(text.starts_with("### paceline load: 1 cell"), "{text}");
    let batches = ["fastest at its scale", "ranked apart"];
    let errors = "requests were errors&#58; 17 status 503, 5 timeout;";
    assert!(text.contains("22 of ") && text.contains(errors), "{text}");
    assert!(text.contains("Latency counts from the intended start"), "{text}");
    assert!(batches.iter().all(|part| !text.contains(part)), "{text}");
    // Two servers are ranked as in the table, and a record of both instruments has both legends.
    let mut fine = record.cells[0].clone();
    let load = fine.load.as_mut().unwrap();
    (load.errors, load.error_latency, load.first_error) = Default::default();
    fine.per_trial.latency_ns_p50 = vec![5e6, 5.1e6, 5.2e6];
    fine.per_trial.jobs_per_second = vec![1e3; 3];
    let mut slow = fine.clone();
    slow.model = "smol".into();
    slow.per_trial.latency_ns_p50 = vec![9e6, 9.1e6, 9.2e6];
    record.cells = vec![fine, slow];
    let text = Export::Markdown.render(&record);
    let table = load_table(&record.cells, Extent::All);
    assert_eq!(text.matches("| &#42;").count(), table.matches(" *").count(), "{text}{table}");
    assert!(text.contains("&#42; best of its column"), "{text}");
    let both = Export::Markdown.render(&RUNS[0]);
    assert!(both.contains("Latency counts from") && both.contains(batches[0]), "{both}");
}

/// The names in conditions, of columns and of exports are where users look for them.
#[test]
fn the_documentation_has_every_metric_with_its_column() {
    let page = std::fs::read_to_string("docs/load.md").unwrap();
    for metric in &METRICS {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", metric.name)));
        let row = row.unwrap_or_else(|| panic!("{} has no row", metric.name));
        assert!(row.ends_with(&format!("| `{}` |", metric.column)), "{row}");
    }
}

#[test]
fn the_documentation_has_the_names_of_the_exports_that_hold_figures_alone() {
    let page = std::fs::read_to_string("docs/load.md").unwrap();
    let record = loaded();
    let rows: Vec<(Vec<&str>, Vec<&str>)> = page
        .split("| export | names |\n|---|---|\n")
        .nth(1)
        .unwrap()
        .lines()
        .map_while(|line| line.strip_prefix("| ")?.split_once(" | "))
        .map(|(exports, names)| (quoted(exports), quoted(names)))
        .collect();
    let documented: Vec<&str> = rows.iter().flat_map(|(exports, _)| exports.clone()).collect();
    let own = [Export::Markdown, Export::Csv, Export::Json, Export::HdrLog].map(Export::name);
    let all = Export::all(false).filter(|export| !own.contains(&export.name()));
    for export in all {
        let name = export.name();
        assert!(documented.contains(&name), "{name} is not documented");
        let (_, names) = rows.iter().find(|(exports, _)| exports.contains(&name)).unwrap();
        let text = export.render(&record);
        for of in names {
            // What a row says of another export, and the columns of the table.
            let other = *of == "jobs_per_second" && export != Export::Junit;
            if other || documented.contains(of) || METRICS.iter().any(|metric| metric.name == *of) {
                continue;
            }
            assert!(text.contains(of), "{name} has no {of}: {text}");
        }
        let rate = text.contains("jobs_per_second");
        assert_eq!(rate, [Export::Junit, Export::OpenMetrics].contains(&export), "{name}");
    }
}

/// The words in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}
