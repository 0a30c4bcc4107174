"""The models of Python, and the protocol by which paceline drives them: docs/protocol.md."""

import asyncio
import json
import os
import sys
import threading

import blocking
import grouping
import probing
import serving
from looping import Looping, sleep_at_least
from receipts import Jobs, Servers, compute_ns, join
from time import perf_counter_ns

POOL_STEPS = [
    "sleep", "block", "compute", "offload", "connect", "connect.slow", "connect.room", "exchange", "say", "hear", "yield",
]
CALLER_STEPS = [*POOL_STEPS, "gather", "gather.each", "group", "group.cancel", "fail"]
LOOP_STEPS = [*CALLER_STEPS, "hop"]
CALL_PROBES = ["inert", "created"]
LATENESS = 4_000_000


def free_threaded():
    return not getattr(sys, "_is_gil_enabled", lambda: True)()


def process_pool(workers):
    """Returns a pool with started processes, forked now, while this process has no other thread."""
    # Imported only when needed: the garbage collector traverses every loaded module, and a plain program loads fewer.
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork"))
    pool.submit(int).result()
    return pool


def thread_pool(workers):
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(workers)


def end_workers():
    """Ends the child processes, if there are any."""
    multiprocessing = sys.modules.get("multiprocessing")
    for worker in multiprocessing.active_children() if multiprocessing else ():
        worker.kill()


class Loop:
    """An event loop, asyncio's or another. Offloaded steps run on threads or in processes."""

    steps = LOOP_STEPS
    probes = [*CALL_PROBES, "cancelled"]

    def __init__(self, new_loop=None, processes=False):
        self.new_loop, self.processes = new_loop, processes
        self.parallel = processes or free_threaded()
        self.pool = self.runner = None

    def prepare(self, jobs, servers, workers):
        if self.processes and self.pool is None:
            self.pool = process_pool(workers)
        if self.runner is None:
            self.runner = asyncio.Runner(loop_factory=self.new_loop)
        # libuv counts in whole milliseconds.
        sleep = sleep_at_least if self.new_loop else asyncio.sleep
        self.looping = Looping(jobs, servers, self.pool, sleep)

    def batch(self, scale, noted):
        return self.runner.run(self.looping.batch(scale, noted))

    def probe(self, what):
        return self.runner.run(probing.of_loop(what))

    def serve(self, bound):
        async def job(index):
            return await self.looping.perform(*self.looping.jobs.of(index))

        self.runner.run(serving.serve_loop(bound, job))

    def stop(self):
        if self.runner:
            self.runner.close()
        if self.pool:
            self.pool.shutdown()


class Pool:
    """A pool of threads or processes from `concurrent.futures`. A job is one call."""

    steps = POOL_STEPS
    probes = CALL_PROBES

    def __init__(self, processes):
        self.processes, self.pool = processes, None
        self.parallel = processes or free_threaded()

    def prepare(self, jobs, servers, workers):
        self.workers = workers
        blocking.ready(jobs, servers)
        if self.processes and self.pool:
            # Its processes were forked earlier, with other jobs.
            self.pool.shutdown()
            self.pool = None
        if self.pool is None:
            self.pool = process_pool(workers) if self.processes else thread_pool(workers)

    def batch(self, scale, noted):
        submit, job = self.pool.submit, blocking.noted_job if noted else blocking.job
        start = perf_counter_ns()
        futures = [submit(job, index) for index in range(scale)]
        outputs = [outcome(future.result) for future in futures]
        return start, perf_counter_ns(), outputs

    def probe(self, what):
        def both(call):
            futures = [self.pool.submit(call, index) for index in range(2)]
            return [future.result() for future in futures]

        return probing.of_calls(what, both)

    def serve(self, bound):
        listening = serving.listener()
        if not self.processes:
            bound(listening.getsockname())
            serving.accept_each(listening, lambda stream: self.pool.submit(serving.hold, stream, blocking.job))
        # As in servers with worker processes, each process accepts connections itself.
        self.pool.shutdown()
        import multiprocessing.connection

        context = multiprocessing.get_context("fork")
        workers = [context.Process(target=serve_alone, args=[listening], daemon=True) for _ in range(self.workers)]
        for worker in workers:
            worker.start()
        bound(listening.getsockname())
        multiprocessing.connection.wait([worker.sentinel for worker in workers])
        serving.end(RuntimeError("a worker process ended"))

    def stop(self):
        if self.pool:
            self.pool.shutdown()


class Caller:
    """Runs one job after another."""

    steps = CALLER_STEPS
    probes = CALL_PROBES
    parallel = False

    def prepare(self, jobs, servers, workers):
        blocking.ready(jobs, servers)

    def batch(self, scale, noted):
        job = blocking.noted_job if noted else blocking.job
        start = perf_counter_ns()
        outputs = [outcome(job, index) for index in range(scale)]
        return start, perf_counter_ns(), outputs

    def probe(self, what):
        return probing.of_calls(what, lambda call: [call(index) for index in range(2)])

    def serve(self, bound):
        listening = serving.listener()
        bound(listening.getsockname())
        serve_alone(listening)

    def stop(self):
        pass


def serve_alone(listening):
    serving.accept_each(listening, lambda stream: serving.hold(stream, blocking.job))


