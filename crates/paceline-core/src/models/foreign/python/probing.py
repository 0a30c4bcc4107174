"""Probes: properties of a model that no job can observe, as defined in docs/protocol.md."""

import asyncio
import time
from time import perf_counter_ns

PAUSE = 0.02


def inert(begun, slept_ns):
    return {"inert": {"begun": begun, "slept_ns": slept_ns}}


def created(at_once, before_awaited):
    return {"created": {"at_once": at_once, "before_awaited": before_awaited}}


def cancelled(begun, ended):
    return {"cancelled": {"begun": begun, "ended": ended}}


async def of_loop(what):
    return await {"inert": inert_of_loop, "created": created_of_loop, "cancelled": cancelled_of_loop}[what]()


async def inert_of_loop():
    begun = False

    async def job():
        nonlocal begun
        begun = True

    made, timer = job(), asyncio.sleep(PAUSE)
    await asyncio.sleep(PAUSE)
    seen = begun
    start = perf_counter_ns()
    await timer
    slept_ns = perf_counter_ns() - start
    await made
    return inert(seen, slept_ns)


async def created_of_loop():
    begun = False

    async def child():
        nonlocal begun
        begun = True

    task = asyncio.create_task(child())
    time.sleep(PAUSE)
    at_once = begun
    await asyncio.sleep(PAUSE)
    before_awaited = begun
    await task
    return created(at_once, before_awaited)


async def cancelled_of_loop():
    begun = ended = 0

    async def child():
        nonlocal begun, ended
        begun += 1
        await asyncio.sleep(2 * PAUSE)
        ended += 1

    async def parent():
        await asyncio.gather(*[child() for _ in range(3)])

    task = asyncio.create_task(parent())
    await asyncio.sleep(PAUSE)
    seen = begun
    task.cancel()
    await asyncio.sleep(4 * PAUSE)
    return cancelled(seen, ended)


def of_calls(what, both):
    """Probes with `both`, which makes two calls as the model does and returns their outputs in order."""
    return inert_of_calls() if what == "inert" else created_of_calls(both)


def inert_of_calls():
    # A call does the work itself: once it returns, nothing is left to drive.
    begun = []
    made = [begun.append(True), time.sleep(PAUSE)]
    time.sleep(PAUSE)
    seen = bool(begun)
    start = perf_counter_ns()
    for left in made:
        assert left is None
    return inert(seen, perf_counter_ns() - start)


def one_of_two(index):
    """Returns when the second call began, or when the first, which sleeps, ended, on a clock all processes share."""
    if index == 0:
        time.sleep(PAUSE)
    return perf_counter_ns()


def created_of_calls(both):
    first_ended, second_began = both(one_of_two)
    return created(None, second_began < first_ended)
