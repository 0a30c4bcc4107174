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
    """The jobs of one cell. Offloaded steps run on `pool`, or on a thread if there is none."""

    def __init__(self, jobs, servers, pool, sleep):
        self.jobs, self.servers, self.pool, self.sleep = jobs, servers, pool, sleep

    async def perform(self, steps, seed, lateness=None):
        """Performs a job or a child. Returns its units and checksum, and records timer overshoot if a list is given."""
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
                    more, checksum = await self.offload(argument, checksum)
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
        """Performs the children of a group. Returns the parent's receipt with theirs, or with their failure."""
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
        """Performs a job with its times: units, checksum, start, end, worker, and timer overshoots."""
        lateness = []
        begun = perf_counter_ns()
        units, checksum = await self.perform(*self.jobs.all[index], lateness)
        return units, checksum, begun, perf_counter_ns(), (os.getpid(), threading.get_ident()), lateness

    async def batch(self, scale, noted):
        """Runs all jobs at once. Returns when the batch began and ended, and what each job returned or raised."""
        perform, create_task = self.perform, asyncio.create_task
        start = perf_counter_ns()
        if noted:
            tasks = [create_task(self.noted(index)) for index in range(scale)]
        else:
            tasks = [create_task(perform(steps, seed)) for steps, seed in self.jobs.all]
        outputs = await outcomes(tasks)
        return start, perf_counter_ns(), outputs


async def sleep_at_least(seconds):
    """Sleeps on a loop with millisecond resolution, which may wake up to 1 ms early."""
    left = seconds * 1e9
    end = perf_counter_ns() + left
    while left > 0:
        # Anything shorter would be one turn of the loop, and many of them would spin it.
        await asyncio.sleep(max(left / 1e9, 0.001))
        left = end - perf_counter_ns()


async def outcomes(tasks):
    """Returns what the children return or raise, in their order, once all have ended."""
    outputs = []
    for task in tasks:
        try:
            outputs.append(await task)
        except Exception as error:
            outputs.append(error)
    return outputs


async def all_of(coroutines):
    """Returns what the children return, in their order, once all have ended; raises the first error in that order."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    outputs = await outcomes(tasks)
    for output in outputs:
        if isinstance(output, Exception):
            raise output
    return outputs


async def greet(reader, writer, word, in_room):
    writer.write(word)
    if in_room:
        # Arrives once all members have joined.
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
        # No `drain`: at most one message is in flight, and waiting for it to be sent would delay reading the reply.
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
