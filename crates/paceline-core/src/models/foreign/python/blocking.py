"""The interpreter of jobs that hold their thread while they wait: for threads, processes and the caller alone."""

import os
import socket
import threading
import time
from time import perf_counter_ns

import grouping
from grouping import Meant, contained
from receipts import (
    BLOCK, COMPUTE, CONNECT, EXCHANGE, FAIL, GATHER, GROUP, HEAR, OFFLOAD, SAY, SLEEP, YIELD,
    child_seed, compute, contain, heard, join, mix, said,
)


def plain(steps, seed):
    """Performs steps that wait for nothing but their own thread: the offloaded ones."""
    units, checksum = 0, seed
    for code, argument in steps:
        if code == COMPUTE:
            checksum = compute(checksum, argument)
        elif code == BLOCK:
            time.sleep(argument)
        else:
            raise ValueError("only compute and block can be offloaded")
        units += 1
    return units, checksum


def perform(steps, seed, servers, lateness=None):
    """Performs a job or a child. Returns its units and checksum, and records timer overshoot if a list is given."""
    units, checksum = 0, seed
    stream = None
    try:
        for code, argument in steps:
            if code == SLEEP:
                begun = perf_counter_ns()
                time.sleep(argument)
                if lateness is not None:
                    lateness.append(max(0, perf_counter_ns() - begun - round(argument * 1e9)))
                units += 1
            elif code == COMPUTE:
                checksum = compute(checksum, argument)
                units += 1
            elif code == EXCHANGE:
                if stream is None:
                    raise OSError("there is no connection to exchange on")
                checksum = exchange(stream, argument, checksum)
                units += argument[1]
            elif code == CONNECT:
                if stream is not None:
                    stream.close()
                stream = connect(servers, argument, checksum)
                units += 1
            elif code == SAY or code == HEAR:
                checksum = talk(stream, argument, code == SAY, checksum)
                units += argument[1]
            elif code == BLOCK:
                time.sleep(argument)
                units += 1
            elif code == OFFLOAD:
                more, checksum = plain(argument, checksum)
                units += more
            elif code == YIELD:
                for _ in range(argument):
                    # Yields the thread; this also releases the interpreter's lock.
                    time.sleep(0)
                units += argument
            elif code == GATHER:
                children = [
                    perform(of, child_seed(checksum, index), servers, lateness) for index, of in enumerate(argument)
                ]
                more, checksum = join(checksum, children)
                units += more
            elif code == GROUP:
                more, checksum = group(argument, checksum, servers, lateness)
                units += more
            elif code == FAIL:
                raise Meant
            else:
                raise ValueError("a job that waits for a partner would hold the thread that it needs")
    finally:
        if stream is not None:
            stream.close()
    return units, checksum


def group(group, checksum, servers, lateness):
    """Performs the children of a group in order. Returns the parent's receipt with theirs, or with their failure."""
    watched = grouping.children()
    children, errors = [], []
    for index in range(group.width):
        try:
            with watched:
                child = perform(group.steps(index), child_seed(checksum, index), servers, lateness)
            children.append(child)
        except Exception as error:
            errors.append(error)
            if group.cancels:
                break
    watched.over()
    return (1, contain(checksum, group.width)) if contained(errors) else join(checksum, children)


def connect(servers, to, checksum):
    address, word = servers.of(to, checksum)
    stream = socket.create_connection(address)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if word is not None:
        stream.sendall(word)
        if to[0] == "rooms":
            # Arrives once all members have joined.
            receive(stream, bytearray(8))
    return stream


def receive(stream, into):
    view, missing = memoryview(into), len(into)
    while missing:
        count = stream.recv_into(view[len(into) - missing :])
        if count == 0:
            raise ConnectionError("the server closed the connection")
        missing -= count


def talk(stream, argument, says, checksum):
    size, times, filling = argument
    buffer = bytearray(size)
    for message in said(times):
        wanted = message.to_bytes(8, "little") + filling
        if says:
            stream.sendall(wanted)
        receive(stream, buffer)
        if buffer != wanted:
            raise OSError("another message was heard in the room than was said")
        checksum = heard(checksum, message)
    return checksum


def exchange(stream, argument, checksum):
    size, times, filling = argument
    reply = bytearray(size)
    for _ in range(times):
        stream.sendall(checksum.to_bytes(8, "little") + filling)
        receive(stream, reply)
        if reply[8:] != filling:
            raise OSError("the echo server returned other bytes than it was sent")
        checksum = mix(int.from_bytes(reply[:8], "little"))
    return checksum


# Global to the process; workers forked later inherit it.
_cell = None


def ready(jobs, servers):
    global _cell
    _cell = jobs, servers


def job(index):
    jobs, servers = _cell
    return perform(*jobs.of(index), servers)


def noted_job(index):
    """Performs a job with its times: units, checksum, start, end, worker, and timer overshoots."""
    jobs, servers = _cell
    lateness = []
    begun = perf_counter_ns()
    units, checksum = perform(*jobs.of(index), servers, lateness)
    return units, checksum, begun, perf_counter_ns(), (os.getpid(), threading.get_ident()), lateness
