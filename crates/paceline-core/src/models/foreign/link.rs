//! The pipe to an interpreter: lines limited in length and number, its last error output, and its end.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use paceline_gated::clock::within;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::{Reply, Request};
use crate::leash::Leash;
use crate::quantity::counted;

/// The longest line of a reply without times, in bytes.
const LINE: usize = 64 << 10;
/// The additional bytes allowed for each time that a line carries.
const EACH: usize = 24;
/// The most bytes kept of a line of standard error.
const WORDS: usize = 1000;
/// How long to wait for a line before checking whether the process still runs.
const SLICE: Duration = Duration::from_millis(100);
/// How long a process that closed its output may take to exit before it is killed.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A running interpreter. Dropping it kills it.
pub struct Link {
    child: Child,
    /// `None` after the end of requests was signalled.
    requests: Option<ChildStdin>,
    lines: mpsc::Receiver<OutputLine>,
    longest: Arc<AtomicUsize>,
    words: Arc<Mutex<ErrorLines>>,
    keeper: JoinHandle<()>,
    /// `None` if it is in the group of this process, or its group has been killed.
    leash: Option<Leash>,
    /// The exit status, once the process has been waited for: its id may since belong to another process.
    status: Option<ExitStatus>,
}

/// A line of the interpreter's output.
enum OutputLine {
    Line(Vec<u8>),
    TooLong,
}

impl Link {
    /// Starts `command`, in its own process group or in that of this process.
    pub(super) fn open(mut command: Command, own_group: bool) -> io::Result<Self> {
        if own_group {
            command.process_group(0);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let leash = own_group.then(|| Leash::on(&child));
        let requests = child.stdin.take();
        let output = child.stdout.take().expect("it is piped");
        let errors = child.stderr.take().expect("it is piped");
        // A channel with a capacity of one: an interpreter that floods it blocks on its own pipe.
        let (give, lines) = mpsc::sync_channel(1);
        let longest = Arc::new(AtomicUsize::new(LINE));
        let most = longest.clone();
        thread::Builder::new().spawn(move || {
            let mut output = BufReader::new(output);
            while let Some(said) = line(&mut output, &most) {
                let last = matches!(said, OutputLine::TooLong);
                if give.send(said).is_err() || last {
                    break;
                }
            }
        })?;
        let words = Arc::new(Mutex::new(ErrorLines::default()));
        let kept = words.clone();
        let keeper = thread::Builder::new().spawn(move || {
            let mut errors = BufReader::new(errors);
            listen(&mut errors, |line| {
                kept.lock().unwrap_or_else(PoisonError::into_inner).take(line);
            });
        })?;
        Ok(Link { child, requests, lines, longest, words, keeper, leash, status: None })
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Allows a line to carry `times` times.
    pub fn expect_times(&self, times: usize) {
        self.longest.store(LINE + EACH.saturating_mul(times), Relaxed);
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// Returns a sentence if it has ended, or wrote something without being asked.
    pub fn send(&mut self, request: &Request) -> Result<(), String> {
        if let Ok(said) = self.lines.try_recv() {
            return Err(match said {
                OutputLine::Line(line) => {
                    self.complain(&format!("it said {} without being asked", shown(&line)))
                }
                OutputLine::TooLong => self.too_long(),
            });
        }
        let mut line = serde_json::to_string(request).map_err(|error| error.to_string())?;
        line.push('\n');
        let sent = self.requests.as_mut().map(|input| input.write_all(line.as_bytes()));
        if sent.is_some_and(|sent| sent.is_ok()) { Ok(()) } else { Err(self.died()) }
    }

    /// Waits for the next reply, without limit if `patience` is `None`.
    ///
    /// # Errors
    ///
    /// Returns a sentence if it ended, wrote something that is not a reply, or wrote nothing in time.
    pub fn receive(&mut self, patience: Option<Duration>) -> Result<Reply, String> {
        let said = self.await_line(patience);
        match said {
            Ok(OutputLine::Line(line)) => reply(&line).map_err(|why| self.complain(&why)),
            Ok(OutputLine::TooLong) => Err(self.too_long()),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(self.died()),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let patience = humantime::format_duration(patience.unwrap_or_default());
                Err(self.complain(&format!("it said nothing within {patience}")))
            }
        }
    }

    /// Also checks the process, because a child of it may keep its output open after it has ended.
    fn await_line(
        &mut self,
        patience: Option<Duration>,
    ) -> Result<OutputLine, mpsc::RecvTimeoutError> {
        let mut left = patience.unwrap_or(Duration::MAX);
        let mut over = false;
        loop {
            match self.lines.recv_timeout(SLICE.min(left)) {
                Err(mpsc::RecvTimeoutError::Timeout) if over => {
                    return Err(mpsc::RecvTimeoutError::Disconnected);
                }
                Err(mpsc::RecvTimeoutError::Timeout) if left > SLICE => left -= SLICE,
                other => return other,
            }
            // Its last lines may still be on the way.
            over = self.status().is_some();
        }
    }

    /// Returns how it ended; `None` while it runs.
    pub fn exit_reason(&mut self) -> Option<String> {
        self.status().is_some().then(|| self.died())
    }

    /// Returns its exit status if it has ended. Its process group is then killed too.
    fn status(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)?;
            let ended = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            waitid(WaitId::Pid(id), ended).ok().flatten()?;
            self.end_group();
            self.status = self.child.wait().ok();
        }
        self.status
    }

