#!/usr/bin/env python3
"""Compares `paceline load` with wrk on nginx, in turns, and measures how late an open loop starts its requests.

scripts/nginx-agreement.py [PAIRS]: needs nginx and wrk; PACELINE is the program (target/release/paceline).
The percentiles are those of requests that were sent: what wrk adds to its latencies is taken out, see wrk_latencies.py.
"""

import json
import math
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from wrk_latencies import SCRIPT, measured, quantile

PACELINE = os.environ.get("PACELINE", "target/release/paceline")
URL = "http://127.0.0.1:18080/"
# Student's t for a two-sided 95 % interval, by degrees of freedom.
T = [12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145]


def wrk(connections):
    command = ["wrk", "-t1", f"-c{connections}", "-d5s", "-s", SCRIPT, URL]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counts = measured(text, connections)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    return rate, quantile(counts, 0.5), quantile(counts, 0.99)


def paceline(folder, *options):
    command = [PACELINE, "load", URL, "--format", "json", "--out", folder, *options]
    run = subprocess.run(command, capture_output=True, text=True)
    cell = json.loads(run.stdout)[0]
    if cell["state"] != "ok":
        sys.exit(f"{cell['state']}: {cell['reason']}")
    return cell


def pair(folder, connections, wrk_first):
    def ours():
        cell = paceline(folder, "--connections", str(connections), "--duration", "5s", "--trials", "1")
        trial = cell["per_trial"]
        return cell["jobs_per_second"]["value"] if cell["jobs_per_second"] else trial["jobs_per_second"][0], \
            trial["latency_ns_p50"][0] / 1e9, trial["latency_ns_p99"][0] / 1e9

    if wrk_first:
        theirs = wrk(connections)
        return theirs, ours()
    mine = ours()
    return wrk(connections), mine


def until_it_accepts(server):
    while server.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", 18080), 1).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
    sys.exit("nginx ended: is port 18080 taken?")


def main():
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    if not 2 <= pairs <= len(T) + 1:
        sys.exit(f"give a number of pairs from 2 to {len(T) + 1}")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "index.html").write_text("hello, world\n")
        Path(folder).chmod(0o755)
        configuration = Path(folder, "nginx.conf")
        configuration.write_text(
            f"worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/errors;\n"
            "events { worker_connections 1024; }\n"
            "http { access_log off; keepalive_requests 100000000;\n"
            f"server {{ listen 127.0.0.1:18080; root {folder}; }} }}\n"
        )
        server = subprocess.Popen(["nginx", "-c", configuration, "-p", folder])
        try:
            until_it_accepts(server)
            for connections in (64, 1):
                both = [pair(folder, connections, index % 2 == 0) for index in range(pairs)]
                for place, name in enumerate(("requests/s", "p50", "p99")):
                    logs = [math.log(mine[place] / theirs[place]) for theirs, mine in both]
                    mean = statistics.mean(logs)
                    half = T[pairs - 2] * statistics.stdev(logs) / math.sqrt(pairs)
                    low, value, high = (math.exp(mean + x) for x in (-half, 0, half))
                    print(f"{connections} connections, {name}: {value:.3f} of wrk [{low:.3f}, {high:.3f}]")
            for more in ([], ["--every", "1s"]):
                options = ["--rate", "10000", "--connections", "16", "--duration", "10s", "--trials", "3", *more]
                load = paceline(folder, *options)["load"]
                late = load["schedule_error"]["ns_p99"] / 1e3
                share = load["generator_cpu_share_max"]
                print(f"open loop, 10 000/s {' '.join(more)}: 99 % start within {late:.0f} µs, {share:.0%} of a CPU")
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
