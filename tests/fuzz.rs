//! What the fuzzers in `fuzz` feed, in short: their corpora, and thousands of changes to them that are the same each
//! time. `PACELINE_MUTATIONS` sets how many; `PACELINE_BLESS=1` writes the corpus of records anew.

mod sample_claims;
mod sample_gate;
mod sample_run;

use std::{env, fs, panic, path::PathBuf};

use paceline::{fuzzing, record::State};

/// Feeds the corpus of a fuzzer to `feed`, then so many changes of it.
fn fuzz(name: &str, mutations: usize, feed: fn(&[u8]) -> bool) {
    let mutations = env::var("PACELINE_MUTATIONS").map_or(mutations, |set| set.parse().unwrap());
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(seeds.len() >= 3, "{name} has no corpus");
    let mut random = Random(1);
    let mut read = [0, 0];
    for number in 0..seeds.len() + mutations {
        let input = seeds.get(number).cloned().unwrap_or_else(|| random.change(&seeds));
        let Ok(taken) = panic::catch_unwind(|| feed(&input)) else {
            panic!("{name} fails on b\"{}\"", input.escape_ascii());
        };
        read[usize::from(number >= seeds.len())] += usize::from(taken);
    }
    // What is refused at once shows nothing.
    assert!(2 * read[0] > seeds.len(), "of {} inputs {} can be read", seeds.len(), read[0]);
    assert!(20 * read[1] > mutations, "of {mutations} changed inputs {} can be read", read[1]);
}

#[test]
fn no_answer_is_read_in_two_ways_or_makes_the_generator_panic_or_grow() {
    fuzz("answers", 30_000, paceline_core::fuzzing::answers);
}

#[test]
fn no_request_is_read_in_two_ways_or_makes_a_server_panic_or_grow() {
    fuzz("requests", 20_000, paceline_core::fuzzing::requests);
}

#[test]
fn every_workload_file_is_refused_at_its_place_or_is_the_same_for_all_processes() {
    fuzz("workloads", 10_000, paceline_core::fuzzing::workloads);
}

#[test]
fn nothing_that_an_interpreter_says_makes_its_host_panic() {
    fuzz("protocol", 30_000, paceline_core::fuzzing::protocol);
}

#[test]
fn every_record_that_can_be_read_can_be_shown_compared_and_exported() {
    bless();
    fuzz("records", 300, fuzzing::records);
    fuzz("records", 300, fuzzing::records_in_one_form);
}

/// Writes the corpus of records as small samples of what is written today.
fn bless() {
    if env::var_os("PACELINE_BLESS").is_none() {
        return;
    }
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/records");
    let write = |name: &str, kind: u8, files: &[Vec<u8>]| {
        let text = [vec![kind], files.join(&fuzzing::BORDER)].concat();
        fs::write(folder.join(name), text).unwrap();
    };
    let mut record = sample_run::record();
    record.run.models.truncate(2);
    for definition in &mut record.run.workloads {
        definition.source.clear();
    }
    let head = serde_json::to_vec(&record.run).unwrap();
    let cell = |of: &dyn Fn(&paceline::record::Cell) -> bool| {
        let found = record.cells.iter().find(|cell| of(cell)).unwrap();
        let mut line = serde_json::to_vec(found).unwrap();
        line.push(b'\n');
        line
    };
    let measured = cell(&|cell| cell.state == State::Ok && cell.load.is_none());
    let loaded = cell(&|cell| cell.load.as_ref().is_some_and(|load| load.knee.is_some()));
    let refused = cell(&|cell| cell.state == State::Refused);
    let mut trial = serde_json::to_vec(&record.trials[0]).unwrap();
    trial.push(b'\n');
    write("run", b'r', &[head.clone(), [measured, refused].concat(), trial]);
    write("load", b'r', &[head, loaded]);
    let mut gate = sample_gate::sample();
    gate.cells.truncate(3);
    write("gate", b'g', &[serde_json::to_vec(&gate).unwrap()]);
    let claims = sample_claims::sample();
    write("claims", b'c', &[serde_json::to_vec(&claims).unwrap()]);
}

/// What changes inputs: xorshift, so that every run changes them alike.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 8).unwrap() % bound.max(1)
    }

    /// One of `seeds` with up to 4 changes.
    fn change(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let end = (at + self.below(9)).min(bytes.len());
            let new: Vec<u8> = match self.below(6) {
                0 => vec![],
                1 => vec![self.below(256) as u8],
                2 => WORDS[self.below(WORDS.len())].into(),
                3 => bytes[at..end].repeat(3),
                4 => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len());
                    other[from..(from + self.below(40)).min(other.len())].into()
                }
                _ => {
                    self.change_number(&mut bytes);
                    continue;
                }
            };
            bytes.splice(at..end, new);
        }
        bytes
    }

    /// Puts a number that is at some limit in the place of another.
    fn change_number(&mut self, bytes: &mut Vec<u8>) {
        let from = self.below(bytes.len());
        let digit = |byte: &u8| byte.is_ascii_digit();
        let Some(start) = bytes[from..].iter().position(digit).map(|start| from + start) else {
            return;
        };
        let length = bytes[start..].iter().take_while(|byte| digit(byte)).count();
        bytes.splice(start..start + length, NUMBERS[self.below(NUMBERS.len())].bytes());
    }
}

const WORDS: [&str; 10] =
    ["\r\n", "\n", "null", "[]", "{}", "\"\"", "\u{1e}", ": ", "chunked", "close"];
const NUMBERS: [&str; 10] = [
    "0",
    "1",
    "-1",
    "255",
    "4294967296",
    "9223372036854775808",
    "18446744073709551615",
    "1e308",
    "1e-308",
    "0.5",
];
