#!/usr/bin/env python3
"""Compares load between nodes with wrk: nginx in one network namespace, both generators in another, in turns.

scripts/hosts-agreement.py [ROUNDS [SECONDS]]: needs root, iproute2, nginx and wrk. PACELINE is the program
(target/release/paceline).

The namespaces are joined by a veth pair, and are nodes of a plan: `paceline cluster plan`, `work` on each, `collect`. Each
generator runs once in each of 10 ROUNDS, for 5 SECONDS. A ratio is the geometric mean over the rounds, with its 95 %
interval. The percentiles of wrk are those of its requests: wrk_latencies.py takes out what wrk adds.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from agreement import Nginx, arguments, of_wrk, wrk

PROGRAM = Path(os.environ.get("PACELINE", "target/release/paceline")).absolute()
SERVER, GENERATOR = "10.93.2.1", "10.93.2.2"


class Namespaces:
    """Two network namespaces with a cable between them, for as long as the block lasts."""

    def __init__(self):
        self.names = [f"paceline-{end}-{os.getpid()}" for end in ("server", "generator")]

    def __enter__(self):
        server, generator = self.names
        lines = [
            f"netns add {server}",
            f"netns add {generator}",
            f"link add veth0 netns {server} type veth peer name veth0 netns {generator}",
        ]
        for name, address in zip(self.names, (SERVER, GENERATOR)):
            lines += [f"-n {name} addr add {address}/24 dev veth0"]
            lines += [f"-n {name} link set {device} up" for device in ("lo", "veth0")]
        try:
            for line in lines:
                subprocess.run(["ip", *line.split()], check=True)
        except subprocess.CalledProcessError:
            self.__exit__()
            sys.exit("no network namespaces can be made here: run this as root, with iproute2 installed")
        return [["ip", "netns", "exec", name] for name in self.names]

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)


def said(line):
    """What a command prints; it has to succeed."""
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, line))} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def paceline(inside, url, connections, seconds):
    """requests/s, p50 and p99 in seconds of one trial from one node to the other."""
    with tempfile.TemporaryDirectory() as folder:
        plan = f"{folder}/plan"
        nodes = ["--server", f"server={SERVER}", "--generator", f"generator={GENERATOR}"]
        how = ["--connections", str(connections), "--duration", f"{seconds}s", "--trials", "1"]
        said([PROGRAM, "cluster", "plan", url, *nodes, *how, "--out", plan])
        works = [
            subprocess.Popen(
                [*inside[place], PROGRAM, "cluster", "work", plan, "0000", "--node", node],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for place, node in enumerate(("server", "generator"))
        ]
        for work in works:
            told, _ = work.communicate()
            if work.returncode != 0:
                sys.exit(f"paceline cluster work ended with {work.returncode}: {told}")
        # It ends with 3 where the cell has no figure, and the cell says why.
        subprocess.run(
            [PROGRAM, "cluster", "collect", plan, "--results", f"{folder}/results"], capture_output=True
        )
        (cells,) = Path(folder, "results").glob("*/cells.jsonl")
        cell = json.loads(cells.read_text())
    if cell["state"] != "ok":
        sys.exit(f"{cell['state']}: {cell['reason']}")
    trial = cell["per_trial"]
    if not trial["latency_ns_p99"]:
        sys.exit("there are too few requests for a p99: give more SECONDS")
    return trial["jobs_per_second"][0], trial["latency_ns_p50"][0] / 1e9, trial["latency_ns_p99"][0] / 1e9


def main():
    rounds, seconds = arguments(10, 5)
    for needed in ("ip", "nginx", "wrk", PROGRAM):
        if not shutil.which(needed):
            sys.exit(f"{needed} is not installed, or not built")
    with tempfile.TemporaryDirectory() as folder, Namespaces() as inside:
        nginx = Nginx(folder, SERVER, inside[0])

        def of_one(connections):
            line, read = wrk(nginx.url, connections, seconds)
            return read(said([*inside[1], *line]))

        generators = {
            "paceline": lambda connections: paceline(inside, nginx.url, connections, seconds),
            "wrk": of_one,
        }
        try:
            for connections in (64, 1):
                found = {name: [] for name in generators}
                for index in range(rounds):
                    # Each goes first in turn.
                    for name in sorted(generators, reverse=index % 2 == 1):
                        found[name].append(generators[name](connections))
                print(f"{connections} connections:")
                for name, figures in found.items():
                    rate, p50, p99 = (statistics.median(one) for one in zip(*figures))
                    print(f"  {name}: {rate:.0f} requests/s, p50 {p50 * 1e6:.0f} µs, p99 {p99 * 1e6:.0f} µs")
                print(f"  paceline to wrk: {of_wrk(found['paceline'], found['wrk'])}", flush=True)
        finally:
            nginx.stop()


if __name__ == "__main__":
    main()
