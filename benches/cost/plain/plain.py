"""What somebody would write in asyncio without paceline: prints nanoseconds of each round, a line each."""

import asyncio
import sys
from time import perf_counter_ns

MASK = (1 << 64) - 1
FILLING = b"\xa5" * 92


def compute(value, rounds):
    for _ in range(rounds):
        value = (value + 0x9E3779B97F4A7C15) & MASK
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
        value ^= value >> 31
    return value


async def sleep(index):
    await asyncio.sleep(0.01)
    return index


async def exchange(index):
    value = compute(index, 1)
    reader, writer = await asyncio.open_connection(*servers[value % len(servers)])
    for _ in range(20):
        writer.write(value.to_bytes(8, "little") + FILLING)
        reply = await reader.readexactly(100)
        if reply[8:] != FILLING:
            raise OSError("other bytes came back")
        value = compute(int.from_bytes(reply[:8], "little"), 1)
    writer.close()
    return value


async def computing(index):
    return compute(index, 20_000)


async def one_round(job, jobs):
    start = perf_counter_ns()
    tasks = [asyncio.create_task(job(index)) for index in range(jobs)]
    outputs = [await task for task in tasks]
    elapsed = perf_counter_ns() - start
    assert len(outputs) == jobs
    return elapsed


work, jobs, rounds, addresses = sys.argv[1:]
servers = [(host, int(port)) for host, port in (one.rsplit(":", 1) for one in addresses.split(","))]
job = {"sleep": sleep, "exchange": exchange, "compute": computing}[work]
with asyncio.Runner() as runner:
    for _ in range(int(rounds)):
        print(runner.run(one_round(job, int(jobs))))
