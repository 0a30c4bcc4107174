//! `paceline gate --metric instructions,allocations`: exact counts see what is too small for a clock, and counts that
//! are not exact gate nothing.

#[path = "gate_counts/ends.rs"]
mod ends;
#[path = "gate_counts/jobs.rs"]
mod jobs;
mod program;
mod repository;

use paceline::record::{Gate, GateCell, Metric, Overall, Presence, State, Verdict};
use paceline_core::process::valgrind;
use program::{PACELINE, error, folder, json, paceline, said, text};
use repository::{Repository, WIDE, WORK};

/// Two cells: one computes and one allocates.
const CELLS: &str = ".closure(\"spin\", || || spin(10_000)).closure(\"lists\", || || lists(3))";
const LISTS: &str = "pub fn lists(n: u64) -> Vec<Vec<u64>> {\n    (0..n).map(|i| std::hint::black_box(vec![i; 8])).collect()\n}\n";

/// The last commit against the one before.
fn counted(repository: &Repository, metrics: &str, more: &[&str]) -> (Option<i32>, Gate) {
    repository.gate(&[&["--metric", metrics], more].concat())
}

fn cell<'g>(gate: &'g Gate, name: &str, metric: Metric) -> &'g GateCell {
    gate.cells.iter().find(|cell| cell.cell == name && cell.metric == metric).unwrap()
}

fn repository(cells: &str) -> Repository {
    let repository = Repository::new(cells);
    let bench = std::fs::read_to_string(repository.folder.join("benches/gate.rs")).unwrap();
    repository.write("benches/gate.rs", &bench.replace("use tiny::spin;", "use tiny::*;"));
    repository.write("src/lib.rs", &format!("{WORK}{LISTS}"));
    repository.commit();
    repository
}

/// Whether instructions can be counted here; says so if not.
fn has_valgrind() -> bool {
    let has = valgrind().is_some();
    if !has {
        eprintln!(
            "instructions are not counted in this test: the package valgrind is not installed"
        );
    }
    has
}

#[test]
fn one_percent_more_instructions_are_regressed_and_the_same_are_not() {
    if !has_valgrind() {
        return;
    }
    let repository = repository(CELLS);
    repository.write("src/lib.rs", &format!("{}{LISTS}", WORK.replace("0..n", "0..n + n / 100")));
    repository.commit();
    let (code, gate) = counted(&repository, "instructions", &[]);
    let spin = cell(&gate, "spin", Metric::Instructions);
    assert_eq!(spin.verdict, Some(Verdict::Regressed), "{spin:?}");
    let share = spin.change.unwrap().share;
    assert!((0.0099..0.0101).contains(&share), "{share}");
    assert_eq!((spin.margin, spin.trials), (0.005, 3));
    assert!(spin.counts.as_ref().unwrap().is_exact() && spin.base.unwrap() > 10_000.0);
    let lists = cell(&gate, "lists", Metric::Instructions);
    assert_eq!((lists.verdict, lists.change.unwrap().share), (Some(Verdict::NotRegressed), 0.0));
    assert_eq!((code, gate.verdict), (Some(4), Overall::Regressed), "{}", gate.summary);
    assert!(gate.summary.contains("spin instructions +1.0 % (exact)"), "{}", gate.summary);
    // The base's file has the margin.
    repository.write("gate.toml", "[[cell]]\nname = \"spin\"\ncount_margin = \"2%\"\n");
    repository.commit();
    repository.write("src/lib.rs", &format!("{WORK}{LISTS}"));
    repository.commit();
    let (code, gate) = counted(&repository, "instructions", &["--filter", "spin"]);
    let spin = cell(&gate, "spin", Metric::Instructions);
    assert_eq!((spin.verdict, spin.margin), (Some(Verdict::NotRegressed), 0.02));
    assert_eq!((code, gate.verdict), (Some(0), Overall::Passed), "{}", gate.summary);
}

/// Where few calls fit into a slice, because they wait or the machine is busy, the start of a process would be much of the
/// count.
#[test]
fn few_instructions_are_counted_in_more_calls_than_fit_into_a_slice() {
    if !has_valgrind() {
        return;
    }
    let dozes = ".closure(\"dozes\", || || { std::thread::sleep(std::time::Duration::from_millis(7)); spin(1_000) })";
    let repository = repository(dozes);
    repository.write("README.md", "");
    repository.commit();
    let (_, gate) = counted(&repository, "instructions", &[]);
    let dozes = cell(&gate, "dozes", Metric::Instructions);
    let counts = dozes.counts.as_ref().unwrap();
    assert!(counts.calls >= 10, "{dozes:?}");
    assert_eq!(dozes.verdict, Some(Verdict::NotRegressed), "{dozes:?}");
}

