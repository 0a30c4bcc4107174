#!/usr/bin/env python3
"""Compares `paceline load` with wrk and oha on nginx, in turns, and measures how late an open loop starts its requests.

scripts/nginx-agreement.py [ROUNDS [SECONDS [KIB]]]: needs nginx and wrk, and takes oha if it is installed. PACELINE is
the program (target/release/paceline), or several with colons in between. With KIB, nginx compresses a page of that size
for each request: what a generator takes for one then hardly matters.

Each generator runs once in each of 5 ROUNDS, for 5 SECONDS: first wherever the system puts it, then with nginx and the
generators on a CPU each. Requests are counted by nginx itself. With a C compiler it also shows what it costs nginx that a
generator sleeps: three programs that differ in that alone (scripts/wakes.c).

The percentiles of wrk are those of its requests: wrk_latencies.py takes out what wrk adds.
"""

import functools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from agreement import Nginx, PORT, arguments, of_wrk, wrk

PROGRAMS = os.environ.get("PACELINE", "target/release/paceline").split(":")
URL = f"http://127.0.0.1:{PORT}/"


def oha(connections, seconds, options=()):
    def read(text):
        told = json.loads(text)
        return told["summary"]["requestsPerSec"], told["latencyPercentiles"]["p50"], told["latencyPercentiles"]["p99"]

    return ["oha", "-z", f"{seconds}s", "-c", str(connections), "--no-tui", "--output-format", "json", *options, URL], read


def paceline(program, folder, *options):
    def read(text):
        cell = json.loads(text)[0]
        if cell["state"] != "ok":
            sys.exit(f"{cell['state']}: {cell['reason']}")
        return cell

    return [program, "load", URL, "--format", "json", "--out", folder, *options], read


def closed(program, folder, more=()):
    def command(connections, seconds):
        options = ["--connections", str(connections), "--duration", f"{seconds}s", "--trials", "1", *more]
        line, read = paceline(program, folder, *options)

        def figures(text):
            trial = read(text)["per_trial"]
            return trial["jobs_per_second"][0], trial["latency_ns_p50"][0] / 1e9, trial["latency_ns_p99"][0] / 1e9

        return line, figures

    return command


def wakes(program, how):
    def command(connections, seconds):
        return [program, how, str(connections), str(seconds)], lambda text: (float(text),)

    return command


def run(line, read, cpus):
    """What a command tells, and what it and its children used."""
    with tempfile.TemporaryFile("w+") as output:
        started = subprocess.Popen(line, stdout=output, preexec_fn=lambda: os.sched_setaffinity(0, cpus))
        _, status, used = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    # paceline ends with 3 where the cell has no figures, and the cell says why.
    if started.returncode not in (0, 3):
        sys.exit(f"{line[0]} ended with {started.returncode}: {text}")
    return read(text), used


def once(nginx, command, connections, seconds, cpus):
    """The figures of one load, and per request: sleeps and CPU µs of the generator, the same of nginx."""
    before = nginx.done()
    figures, used = run(*command(connections, seconds), cpus)
    requests, sleeps, cpu = (now - then for now, then in zip(nginx.done(), before))
    per_request = (used.ru_nvcsw, (used.ru_utime + used.ru_stime) * 1e6, sleeps, cpu * 1e6)
    return figures, [one / requests for one in per_request]


def compare(nginx, generators, connections, rounds, seconds, cpus):
    found = {name: [] for name in generators}
    for index in range(rounds):
        # Each takes each place in turn.
        turn = index % len(generators)
        order = list(generators)
        for name in order[turn:] + order[:turn]:
            found[name].append(once(nginx, generators[name], connections, seconds, cpus))
    for name, trials in found.items():
        columns = list(zip(*(figures for figures, _ in trials)))
        sleeps, cpu, nginx_sleeps, nginx_cpu = (statistics.median(one) for one in zip(*(used for _, used in trials)))
        print(f"  {name}: {statistics.median(columns[0]):.0f} requests/s; per request it sleeps {sleeps:.3f} times and takes "
              f"{cpu:.1f} µs, nginx {nginx_sleeps:.3f} times and {nginx_cpu:.1f} µs")
        if name != "wrk":
            ours, theirs = ([figures for figures, _ in of] for of in (trials, found["wrk"]))
            print("    of wrk: " + of_wrk(ours, theirs))


def main():
    rounds, seconds, kib = arguments(5, 5, 0)
    every = sorted(os.sched_getaffinity(0))
    accept = "Accept-Encoding: gzip"
    header, short = (["--header", accept], ["-H", accept]) if kib else ([], [])
    with tempfile.TemporaryDirectory() as folder:
        generators = {f"paceline {program}": closed(program, folder, header) for program in PROGRAMS}
        generators["wrk"] = functools.partial(wrk, URL, options=short)
        if shutil.which("oha"):
            generators["oha"] = functools.partial(oha, options=short)
        else:
            print("oha is not installed (cargo install oha): left out")
        nginx = Nginx(folder, kib=kib)
        try:
            places = [("the system places them", every, every)]
            if len(every) > 1:
                places.append((f"nginx on CPU {every[-1]}, the generator on CPU {every[0]}", every[-1:], every[:1]))
            for said, its_cpus, their_cpus in places:
                os.sched_setaffinity(nginx.worker, its_cpus)
                for connections in (64, 1):
                    print(f"{connections} connections, {said}:", flush=True)
                    compare(nginx, generators, connections, rounds, seconds, their_cpus)
            if kib:
                return
            if len(places) > 1 and shutil.which("cc"):
                program = f"{folder}/wakes"
                subprocess.run(["cc", "-O2", "-o", program, Path(__file__).with_name("wakes.c")], check=True)
                ways = {how: wakes(program, how) for how in ("sleeps", "rounds", "spins")}
                print(f"64 connections, {said}: it sleeps, it writes in rounds, it never sleeps:", flush=True)
                compare(nginx, {**ways, "wrk": generators["wrk"]}, 64, rounds, seconds, their_cpus)
            os.sched_setaffinity(nginx.worker, every)
            for more in ([], ["--every", "1s"]):
                options = ["--rate", "10000", "--connections", "16", "--duration", "10s", "--trials", "3", *more]
                load = run(*paceline(PROGRAMS[0], folder, *options), every)[0]["load"]
                late = load["schedule_error"]["ns_p99"] / 1e3
                share = load["generator_cpu_share_max"]
                print(f"open loop, 10 000/s {' '.join(more)}: 99 % start within {late:.0f} µs, {share:.0%} of a CPU")
        finally:
            nginx.stop()


if __name__ == "__main__":
    main()
