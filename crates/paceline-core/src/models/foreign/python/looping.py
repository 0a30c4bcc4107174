"""The interpreter of jobs on an event loop."""

import asyncio
import os
import threading
import time
from time import perf_counter_ns

from blocking import plain
import grouping
from grouping import Meant, contained
from receipts import (
    BLOCK, COMPUTE, CONNECT, EXCHANGE, FAIL, GATHER, GROUP, HEAR, HOP, OFFLOAD, SAY, SLEEP, YIELD,
    child_seed, compute, contain, heard, join, mix, said,
)


class Looping:
    """Jobs of one cell. What is offloaded goes to `pool`, or to a thread where there is none."""

    def __init__(self, jobs, servers, pool, sleep):
        self.jobs, self.servers, self.pool, self.sleep = jobs, servers, pool, sleep

    async def perform(self, steps, seed, lateness=None):
        """A job, or a child: its units and its checksum. Notes how late sleeps end where there is a list for it."""
        units, checksum = 0, seed
        reader = writer = None
        try:
            for code, argument in steps:
                if code == SLEEP:
                    if lateness is None:
                        await self.sleep(argument)
                    else:
                        begun = perf_counter_ns()
                        await self.sleep(argument)
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
                    # asyncio sets TCP_NODELAY on every connection.
                    address, word = self.servers.of(argument, checksum)
                    reader, writer = await asyncio.open_connection(*address)
                    if word is not None:
                        await greet(reader, writer, word, argument[0] == "rooms")
                    units += 1
                elif code == SAY or code == HEAR:
                    checksum = await talk(reader, writer, argument, code == SAY, checksum)
                    units += argument[1]
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
                    children = await all_of(
                        self.perform(of, child_seed(checksum, index), lateness) for index, of in enumerate(argument)
                    )
                    more, checksum = join(checksum, children)
                    units += more
                elif code == GROUP:
                    more, checksum = await self.group(argument, checksum, lateness)
                    units += more
                elif code == FAIL:
                    raise Meant
        finally:
            if writer is not None:
                writer.close()
        return units, checksum

    async def group(self, group, checksum, lateness):
        """The children of a group: what their receipts, or their failure, make of the parent's."""
        watched = grouping.children()

        async def child(index):
            with watched:
                return await self.perform(group.steps(index), child_seed(checksum, index), lateness)

        errors = []
        if group.cancels:
            try:
                async with asyncio.TaskGroup() as together:
                    tasks = [together.create_task(child(index)) for index in range(group.width)]
            except BaseExceptionGroup as failures:
                errors = failures.exceptions
            outputs = [] if errors else [task.result() for task in tasks]
        else:
            tasks = [asyncio.create_task(child(index)) for index in range(group.width)]
            outputs = await outcomes(tasks)
            errors = [output for output in outputs if isinstance(output, Exception)]
        watched.over()
        return (1, contain(checksum, group.width)) if contained(errors) else join(checksum, outputs)

    async def offload(self, steps, seed):
        if self.pool is None:
            return await asyncio.to_thread(plain, steps, seed)
        return await asyncio.get_running_loop().run_in_executor(self.pool, plain, steps, seed)

    async def noted(self, index):
        """A job with its times: units, checksum, when it began and ended, who did it, and how late its sleeps were."""
        lateness = []
        begun = perf_counter_ns()
        units, checksum = await self.perform(*self.jobs.all[index], lateness)
        return units, checksum, begun, perf_counter_ns(), (os.getpid(), threading.get_ident()), lateness

    async def batch(self, scale, noted):
        """All jobs at once: when the batch began and ended, and what each returned or raised."""
        perform, create_task = self.perform, asyncio.create_task
        start = perf_counter_ns()
        if noted:
            tasks = [create_task(self.noted(index)) for index in range(scale)]
        else:
            tasks = [create_task(perform(steps, seed)) for steps, seed in self.jobs.all]
        outputs = await outcomes(tasks)
        return start, perf_counter_ns(), outputs


async def sleep_at_least(seconds):
    """Sleeps on a loop that counts in whole milliseconds, which may be up to one early."""
    left = seconds * 1e9
    end = perf_counter_ns() + left
    while left > 0:
        # What is shorter would be a turn of the loop, and many of them a loop that spins.
        await asyncio.sleep(max(left / 1e9, 0.001))
        left = end - perf_counter_ns()


async def outcomes(tasks):
    """What they return or raise, in their order, once all have ended."""
    outputs = []
    for task in tasks:
        try:
            outputs.append(await task)
        except Exception as error:
            outputs.append(error)
    return outputs


async def all_of(coroutines):
    """What they return, in their order, once all have ended; raises what the first of them raised that did."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    outputs = await outcomes(tasks)
    for output in outputs:
        if isinstance(output, Exception):
            raise output
    return outputs


async def greet(reader, writer, word, in_room):
    writer.write(word)
    if in_room:
        # Comes once all are there.
        await reader.readexactly(len(word))


async def talk(reader, writer, argument, says, checksum):
    size, times, filling = argument
    for message in said(times):
        wanted = message.to_bytes(8, "little") + filling
        if says:
            writer.write(wanted)
        if await reader.readexactly(size) != wanted:
            raise OSError("another message was heard in the room than was said")
        checksum = heard(checksum, message)
    return checksum


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