#[test]
fn a_process_that_crashes_while_it_is_counted_is_in_no_other_count() {
    if !has_valgrind() {
        return;
    }
    let breaks =
        ".closure(\"breaks\", || || assert!(std::env::args().all(|word| word != \"__count\")))";
    let repository = repository(&format!("{breaks}.closure(\"ends\", || || ends()){CELLS}"));
    repository.write("src/lib.rs", &format!("{WORK}{LISTS}\npub fn ends() {{}}\n"));
    repository.commit();
    let changed = WORK.replace("0..n", "0..n + n / 1_000");
    // As a program ends whose paceline does not count yet.
    let ends = "if std::env::args().any(|word| word == \"__count\") { std::process::exit(2) }";
    repository.write("src/lib.rs", &format!("{changed}{LISTS}\npub fn ends() {{ {ends} }}\n"));
    repository.commit();
    let (code, gate) = counted(&repository, "instructions", &[]);
    let breaks = cell(&gate, "breaks", Metric::Instructions);
    assert_eq!((breaks.state, code), (State::Failed, Some(3)), "{breaks:?}");
    let ends = cell(&gate, "ends", Metric::Instructions);
    assert_eq!(ends.state, State::Failed, "{ends:?}");
    let spin = cell(&gate, "spin", Metric::Instructions);
    assert!(spin.counts.as_ref().unwrap().is_exact(), "{spin:?}");
    assert_eq!(spin.verdict, Some(Verdict::NotRegressed), "{spin:?}");
}

#[test]
fn the_instructions_of_a_command_are_those_of_its_process() {
    if !has_valgrind() {
        return;
    }
    let repository = repository(".command(\"tool\", [env!(\"CARGO_BIN_EXE_tool\")])");
    for n in [1_000_000, 1_200_000] {
        let main = format!("fn main() {{ std::hint::black_box(tiny::spin({n})); }}\n");
        repository.write("src/bin/tool.rs", &main);
        repository.commit();
    }
    let (code, gate) = counted(&repository, "instructions,allocations", &[]);
    let tool = cell(&gate, "tool", Metric::Instructions);
    assert!(tool.base.unwrap() > 3_000_000.0, "{tool:?}");
    assert!(tool.head.unwrap() > tool.base.unwrap() + 400_000.0, "{tool:?}");
    // The allocations are another program's.
    let tool = cell(&gate, "tool", Metric::Allocations);
    assert_eq!((tool.state, tool.verdict), (State::Refused, None), "{tool:?}");
    assert!(tool.reason.as_ref().unwrap().contains("a command is a program of its own"));
    assert_eq!((code, gate.verdict), (Some(4), Overall::Regressed), "{}", gate.summary);
}

#[test]
fn one_more_allocation_a_call_is_regressed_and_trials_are_not_touched() {
    let repository = repository(CELLS);
    let more = LISTS.replace("(0..n)", "std::hint::black_box(Box::new(n));\n    (0..n)");
    repository.write("src/lib.rs", &format!("{WORK}{more}"));
    repository.commit();
    let (code, gate) = counted(&repository, "throughput,allocations", &WIDE);
    let lists = cell(&gate, "lists", Metric::Allocations);
    assert_eq!((lists.base, lists.head), (Some(4.0), Some(5.0)), "{lists:?}");
    assert_eq!(lists.verdict, Some(Verdict::Regressed));
    assert!((lists.change.unwrap().share - 0.25).abs() < 1e-9);
    let spin = cell(&gate, "spin", Metric::Allocations);
    assert_eq!((spin.base, spin.verdict), (Some(0.0), Some(Verdict::NotRegressed)), "{spin:?}");
    let timed = cell(&gate, "lists", Metric::Throughput);
    assert!(timed.trials == 5 && timed.counts.is_none(), "{timed:?}");
    assert_eq!((code, gate.verdict), (Some(4), Overall::Regressed), "{}", gate.summary);
}

