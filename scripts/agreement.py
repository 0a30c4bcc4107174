"""What the comparisons with wrk share: nginx, a run of wrk, and the ratio of two generators with its interval."""

import math
import os
import random
import re
import statistics
import string
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from wrk_latencies import SCRIPT, measured, quantile

# Student's t for a two-sided 95 % interval, by degrees of freedom.
T = [12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]
FIGURES = ("requests/s", "p50", "p99")
PORT = 18080
TICK = os.sysconf("SC_CLK_TCK")


class Nginx:
    """nginx with one worker, and what that worker has done so far.

    It listens at `address`. `inside` is a command that runs another, such as `ip netns exec NAME`. Its page has 13 bytes,
    or so many `kib`; who accepts gzip then has it compressed for each request.
    """

    def __init__(self, folder, address="127.0.0.1", inside=(), kib=0):
        self.url = f"http://{address}:{PORT}/"
        words = random.Random(1).choices(string.ascii_lowercase, k=kib * 1024)
        Path(folder, "index.html").write_text("".join(words) or "hello, world\n")
        Path(folder).chmod(0o755)
        configuration = Path(folder, "nginx.conf")
        configuration.write_text(
            f"worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/errors;\n"
            "events { worker_connections 1024; }\n"
            f"http {{ access_log off; keepalive_requests 100000000; gzip {'on' if kib else 'off'};\n"
            f"server {{ listen {address}:{PORT}; root {folder}; location = /status {{ stub_status; }} }} }}\n"
        )
        self.master = subprocess.Popen([*inside, "nginx", "-c", configuration, "-p", folder])
        children = Path(f"/proc/{self.master.pid}/task/{self.master.pid}/children")
        # It starts its worker once it listens.
        while self.master.poll() is None and not children.read_text():
            time.sleep(0.05)
        if self.master.poll() is not None:
            sys.exit(f"nginx ended: is port {PORT} taken?")
        self.worker = int(children.read_text().split()[0])

    def done(self):
        """Requests, times that the worker slept, and its CPU seconds."""
        with urllib.request.urlopen(self.url + "status") as answer:
            requests = int(answer.read().split()[9])
        status = Path(f"/proc/{self.worker}/status").read_text()
        sleeps = int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.M)[1])
        fields = Path(f"/proc/{self.worker}/stat").read_text().rsplit(")", 1)[1].split()
        return requests, sleeps, (int(fields[11]) + int(fields[12])) / TICK

    def stop(self):
        self.master.terminate()
        self.master.wait()


def wrk(url, connections, seconds, options=()):
    """The command, and what reads its requests/s, p50 and p99."""

    def read(text):
        counts = measured(text, connections)
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
        return rate, quantile(counts, 0.5), quantile(counts, 0.99)

    return ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", SCRIPT, *options, url], read


def student(freedom):
    if freedom <= len(T):
        return T[freedom - 1]
    # The first terms of its expansion: at ten degrees of freedom they are 0.1 % too small.
    z = statistics.NormalDist().inv_cdf(0.975)
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def ratio(ours, theirs):
    logs = [math.log(one / other) for one, other in zip(ours, theirs)]
    mean = statistics.mean(logs)
    half = student(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    low, value, high = (math.exp(mean + x) for x in (-half, 0, half))
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def arguments(rounds, *more):
    """The numbers of the command line: ROUNDS and others, or these."""
    given = [int(word) for word in sys.argv[1:]]
    rounds, *more = given + [rounds, *more][len(given):]
    if rounds < 2:
        sys.exit("give at least 2 rounds")
    return rounds, *more


def of_wrk(ours, theirs):
    """The ratio to wrk of each figure: `ours` and `theirs` have the figures of each round."""
    both = zip(FIGURES, zip(*ours), zip(*theirs))
    return ", ".join(f"{what} {ratio(one, other)}" for what, one, other in both)