    /// Kills the group, if it is its own. Only the first time, before the process is waited for: after that, its id may
    /// belong to another process.
    fn end_group(&mut self) {
        let Some(_leash) = self.leash.take() else { return };
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
    }

    /// Closes its standard input and waits for its end.
    ///
    /// # Errors
    ///
    /// Returns a sentence if it exits with a code other than 0, or does not exit.
    pub fn close(&mut self) -> Result<(), String> {
        self.requests = None;
        match self.wait() {
            Some(status) if status.success() => Ok(()),
            _ => Err(self.died()),
        }
    }

    fn wait(&mut self) -> Option<ExitStatus> {
        within(LAST_WORDS, || self.status().is_some());
        self.status
    }

    fn died(&mut self) -> String {
        let how = if let Some(status) = self.wait() {
            match status.signal() {
                Some(signal) => format!("it was ended by signal {signal}"),
                None => format!("it ended with {status}"),
            }
        } else {
            let _ = self.child.kill();
            "it closed its output and did not end".into()
        };
        // Its last output may still be on the way, and a child of it may keep the pipe open.
        within(LAST_WORDS / 4, || self.keeper.is_finished());
        self.complain(&how)
    }

    fn too_long(&self) -> String {
        let most = counted(self.longest.load(Relaxed), "byte");
        self.complain(&format!("it wrote a line of more than {most}"))
    }

