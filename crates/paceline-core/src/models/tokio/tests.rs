//! The sizes of the futures that tokio is handed, and what is inside the clock of a batch.

use std::{
    cell::{Cell, RefCell},
    sync::Mutex,
    time::Instant,
};

use paceline_gated::clock::now;

use super::*;
use crate::{
    job::{Jobs, Receipt, Steps, Workload},
    perform::{Mixed, Offloads, Partners, Sockets, Timers, connection, perform, start},
};

#[test]
fn a_jobs_future_is_no_larger_than_its_steps_need() {
    let steps: &'static Steps = Box::leak(Box::default());
    let model = Tokio::<false>;
    let runtime = CurrentThread::start(&Settings { workers: 1 }).unwrap();
    runtime.runtime.block_on(async {
        let timer = tokio::time::sleep(Duration::ZERO);
        let sleeps = size_of_val(&perform::<_, Timers>(model, steps, 0, 0));
        // Besides the timer: the steps, the position in them, the receipt, and two states.
        assert!(sleeps <= size_of_val(&timer) + 48, "{sleeps} bytes");
        let mixed = size_of_val(&perform::<_, Mixed>(model, steps, 0, 0));
        assert!(mixed <= 96, "{mixed} bytes: every wait is boxed");
        let hops = size_of_val(&perform::<_, Partners>(model, steps, 0, 0));
        let bare = size_of_val(&model.hop(1, 0));
        assert!(hops <= bare + 48, "{hops} bytes, and a hop alone has {bare}");
        let work = || Receipt::new(0);
        let offloads = size_of_val(&perform::<_, Offloads>(model, steps, 0, 0));
        // Besides the work itself: its steps and its seed.
        let bare = size_of_val(&model.offload(work)) + 24;
        assert!(offloads <= bare + 48, "{offloads} bytes, and offloaded work alone has {bare}");
    });
}

#[test]
fn a_connections_future_is_larger_than_an_idle_ones_by_no_more_than_its_jobs_future() {
    fn returned<S, F>(_: impl Fn(S) -> F) -> usize {
        size_of::<F>()
    }
    fn size<F: Spawnable<Output = io::Result<Receipt>>>(job: impl Maker<F>) -> usize {
        // Never called: only the type of the future matters.
        returned(|stream: TcpStream| connection(stream, job))
    }
    let steps: &'static Steps = Box::leak(Box::default());
    let idle = size(|seed| async move { Ok(Receipt::new(seed as u64)) });
    let runtime = CurrentThread::start(&Settings { workers: 1 }).unwrap();
    runtime.runtime.block_on(async {
        let job = size_of_val(&perform::<_, Timers>(Tokio::<false>, steps, 0, 0));
        let sleeps = size(move |_| perform::<_, Timers>(Tokio::<false>, steps, 0, 0));
        assert!(sleeps <= idle + job, "{sleeps} bytes, idle {idle}, and the job alone has {job}");
        // The stream, three buffers and the parsed request; the chunk itself is on the heap.
        assert!(idle <= size_of::<TcpStream>() + 320, "{idle} bytes");
    });
}

#[test]
fn no_jobs_future_is_so_large_that_tokio_boxes_it() {
    // tokio boxes a task's future above this in debug builds, and above 16 KiB in others.
    const BOXED: usize = 2 << 10;
    let steps: &'static Steps = Box::leak(Box::default());
    let model = Tokio::<false>;
    let sizes = [
        size_of_val(&perform::<_, Timers>(model, steps, 0, 0)),
        size_of_val(&perform::<_, Sockets>(model, steps, 0, 0)),
        size_of_val(&perform::<_, Partners>(model, steps, 0, 0)),
        size_of_val(&perform::<_, Offloads>(model, steps, 0, 0)),
        size_of_val(&perform::<_, Mixed>(model, steps, 0, 0)),
    ];
    assert!(sizes.iter().all(|size| *size <= BOXED), "{sizes:?}");
}

thread_local! {
    /// The bytes of the futures that [`Weighing`] was handed on this thread.
    static HANDED: RefCell<Vec<usize>> = const { RefCell::new(vec![]) };
    /// How often this thread has read the clock, and how often it had at each output that was taken of [`Weighing`].
    static READ: Cell<usize> = const { Cell::new(0) };
    static TAKEN: RefCell<Vec<usize>> = const { RefCell::new(vec![]) };
}

/// A runtime of the calling thread that notes the size of each future that it spawns, and when its outputs are taken.
struct Weighing(CurrentThread);

impl Runtime for Weighing {
    type Model = Tokio<false>;

    fn start(settings: &Settings) -> io::Result<Self> {
        CurrentThread::start(settings).map(Weighing)
    }

    fn model(&self) -> Tokio<false> {
        Tokio
    }

    fn root<F: Spawnable>(&self, root: F) -> F::Output {
        self.0.root(root)
    }