def outcome(call, *arguments):
    try:
        return call(*arguments)
    except Exception as error:
        return error


class Unavailable(Exception):
    pass


def model_of(name):
    """Returns the model of this name, and the version of its library."""
    version = sys.version.split()[0] + (" free-threaded" if free_threaded() else "")
    match name:
        case "asyncio":
            return Loop(), version
        case "uvloop":
            try:
                import uvloop
            except ImportError:
                how = f"uvloop is not installed; install it with: {sys.executable} -m pip install uvloop"
                raise Unavailable(how) from None
            return Loop(uvloop.new_event_loop), f"{version}, uvloop {uvloop.__version__}"
        case "asyncio+processes":
            return Loop(processes=True), version
        case "python-threads":
            return Pool(processes=False), version
        case "python-processes":
            return Pool(processes=True), version
        case "python-sequential":
            return Caller(), version
    raise Unavailable(f"this interpreter knows no model {name}")


class Failed(Exception):
    def __init__(self, job, error):
        super().__init__(error)
        self.job = job


class Interpreter:
    """Answers requests in order."""

    def __init__(self, model, output):
        self.model, self.output, self.scale = model, output, None

    def say(self, name, **fields):
        self.write(name, fields)
        self.output.flush()

    def write(self, name, fields):
        self.output.write(json.dumps({name: fields}, separators=(",", ":")).encode() + b"\n")

    def answer(self, line):
        (name, fields), = json.loads(line).items()
        match name:
            case "prepare":
                self.prepare(fields)
                self.scale = fields["scale"]
                self.say("prepared")
            case "batches":
                if fields["times"]:
                    for _ in range(fields["count"]):
                        self.say("batch", **self.batch(True)[0])
                else:
                    # Written together: a reader that wakes for each line would compete with the next batch.
                    batches = [self.batch(False)[0] for _ in range(fields["count"])]
                    for batch in batches:
                        self.write("batch", batch)
                    self.output.flush()
            case "watch":
                grouping.watch()
                batch, outputs = self.batch(True)
                for times in ("latency_ns", "service_ns", "lateness_ns", "sleeps_lost"):
                    del batch[times]
                threads = len({output[4] for output in outputs})
                seen = grouping.seen()
                self.say("watched", **batch, peak_in_flight=peak(outputs), job_threads=threads, **seen)
            case "probe":
                self.say("probed", **self.model.probe(fields["what"]))
            case "serve":
                self.prepare(fields)
                if listen := fields.get("listen"):
                    serving.listen_at(listen["address"], listen["token"])
                self.serve()
            case "stop":
                self.model.stop()
                self.say("stopped")
                return False
            case _:
                raise ValueError(f"this interpreter does not know the request {name}")
        return True

    def prepare(self, fields):
        self.model.prepare(Jobs(fields["jobs"], fields.get("scale", 0)), Servers(fields), fields["workers"])

    def batch(self, noted):
        if self.scale is None:
            raise ValueError("no cell is prepared")
        start, end, outputs = self.model.batch(self.scale, noted)
        for index, output in enumerate(outputs):
            if isinstance(output, Exception):
                raise Failed(index, serving.said(output))
        units, digest = join(0, (output[:2] for output in outputs))
        batch = dict(ns=end - start, jobs=len(outputs), units=units, digest=f"{digest:016x}")
        if noted:
            late = [late for output in outputs for late in output[5]]
            batch |= dict(
                latency_ns=[output[3] - start for output in outputs],
                service_ns=[output[3] - output[2] for output in outputs],
                lateness_ns=late[:LATENESS],
                sleeps_lost=max(0, len(late) - LATENESS),
            )
        return batch, outputs

    def serve(self):
        def bound(address):
            # Started only now: a process that forks its workers must have no other thread.
            threading.Thread(target=end_with_input, daemon=True).start()
            self.say("serving", address=f"{address[0]}:{address[1]}")

        self.model.serve(bound)


def end_with_input():
    while sys.stdin.buffer.read(1 << 16):
        pass
    end_workers()
    os._exit(0)


def peak(outputs):
    """Returns the peak number of jobs in flight."""
    moments = [(output[2], 0) for output in outputs] + [(output[3], 1) for output in outputs]
    most = now = 0
    for _, ends in sorted(moments):
        now += -1 if ends else 1
        most = max(most, now)
    return most


def main(name):
    # Other writes to standard output must not break a line of the protocol.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        model, version = model_of(name)
    except Unavailable as why:
        fields = dict(reason=str(why), version=sys.version.split()[0])
        output.write(json.dumps({"unavailable": fields}).encode() + b"\n")
        output.flush()
        return
    interpreter = Interpreter(model, output)
    interpreter.say(
        "hello", protocol=3, model=name, language="Python", version=version, steps=model.steps,
        compute_ns=compute_ns(), parallel=model.parallel, probes=model.probes, program=sys.executable or None,
    )
    while line := sys.stdin.buffer.readline():
        try:
            if not interpreter.answer(line):
                return
        except Failed as failed:
            interpreter.say("failed", job=failed.job, error=str(failed))
        except Exception as error:
            interpreter.say("failed", job=None, error=serving.said(error))
    # The parent is gone. Exit without cleanup: processes of a pool would wait for ever.
    end_workers()
    os._exit(0)
