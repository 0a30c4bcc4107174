"""Jobs and their receipts, as defined in docs/protocol.md."""

from time import perf_counter_ns

from grouping import Group, is_chosen

MASK = (1 << 64) - 1


def mix(value):
    value = (value + 0x9E3779B97F4A7C15) & MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def compute(value, rounds):
    # `mix`, inlined: a call for each round would take most of its time.
    for _ in range(rounds):
        value = (value + 0x9E3779B97F4A7C15) & MASK
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
        value ^= value >> 31
    return value


def compute_ns():
    """Measures a round of `compute`: the best of several tries of about a millisecond."""
    rounds, best = 3_000, None
    for seed in range(5):
        start = perf_counter_ns()
        compute(seed, rounds)
        took = (perf_counter_ns() - start) / rounds
        best = took if best is None else min(best, took)
    return best


def child_seed(checksum, index):
    return mix((checksum + index) & MASK)


def join(checksum, children):
    """Adds the receipts of children, in their order, to the parent's. Returns its new units and checksum."""
    units = 0
    for child_units, child_checksum in children:
        units += child_units
        checksum = mix(checksum ^ child_checksum)
    return units, checksum


def heard(checksum, message):
    """Adds a message in a room to the checksum."""
    return mix(checksum ^ message)


def said(times):
    """Yields the messages to send to a room, in order."""
    message = 0
    for _ in range(times):
        message = mix(message)
        yield message


def contain(checksum, width):
    """Adds a failed group with this number of children to the checksum."""
    return mix(checksum ^ width)


SLEEP, BLOCK, COMPUTE, OFFLOAD, CONNECT, EXCHANGE, SAY, HEAR, HOP, YIELD, GATHER, GROUP, FAIL = range(13)
FILLING = b"\xa5"


def _decode(step):
    (name, value), *more = step.items()
    if more:
        raise ValueError(f"a step has one key, unlike {step}")
    match name, value:
        case "sleep_ns", int():
            return SLEEP, value / 1e9
        case "block_ns", int():
            return BLOCK, value / 1e9
        case "compute", int():
            return COMPUTE, value
        case "offload", list():
            return OFFLOAD, steps_of(value)
        case "connect", "echo":
            return CONNECT, ("servers", None)
        case "connect", "room":
            return CONNECT, ("rooms", None)
        case "connect", {"slow_ns": after, **rest} if not rest:
            return CONNECT, ("slow", after)
        case ("say" | "hear"), {"bytes": size, "times": times, **rest} if not rest:
            return (SAY if name == "say" else HEAR), (size, times, FILLING * (size - 8))
        case "exchange", {"bytes": size, "times": times, **rest} if not rest:
            return EXCHANGE, (size, times, FILLING * (size - 8))
        case "hop", int():
            return HOP, value
        case "yield", int():
            return YIELD, value
        case "gather", {"width": width, "of": of, **rest} if not rest:
            return GATHER, (steps_of(of),) * width
        case "gather", list():
            return GATHER, tuple(steps_of(of) for of in value)
        case "group", {"width": width, "of": of, "every": every, "cancels": cancels, **rest} if not rest:
            other = every and (every["nth"], steps_of(every["job"]))
            return GROUP, Group(width, steps_of(of), other, cancels)
        case "fail", "error":
            return FAIL, None
    raise ValueError(f"this interpreter does not know the step {step}")


def steps_of(steps):
    """Returns steps as tuples of a code and an argument, which are cheap to dispatch on and to send to a process."""
    return tuple(_decode(step) for step in steps)


class Jobs:
    """The jobs of a cell."""

    def __init__(self, definition, scale=0):
        self.usual = steps_of(definition["usual"])
        every = definition["every"]
        self.nth = every and every["nth"]
        self.other = every and steps_of(every["job"])
        # For the jobs of a batch, computed beforehand: in Python each takes as long as a tenth of a task.
        self.all = [self.of(index) for index in range(scale)]

    def of(self, index):
        """Returns the steps and the seed of a job."""
        steps = self.other if self.nth and is_chosen(index, self.nth) else self.usual
        return steps, mix(index)


class Servers:
    """The addresses of the suite's server, by kind of connection."""

    def __init__(self, fields):
        self.members = fields.get("scale", 0)
        self.addresses = {
            sort: [(host, int(port)) for host, port in (one.rsplit(":", 1) for one in fields.get(sort, ()))]
            for sort in ("servers", "slow", "rooms")
        }

    def of(self, to, checksum):
        """Returns the address, and the first word to send on the connection, if any."""
        sort, word = to
        addresses = self.addresses[sort]
        if sort == "rooms":
            word = self.members
        return addresses[checksum % len(addresses)], word and word.to_bytes(8, "little")
