//! Windows that are shorter than an answer: they have no rate, and nothing is compared by them.

use std::{net::SocketAddr, thread, time::Duration};

use paceline::record::State;

use super::{Act, FINE, cell, cell_in, load_in, program, server};

fn delayed(ms: u64) -> SocketAddr {
    let answer = move |_, _: &str| {
        thread::sleep(Duration::from_millis(ms));
        Act::Say(FINE)
    };
    server(answer).0
}

#[test]
fn a_window_without_an_answer_has_no_rate_in_either_loop() {
    for drive in [&["--connections", "2"][..], &["--rate", "3", "--arrivals", "uniform"]] {
        let all = [drive, &["--duration", "600ms", "--trials", "3"]].concat();
        let (cell, code, _) = cell(delayed(700), &all);
        let why = cell.reason.unwrap_or_default();
        assert_eq!((cell.state, cell.jobs_per_second, code), (State::Failed, None, 3), "{why}");
        assert!(why.contains("no answer came within the window of 600ms"), "{why}");
        assert!(why.contains("raise --duration"), "{why}");
    }
    // Where some came, there is one.
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{}/x", delayed(400));
    let (cell, code, _) =
        cell_in(folder.path(), &url, &["--connections", "2", "--duration", "600ms"]);
    assert!(code == 0 && cell.jobs_per_second.unwrap().value > 0.0);
}

#[test]
fn a_server_without_a_rate_is_not_compared_and_it_is_said() {
    let [fast, slow] = [400, 700].map(|ms| format!("http://{}/x", delayed(ms)));
    for (first, second) in [(&fast, &slow), (&slow, &fast)] {
        let folder = tempfile::tempdir().unwrap();
        let closed = "--connections 2 --duration 600ms --warm-up 0s --trials 3 --against";
        let all = std::iter::once(&**first).chain(closed.split(' ')).chain([&**second]);
        let output = load_in(folder.path(), &all.collect::<Vec<_>>());
        let text = program::both(&output);
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains("no comparison: it needs a figure of both servers"), "{text}");
        assert!(!text.contains('×'), "{text}");
    }
}