    fn outside<F: Spawnable>(
        &self,
        jobs: usize,
        job: impl Maker<F>,
    ) -> impl IntoIterator<Item = F::Output> {
        let weighed = move |index| {
            let future = job(index);
            HANDED.with_borrow_mut(|handed| handed.push(size_of_val(&future)));
            future
        };
        let outputs = self.0.root(Tokio::<false>.gather(jobs, weighed));
        let take = |_: &F::Output| TAKEN.with_borrow_mut(|taken| taken.push(READ.get()));
        outputs.into_iter().inspect(take)
    }

    fn serve<F: Spawnable<Output = ()>>(
        &self,
        bound: impl FnOnce(SocketAddr) + Send + 'static,
        connection: impl Fn(TcpStream) -> F + Copy + Send + Sync + 'static,
    ) -> io::Result<Infallible> {
        self.0.serve(bound, connection)
    }
}

#[test]
fn a_batch_states_the_size_of_the_futures_that_its_jobs_run_in() {
    let steps: &'static Steps = Box::leak(Box::default());
    let model = Tokio::<false>;
    let weighing = start::<Weighing>(&Settings { workers: 1 }).unwrap();
    for (job, built) in [
        ("{ sleep = \"1ms\" }", size_of_val(&perform::<_, Timers>(model, steps, 0, 0))),
        ("{ hop = 2 }", size_of_val(&perform::<_, Partners>(model, steps, 0, 0))),
        (
            "{ offload = [{ compute = 9 }] }",
            size_of_val(&perform::<_, Offloads>(model, steps, 0, 0)),
        ),
        ("{ sleep = \"1ms\" }, { hop = 2 }", size_of_val(&perform::<_, Mixed>(model, steps, 0, 0))),
        // A job that waits for nothing is three words.
        ("{ compute = 9 }", 24),
    ] {
        let text = format!("name = \"weighed\"\njob = [{job}]");
        let jobs = Jobs::load(&Workload::parse("weighed", &text).unwrap());
        let batch = weighing.batch(jobs, 3, Placement::Outside, now);
        assert!(batch.receipts.iter().all(Result::is_ok), "{job}");
        assert_eq!(HANDED.take(), [built; 3], "{job}");
        assert_eq!(batch.future_bytes, Some(built), "{job}");
    }
}

#[test]
fn outputs_are_put_in_order_after_the_clock() {
    fn read() -> Instant {
        READ.set(READ.get() + 1);
        now()
    }
    let weighing = start::<Weighing>(&Settings { workers: 1 }).unwrap();
    let jobs = Jobs::load(&Workload::parse("empty", "name = \"empty\"\njob = []").unwrap());
    let batch = weighing.batch(jobs, 3, Placement::Outside, read);
    assert_eq!(batch.receipts.len(), 3);
    // It is read before the first job is spawned and after the last has ended.
    assert_eq!(TAKEN.take(), [2; 3]);
}

/// tokio, but it notes the size of the children that it is handed.
#[derive(Clone, Copy)]
struct WeighsChildren;

static CHILDREN: Mutex<Vec<usize>> = Mutex::new(Vec::new());

impl Model for WeighsChildren {
    type Stream = TcpStream;

    fn sleep(self, duration: Duration) -> impl Future<Output: Send> + Send {
        TOKIO.sleep(duration)
    }

    fn yield_now(self) -> impl Future<Output = ()> + Send {
        TOKIO.yield_now()
    }

    fn connect(self, address: SocketAddr) -> impl Future<Output = io::Result<TcpStream>> + Send {
        TOKIO.connect(address)
    }

    fn offload<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        TOKIO.offload(work)
    }

    fn hop(self, times: u64, message: u64) -> impl Future<Output = io::Result<u64>> + Send {
        TOKIO.hop(times, message)
    }

    fn gather<F: Spawnable>(
        self,
        width: usize,
        child: impl Maker<F>,
    ) -> impl Future<Output = Vec<F::Output>> + Send {
        CHILDREN.lock().unwrap().push(size_of::<F>());
        TOKIO.gather(width, child)
    }
}

#[test]
fn a_child_that_only_computes_is_no_larger_than_one_written_by_hand() {
    let runtime = CurrentThread::start(&Settings { workers: 1 }).unwrap();
    let sizes_of = |of: &str| {
        let text = format!("name = \"weighed\"\njob = [{{ gather = {{ width = 3, of = {of} }} }}]");
        let jobs = Jobs::load(&Workload::parse("weighed", &text).unwrap());
        CHILDREN.lock().unwrap().clear();
        let seed = Jobs::seed(0);
        let done =
            runtime.root(perform::<_, Mixed>(WeighsChildren, jobs.steps(0), seed, 0)).unwrap();
        assert_eq!(done, jobs.expected(0), "{of}");
        std::mem::take(&mut *CHILDREN.lock().unwrap())
    };
    // The steps, the seed, and whether it has run.
    assert_eq!(sizes_of("[{ compute = 9 }]"), [24]);
    let waits = sizes_of("[{ compute = 9 }, { yield = 1 }]");
    assert!(waits.len() == 1 && waits[0] > 24, "{waits:?}");
    // The children of children are small, too.
    let nested = sizes_of("[{ gather = { width = 2, of = [{ compute = 9 }] } }]");
    assert!(nested.len() == 4 && nested[0] > 24 && nested[1..] == [24; 3], "{nested:?}");
}
