"""The interpreter of jobs on an event loop."""

import asyncio
import os
import threading
import time
from time import perf_counter_ns

from blocking import plain
from receipts import (
    BLOCK, COMPUTE, CONNECT, EXCHANGE, GATHER, HOP, OFFLOAD, SLEEP, YIELD,
    child_seed, compute, join, mix,
)


class Looping:
    """Jobs of one cell. What is offloaded goes to `pool`, or to a thread where there is none."""

    def __init__(self, jobs, servers, pool):
        self.jobs, self.servers, self.pool = jobs, servers, pool

    async def perform(self, steps, seed, lateness=None):
        """A job, or a child: its units and its checksum. Notes how late sleeps end where there is a list for it."""
        units, checksum = 0, seed
        reader = writer = None
        try:
            for code, argument in steps:
                if code == SLEEP:
                    if lateness is None:
                        await asyncio.sleep(argument)
                    else:
                        begun = perf_counter_ns()
                        await asyncio.sleep(argument)
                        lateness.append(max(0, perf_counter_ns() - begun - round(argument * 1e9)))
                    units += 1
                elif code == COMPUTE:
                    checksum = compute(checksum, argument)
                    units += 1
                elif code == EXCHANGE:
                    if reader is None:
                        raise OSError("there is no connection to exchange on")
                    checksum = await exchange(reader, writer, argument, checksum)
                    units += argument[1]
                elif code == CONNECT:
                    if writer is not None:
                        writer.close()
                    address = self.servers[checksum % len(self.servers)]
                    # asyncio sets TCP_NODELAY on every connection.
                    reader, writer = await asyncio.open_connection(*address)
                    units += 1
                elif code == BLOCK:
                    time.sleep(argument)
                    units += 1
                elif code == OFFLOAD:
                    child = await self.offload(argument, child_seed(checksum, 0))
                    more, checksum = join(checksum, [child])
                    units += more
                elif code == YIELD:
                    for _ in range(argument):
                        await asyncio.sleep(0)
                    units += argument
                elif code == HOP:
                    checksum = await hop(argument, checksum)
                    units += argument
                elif code == GATHER:
                    width, of = argument
                    children = await all_of(
                        self.perform(of, child_seed(checksum, index), lateness) for index in range(width)
                    )
                    more, checksum = join(checksum, children)
                    units += more
        finally:
            if writer is not None:
                writer.close()
        return units, checksum

    async def offload(self, steps, seed):
        if self.pool is None:
            return await asyncio.to_thread(plain, steps, seed)
        return await asyncio.get_running_loop().run_in_executor(self.pool, plain, steps, seed)

    async def noted(self, index):
        """A job with its times: units, checksum, when it began and ended, who did it, and how late its sleeps were."""
        lateness = []
        begun = perf_counter_ns()
        units, checksum = await self.perform(*self.jobs.of(index), lateness)
        return units, checksum, begun, perf_counter_ns(), (os.getpid(), threading.get_ident()), lateness

    async def batch(self, scale, noted):
        """All jobs at once: when the batch began and ended, and what each returned or raised."""
        perform, of = self.perform, self.jobs.of
        start = perf_counter_ns()
        if noted:
            tasks = [asyncio.create_task(self.noted(index)) for index in range(scale)]
        else:
            tasks = [asyncio.create_task(perform(*of(index))) for index in range(scale)]
        outputs = [await outcome(task) for task in tasks]
        return start, perf_counter_ns(), outputs


async def outcome(task):
    try:
        return await task
    except Exception as error:
        return error


async def all_of(coroutines):
    """What they return, in their order, once all have ended; raises what the first of them raised that did."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    outputs = [await outcome(task) for task in tasks]
    for output in outputs:
        if isinstance(output, Exception):
            raise output
    return outputs


async def exchange(reader, writer, argument, checksum):
    size, times, filling = argument
    for _ in range(times):
        # No `drain`: one message is under way at most, and who waits for it to be taken would not read what comes back.
        writer.write(checksum.to_bytes(8, "little") + filling)
        reply = await reader.readexactly(size)
        if reply[8:] != filling:
            raise OSError("the echo server returned other bytes than it was sent")
        checksum = mix(int.from_bytes(reply[:8], "little"))
    return checksum


async def hop(times, message):
    to, back = asyncio.Queue(1), asyncio.Queue(1)

    async def partner():
        while (message := await to.get()) is not None:
            await back.put(mix(message))

    task = asyncio.create_task(partner())
    for _ in range(times):
        await to.put(message)
        message = await back.get()
    await to.put(None)
    await task
    return message