#[test]
fn a_head_that_widens_its_own_margins_is_judged_by_those_of_the_base() {
    let repository = repository(CELLS);
    let more = LISTS.replace("(0..n)", "std::hint::black_box(Box::new(n));\n    (0..n)");
    repository.write("src/lib.rs", &format!("{WORK}{more}"));
    repository
        .write("gate.toml", "margin = \"90%\"\nclear_margin = \"95%\"\ncount_margin = \"90%\"\n");
    repository.commit();
    let (code, gate) = counted(&repository, "allocations", &["--filter", "lists"]);
    let lists = cell(&gate, "lists", Metric::Allocations);
    assert_eq!((lists.verdict, lists.margin), (Some(Verdict::Regressed), 0.005), "{lists:?}");
    assert_eq!((code, gate.verdict), (Some(4), Overall::Regressed), "{}", gate.summary);
    let named = gate.notes.iter().any(|note| note.contains("90 %"));
    assert!(named, "{:?}", gate.notes);
    // A file that the head can change is used where that is asked for, and said.
    let config = ["--filter", "lists", "--config", "gate.toml"];
    let (code, gate) = counted(&repository, "allocations", &config);
    assert_eq!((code, gate.cells[0].margin), (Some(0), 0.9), "{}", gate.summary);
    let said = "the base has other margins, which do not count: lists 3 % and 5 % instead of 90 %";
    assert!(gate.notes.iter().any(|note| note.starts_with(said)), "{:?}", gate.notes);
}

#[test]
fn a_first_allocation_is_regressed() {
    let repository = repository(CELLS);
    let more = WORK.replace("(0..n)", "std::hint::black_box(Box::new(n));\n    (0..n)");
    repository.write("src/lib.rs", &format!("{more}{LISTS}"));
    repository.commit();
    let (code, gate) = counted(&repository, "allocations", &["--filter", "spin"]);
    let spin = cell(&gate, "spin", Metric::Allocations);
    assert_eq!((spin.base, spin.head, spin.change), (Some(0.0), Some(1.0), None), "{spin:?}");
    assert_eq!((code, gate.verdict), (Some(4), Overall::Regressed), "{}", gate.summary);
    assert!(gate.summary.contains("spin allocations from 0 on"), "{}", gate.summary);
}

#[test]
fn counts_that_differ_from_process_to_process_gate_nothing() {
    // As many allocations as the process's id says.
    let lists = |from: &str| format!("{WORK}{}", LISTS.replace("..n)", &format!("..{from})")));
    let random = "n + u64::from(std::process::id() % 1_000)";
    let cells = ".closure(\"random\", || || lists(3)).closure(\"spin\", || || spin(9))";
    let repository = repository(cells);
    repository.write("src/lib.rs", &lists(random));
    repository.commit();
    // The base can be counted, so a head that cannot does not pass unseen.
    let (code, gate) = counted(&repository, "allocations", &["--strict"]);
    assert_eq!(cell(&gate, "random", Metric::Allocations).state, State::Skipped);
    assert_eq!((code, gate.verdict), (Some(5), Overall::Inconclusive), "{}", gate.summary);
    repository.write("src/lib.rs", &lists(&format!("{random} + 2_000")));
    repository.commit();
    let (code, gate) = counted(&repository, "allocations", &["--filter", "random"]);
    let random = cell(&gate, "random", Metric::Allocations);
    assert_eq!((random.state, random.verdict, random.change), (State::Refused, None, None));
    let why = random.reason.as_ref().unwrap();
    assert!(why.starts_with("not exact, so not gated"), "{why}");
    assert!(random.base.is_some() && random.head.is_some(), "{random:?}");
    assert_eq!((code, gate.verdict), (Some(5), Overall::Nothing), "{}", gate.summary);
}

