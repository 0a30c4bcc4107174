//! What fuzzers feed: bytes from outside, and what must hold of whatever is made of them. `fuzz/README.md` says how to
//! run them. Each function panics where something does not hold, and returns whether it could read the bytes at all.

use std::{
    cell::RefCell,
    io,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::{
    generator::{
        Request,
        answer::{Progress, Rendered, Step},
    },
    host::interpreter::InterpreterTimes,
    job::{Receipt, Workload},
    model::Stream,
    models::foreign::{Reply, replies},
    perform::connection,
    prepared::Recorded,
    protocol,
};

/// The least that is held of an answer, beyond the bytes that were fed: a head of 64 KiB, which a vector may double.
const HELD: usize = 256 << 10;

/// Answers, as the load generator reads them. The first byte says how the others are cut.
pub fn answers(data: &[u8]) -> bool {
    let Some((how, bytes)) = data.split_first() else { return false };
    let accept: &[u16] = if how & 1 == 0 { &[] } else { &[200, 204, 304, 404] };
    let size = usize::from(how >> 1) % 32 + 1;
    let at_once = answered(bytes, bytes.len().max(1), accept, None);
    for size in [size, 1] {
        let cut = answered(bytes, size, accept, None);
        match (cut, at_once) {
            // What follows belongs to nothing, unless it ends the connection.
            (Some((end, _)), None) => assert!(end < bytes.len(), "cut by {size} it is taken"),
            (Some((_, close)), Some((_, whole))) => assert!(whole == close || (whole && !close)),
            (cut, whole) => assert_eq!(cut, whole, "cut by {size}"),
        }
    }
    let mut idle = Progress::new();
    let unasked = bytes.chunks(size).find_map(|part| idle.unasked(part));
    assert_eq!(unasked, Progress::new().unasked(bytes), "cut by {size}");
    at_once.is_some()
}

/// Reads one answer in parts of `size` bytes, then, if it ends before them, the same again, whose head is known by
/// then. Returns how many bytes were read, and whether the connection ends with it; `None` where it is no answer, or not
/// the body that is expected.
///
/// # Panics
///
/// Panics where the same answer is read in two ways, or more is held than it may.
pub fn answered(
    bytes: &[u8],
    size: usize,
    accept: &[u16],
    expect: Option<&str>,
) -> Option<(usize, bool)> {
    let request = Request::get("/", expect.map(str::to_owned));
    let mut request = Rendered::new(&request, true, accept, vec![]);
    let mut once = |bytes: &[u8]| {
        let (mut progress, mut read) = (Progress::new(), 0);
        for part in bytes.chunks(size) {
            read += part.len();
            let step = request.take(&mut progress, part).ok()?;
            let held = progress.held() + request.held();
            assert!(held <= HELD + 2 * part.len(), "{held} bytes are held");
            if let Step::Done { close } = step {
                return Some((read, close));
            }
        }
        match request.close(&mut progress).ok()? {
            Step::Done { close } => Some((read, close)),
            Step::More => None,
        }
    };
    let first = once(bytes);
    if let Some((read, _)) = first {
        assert_eq!(once(&bytes[..read]), first, "it is read in another way when its head is known");
    }
    first
}

/// Requests, as the servers that models are read them. The first byte says how the others are cut.
pub fn requests(data: &[u8]) -> bool {
    let Some((how, bytes)) = data.split_first() else { return false };
    let whole = responses(bytes, bytes.len().max(1));
    // The shortest request is 16 bytes long.
    assert!(whole.len() <= 256 + bytes.len() * 16, "{} bytes of responses", whole.len());
    assert!(whole.is_empty() || whole.starts_with(b"HTTP/1.1 "));
    for size in [usize::from(*how) % 64 + 1, 1] {
        assert_eq!(responses(bytes, size), whole, "cut by {size}");
    }
    whole.starts_with(b"HTTP/1.1 200 ")
}

/// What a connection answers to `bytes`, which come in parts of `size`, without the interim answers: whether there are
/// any depends on what has come with a head.
fn responses(bytes: &[u8], size: usize) -> Vec<u8> {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let client = Client { bytes: bytes.to_owned(), read: 0, size, sent: sent.clone() };
    let serving = connection(client, |index| async move { Ok(Receipt::new(index as u64)) });
    let ended = pin!(serving).poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(ended, Poll::Ready(()), "it waits for more than there is");
    let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
    let mut finals = Vec::with_capacity(sent.len());
    for part in &*sent {
        if !part.starts_with(b"HTTP/1.1 100 ") {
            finals.extend_from_slice(part);
        }
    }
    finals
}

/// A client whose requests are known beforehand.
struct Client {
    bytes: Vec<u8>,
    read: usize,
    size: usize,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Stream for Client {
    async fn send(&mut self, buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(buffer.clone());
        Ok(buffer)
    }

    async fn receive(&mut self, _: Vec<u8>) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    async fn read(&mut self, mut buffer: Vec<u8>) -> io::Result<(Vec<u8>, usize)> {
        let rest = &self.bytes[self.read..];
        let count = self.size.min(rest.len()).min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.read += count;
        Ok((buffer, count))
    }
}

/// Workload files.
pub fn workloads(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let workload = match Workload::calibrated("fuzz.toml", text, || 1.5) {
        Ok(workload) => workload,
        Err(error) => {
            let (line, column) = error.place.unwrap_or((1, 1));
            assert!(line <= text.lines().count() + 1 && column <= text.len() + 1, "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
            return false;
        }
    };
    // What other processes are given is the same workload.
    let again = Workload::parse("fuzz.toml", &workload.source);
    let again = again.unwrap_or_else(|error| panic!("its own text is refused: {error}"));
    assert_eq!(workload.jobs_as_json(), again.jobs_as_json());
    assert_eq!(workload.scales, again.scales);
    let (demand, other) = (workload.demand(), again.demand());
    assert_eq!(format!("{demand:?}"), format!("{other:?}"));
    for scale in &workload.scales {
        assert!(workload.critical_path_wait(*scale) <= workload.total_wait(*scale));
    }
    true
}

thread_local! {
    /// The times of batches, whose three histograms are kept from one input to the next: to make these 800 kB takes
    /// longer than to read an input.
    static TIMES: RefCell<InterpreterTimes> = RefCell::default();
}

/// What interpreters and hosts say to this program.
pub fn protocol(data: &[u8]) -> bool {
    let mut read = false;
    TIMES.with_borrow_mut(|times| {
        times.batches = Recorded::default();
        for reply in replies(&mut &*data) {
            read |= reply.is_ok();
            match reply {
                Ok(Reply::Batch(batch)) => drop(times.take("fuzz", &batch)),
                Ok(other) => drop(format!("{other:?}")),
                Err(why) => assert!(why.len() < 2_000, "{why}"),
            }
        }
    });
    for line in data.split(|byte| *byte == b'\n') {
        let said: Result<protocol::Reply, _> = serde_json::from_slice(line);
        if let Ok(reply) = said {
            // It is written as it was read.
            let text = serde_json::to_string(&reply).expect("a reply is plain data");
            let again: protocol::Reply = serde_json::from_str(&text).expect("it was written");
            assert_eq!(format!("{reply:?}"), format!("{again:?}"));
            read = true;
        }
    }
    read
}
