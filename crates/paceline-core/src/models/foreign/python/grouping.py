"""Task groups: failures inside a group, and children that are still running when the group ends."""

from time import perf_counter_ns


class Meant(Exception):
    """Raised by a `fail` step: an expected failure, unlike every other error."""


def _fmix32(value):
    value = ((value ^ (value >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    value = ((value ^ (value >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return value ^ (value >> 16)


def is_chosen(index, nth):
    """Returns whether `every` chooses this index from its block of `nth` consecutive ones: docs/protocol.md."""
    block, place = divmod(index, nth)
    return place == _fmix32(block & 0xFFFFFFFF) % nth


class Group:
    """The definition of a group."""

    __slots__ = ("width", "of", "others", "other", "cancels")

    def __init__(self, width, of, every, cancels):
        self.width, self.of, self.cancels = width, of, cancels
        nth, self.other = every or (0, ())
        # Computed beforehand: hashing for each child would be work inside the clock.
        self.others = frozenset(index for index in range(width) if is_chosen(index, nth)) if nth else frozenset()

    def steps(self, index):
        return self.other if index in self.others else self.of


def contained(errors):
    """Returns whether children failed as expected; raises any other error."""
    for error in errors:
        if not isinstance(error, Meant):
            raise error
    return bool(errors)


class Children:
    """Counts the children of a group, in a batch with the counters on."""

    def __init__(self):
        self.begun = self.gone = 0
        self.failed = None

    def __enter__(self):
        self.begun += 1

    def __exit__(self, kind, error, trace):
        self.gone += 1
        if isinstance(error, Exception) and self.failed is None:
            self.failed = perf_counter_ns()

    def over(self):
        if self.failed is not None:
            over.append((perf_counter_ns() - self.failed, self.begun - self.gone))


class Unwatched:
    """Counts nothing, in all other batches."""

    def __enter__(self):
        pass

    def __exit__(self, kind, error, trace):
        pass

    def over(self):
        pass


UNWATCHED = Unwatched()
_watching = False


def children():
    """Returns the counter for a new group."""
    return Children() if _watching else UNWATCHED


def watch():
    """Starts counting."""
    global _watching
    _watching = True


# For each group with a failed child: nanoseconds from the first failure to the end of the group, and the number of
# children still running at that moment.
over = []


def seen():
    """Stops counting and returns the counts."""
    global _watching
    _watching = False
    if not over:
        return {}
    fields = dict(group_ended_ns_max=max(took for took, _ in over), children_left=sum(left for _, left in over))
    over.clear()
    return fields
