"""Reads the latencies that wrk measured, without those that it adds.

After a latency of twice the mean interval between the requests of a connection, or more, wrk also counts those that
requests at this interval would have had meanwhile (`stats_correct` in its source). No request had them. paceline and oha
count only requests, so the percentiles that wrk prints cannot be compared with theirs.
"""

import re
import sys
from pathlib import Path

# What `wrk -s` takes.
SCRIPT = Path(__file__).with_name("wrk_latencies.lua")


def measured(text, connections):
    """Returns the number of requests with each latency in microseconds, from what wrk printed with the script."""
    duration, requests = map(int, re.search(r"^ALL (\d+) (\d+)$", text, re.M).groups())
    shown = {int(value): int(count) for value, count in re.findall(r"^BIN (\d+) (\d+)$", text, re.M)}
    # wrk adds the count of a latency to the latencies that are shorter by one interval, by two, and so on, down to the
    # interval itself. So what is shown one interval further up is what was added.
    interval = duration // (requests // connections)
    counts = {
        value: count - (shown.get(value + interval, 0) if value > interval else 0) for value, count in shown.items()
    }
    if sum(counts.values()) != requests or min(counts.values()) < 0:
        sys.exit(f"wrk has latencies for {sum(counts.values())} of {requests} requests: some timed out, or it has changed")
    return counts


def quantile(counts, share):
    """Returns the latency that this share of the requests did not exceed, in seconds."""
    rank, seen = share * sum(counts.values()), 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= rank:
            return value / 1e6
    return None