    /// Describes what went wrong, with the first useful line of standard error.
    fn complain(&self, what: &str) -> String {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let said = words.best().map(|line| format!("; it said: {line}")).unwrap_or_default();
        format!("the interpreter failed: {what}{said}")
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.end_group();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the replies in `output` while its lines are within the limit.
pub(crate) fn replies(output: &mut impl BufRead) -> impl Iterator<Item = Result<Reply, String>> {
    let longest = AtomicUsize::new(LINE);
    std::iter::from_fn(move || match line(output, &longest)? {
        OutputLine::Line(line) => Some(reply(&line)),
        OutputLine::TooLong => None,
    })
}

fn reply(line: &[u8]) -> Result<Reply, String> {
    serde_json::from_slice(line)
        .map_err(|error| format!("it said {}, which is no reply: {error}", shown(line)))
}

/// Reads the next line, without its line end; `None` at the end of the output.
fn line(output: &mut impl BufRead, longest: &AtomicUsize) -> Option<OutputLine> {
    let mut line = Vec::new();
    loop {
        let read = output.fill_buf().ok().filter(|read| !read.is_empty())?;
        let end = read.iter().position(|byte| *byte == b'\n');
        let part = end.unwrap_or(read.len());
        if line.len() + part > longest.load(Relaxed) {
            return Some(OutputLine::TooLong);
        }
        line.extend_from_slice(&read[..part]);
        output.consume(part + usize::from(end.is_some()));
        if end.is_some() {
            return Some(OutputLine::Line(line));
        }
    }
}

/// Passes the start of each line to `take`, and discards what exceeds the limit.
fn listen(errors: &mut impl BufRead, mut take: impl FnMut(&str)) {
    let mut line = Vec::new();
    while let Ok(read) = errors.fill_buf()
        && !read.is_empty()
    {
        let end = read.iter().position(|byte| *byte == b'\n');
        let part = end.unwrap_or(read.len());
        line.extend_from_slice(&read[..part.min(WORDS.saturating_sub(line.len()))]);
        errors.consume(part + usize::from(end.is_some()));
        if end.is_some() {
            take(&String::from_utf8_lossy(&line));
            line.clear();
        }
    }
    take(&String::from_utf8_lossy(&line));
}

/// The kept lines of standard error.
#[derive(Debug, Default)]
struct ErrorLines {
    first: Option<String>,
    error: Option<String>,
}

impl ErrorLines {
    fn take(&mut self, line: &str) {
        // Frames of a traceback are indented, in Python and in JavaScript.
        let passed = line.trim().is_empty()
            || line.starts_with(char::is_whitespace)
            || line.starts_with("Traceback (most recent call last)");
        if passed {
            return;
        }
        let lower = line.to_lowercase();
        let signs = ["error", "exception", "panic", "fatal", "cannot", "the server ended"];
        if self.error.is_none() && signs.iter().any(|sign| lower.contains(sign)) {
            self.error = Some(line.trim().to_owned());
        }
        self.first.get_or_insert_with(|| line.trim().to_owned());
    }

    fn best(&self) -> Option<&String> {
        self.error.as_ref().or(self.first.as_ref())
    }
}

/// Quotes the start of a line.
pub(crate) fn shown(line: &[u8]) -> String {
    const MOST: usize = 120;
    let text = String::from_utf8_lossy(&line[..line.len().min(MOST)]);
    if line.len() > MOST { format!("{text:?}…") } else { format!("{text:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Option<String> {
        let mut words = ErrorLines::default();
        listen(&mut text.as_bytes(), |line| words.take(line));
        words.best().cloned()
    }

    #[test]
    fn the_first_line_that_looks_like_an_error_is_the_useful_one() {
        let python = "note: warming up\nTraceback (most recent call last):\n  File \"x\", line 1\nValueError: no\nKeyError: later\n";
        assert_eq!(words(python).unwrap(), "ValueError: no");
        let node = "/x.js:1\nthrow new Error('no')\n^\n\nError: no\n    at x.js:1\n";
        assert_eq!(words(node).unwrap(), "throw new Error('no')");
        assert_eq!(words("goroutine 1\npanic: no").unwrap(), "panic: no");
        assert_eq!(words("\n  indented\njust chatter\nmore").unwrap(), "just chatter");
        assert_eq!(words("\n\n"), None);
        assert_eq!(words(&"x".repeat(1 << 20)).unwrap().len(), WORDS);
    }

    #[test]
    fn a_group_is_ended_before_its_leaders_number_can_be_another_s() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & echo $!; exit 3"]);
        let mut link = Link::open(command, true).unwrap();
        let Ok(OutputLine::Line(id)) = link.await_line(Some(Duration::from_secs(9))) else {
            panic!()
        };
        let status = format!("/proc/{}/stat", String::from_utf8(id).unwrap());
        assert!(link.exit_reason().or_else(|| link.wait().map(|_| link.died())).is_some());
        let gone = || std::fs::read_to_string(&status).map_or(true, |stat| stat.contains(") Z"));
        within(LAST_WORDS, gone);
        assert!(gone(), "{status}");
    }

    #[test]
    fn a_line_over_its_bound_is_never_held_whole() {
        let longest = AtomicUsize::new(10);
        let mut output = BufReader::with_capacity(4, &b"0123456789\nno\n01234567890\n"[..]);
        assert!(
            matches!(line(&mut output, &longest), Some(OutputLine::Line(l)) if l == b"0123456789")
        );
        assert!(matches!(line(&mut output, &longest), Some(OutputLine::Line(l)) if l == b"no"));
        assert!(matches!(line(&mut output, &longest), Some(OutputLine::TooLong)));
    }
}