#[test]
fn a_bench_with_an_allocator_of_its_own_is_counted_if_it_sets_it_with_the_macro() {
    let cells = ".closure(\"lists\", || || lists(3)).closure(\"which\", || || assert!(std::env::var_os(\"PACELINE_CHILD\").unwrap() != \"__host\" || OWN.load(std::sync::atomic::Ordering::Relaxed)))";
    let own = "struct Own;\nstatic OWN: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);\nunsafe impl std::alloc::GlobalAlloc for Own {\n    unsafe fn alloc(&self, l: std::alloc::Layout) -> *mut u8 {\n        OWN.store(true, std::sync::atomic::Ordering::Relaxed);\n        unsafe { std::alloc::System.alloc(l) }\n    }\n    unsafe fn dealloc(&self, p: *mut u8, l: std::alloc::Layout) {\n        unsafe { std::alloc::System.dealloc(p, l) }\n    }\n}\n";
    let repository = repository(cells);
    let bench = std::fs::read_to_string(repository.folder.join("benches/gate.rs")).unwrap();
    let with =
        |setting: &str| repository.write("benches/gate.rs", &format!("{bench}{own}{setting}"));
    with("#[global_allocator]\nstatic A: Own = Own;\n");
    repository.commit();
    with("paceline_gated::allocator!(Own, Own);\n");
    repository.commit();
    let (code, gate) = counted(&repository, "throughput,allocations", &WIDE);
    let lists = cell(&gate, "lists", Metric::Allocations);
    assert_eq!((lists.state, lists.presence), (State::Refused, Presence::Both), "{lists:?}");
    let why = lists.reason.as_ref().unwrap();
    assert!(why.contains("base") && why.contains("global allocator"), "{why}");
    // The macro leaves what is timed alone, byte for byte: the cell `which` fails with another allocator.
    assert!(gate.same_program.is_some(), "{}", gate.summary);
    let which = cell(&gate, "which", Metric::Throughput);
    assert!(which.state == State::Ok && which.trials == 5, "{which:?}");
    assert_eq!(code, Some(5), "{}", gate.summary);
    repository.write("README.md", "");
    repository.commit();
    let (_, gate) = counted(&repository, "allocations", &["--filter", "lists"]);
    assert_eq!(cell(&gate, "lists", Metric::Allocations).base, Some(4.0), "{}", gate.summary);
    // A head that cannot be counted where the base can does not pass unseen.
    with("#[global_allocator]\nstatic A: Own = Own;\n");
    repository.commit();
    let (code, gate) = counted(&repository, "allocations", &["--filter", "lists"]);
    let lists = cell(&gate, "lists", Metric::Allocations);
    assert_eq!((lists.state, code), (State::Skipped, Some(5)), "{}", gate.summary);
    assert!(gate.summary.contains("1 without a figure"), "{}", gate.summary);
}

#[test]
fn a_build_that_counts_allocations_is_never_timed() {
    let repository = repository(CELLS);
    let mut cargo = std::process::Command::new("cargo");
    cargo
        .args(["bench", "--quiet", "--offline", "--bench", "gate"])
        .current_dir(&repository.folder);
    cargo.args(["--features", "paceline-gated/allocations"]);
    let output = cargo.env("CARGO_TARGET_DIR", repository::target("counts")).output().unwrap();
    let said = said(&output);
    assert!(!output.status.success(), "{}", text(&output.stdout));
    assert!(said.contains("it is built with the feature `allocations`"), "{said}");
}

#[test]
fn a_metric_whose_tool_is_missing_is_refused_with_the_packages_name() {
    let repository = repository(CELLS);
    let empty = folder();
    let refused = |more: &[&str]| {
        let mut command = repository.command("", &[&["gate", "--metric"], more].concat());
        error(&command.env("PATH", empty.path()).output().unwrap(), 2)
    };
    let said = refused(&["instructions", "--base", "HEAD"]);
    assert!(said.contains("install the package valgrind"), "{said}");
    let said = refused(&["allocations", "--base", PACELINE, "--head", PACELINE]);
    assert!(said.contains("allocations are counted in builds of their own"), "{said}");
}

#[test]
fn jobs_on_one_thread_are_counted_and_others_say_in_a_sentence_why_not() {
    if !has_valgrind() {
        return;
    }
    let folder = folder();
    let mut command = paceline(
        folder.path(),
        ["gate", "--base", PACELINE, "--head", PACELINE, "--format", "json"],
    );
    command.args(["yield", "sleep", "--model", "sequential,tokio-current-thread,threads"]);
    command.args(["--scale", "10", "--metric", "instructions"]);
    let gate: Gate = json(&command.env("XDG_CACHE_HOME", folder.path()).output().unwrap());
    for model in ["sequential", "tokio-current-thread"] {
        let cell = cell(&gate, &format!("yield/{model}/10"), Metric::Instructions);
        assert!(cell.counts.as_ref().unwrap().is_exact(), "{cell:?}");
        assert_eq!(cell.verdict, Some(Verdict::NotRegressed), "{cell:?}");
        // 10 jobs that each yield many times.
        assert!(cell.base.unwrap() > 10_000.0, "{cell:?}");
    }
    for name in ["yield/threads/10", "sleep/sequential/10", "sleep/tokio-current-thread/10"] {
        let cell = cell(&gate, name, Metric::Instructions);
        assert_eq!((cell.state, cell.verdict), (State::Refused, None), "{cell:?}");
        let why = cell.reason.as_ref().unwrap();
        assert!(why.contains("neither wait nor leave their thread"), "{why}");
    }
}
