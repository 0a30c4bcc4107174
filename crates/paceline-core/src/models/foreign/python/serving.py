"""The part of HTTP/1.1 that a server of jobs needs."""

import asyncio
import errno
import os
import resource
import socket
import sys

HEAD = 16 << 10
HEADERS = 64
METHODS = {"GET", "HEAD", "POST", "PUT"}
TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BACKLOG = 1 << 16

# Global to the process; workers forked later inherit it.
_address, _token = "127.0.0.1", b""


def listen_at(address, token):
    """Chooses another address than loopback, and what each connection must begin with."""
    global _address, _token
    _address, _token = address, token.encode()


class Refusal(Exception):
    """The reason why a request cannot be read. Nothing after it can be read either."""

    def __init__(self, status, why):
        super().__init__(why)
        self.status = status

    def answer(self):
        return response(self.status, str(self), "connection: close\r\n")


LARGE = Refusal(
    "431 Request Header Fields Too Large",
    "the head of a request must be at most 16 KiB, with at most 64 headers",
)


def malformed(why="this is no request of HTTP/1.1"):
    return Refusal("400 Bad Request", why)


class Request:
    """The head of a request, up to its empty line."""

    def __init__(self, head):
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0") or not words[1]:
            raise malformed()
        self.method, target, version = words
        if not self.method or not TOKEN.issuperset(self.method):
            raise malformed()
        old = version == "HTTP/1.0"
        body, close, keep, expects = None, False, False, False
        lines = [line for line in lines if line]
        if len(lines) > HEADERS:
            raise LARGE
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not name or not TOKEN.issuperset(name):
                raise malformed()
            name, value = name.lower(), value.strip(" \t")
            if name == "connection":
                options = [option.strip().lower() for option in value.split(",")]
                close |= "close" in options
                keep |= "keep-alive" in options
            elif name == "content-length":
                length = number(value)
                if length is None or length >= 1 << 64:
                    raise malformed("its content-length is no number")
                if body not in (None, length):
                    raise malformed("its content-lengths differ")
                body = length
            elif name == "transfer-encoding":
                raise Refusal(
                    "501 Not Implemented", "bodies are read by their content-length only, not in chunks"
                )
            elif name == "expect":
                expects = "100-continue" in [one.strip().lower() for one in value.split(",")]
        self.body = body or 0
        self.expects = expects and not old
        self.index = index_of(target)
        self.closes = close or (old and not keep)
        self.connection = "connection: close\r\n" if self.closes else "connection: keep-alive\r\n" if old else ""

    def refused(self):
        """Returns the answer to a request that names no job, or None."""
        if self.method not in METHODS:
            status = "405 Method Not Allowed\r\nallow: GET, HEAD, POST, PUT"
            return self.answer(status, "the methods are GET, HEAD, POST and PUT")
        if self.index is None:
            return self.answer("404 Not Found", "a path is / or the index of a job, such as /7")
        return None

    def done(self, receipt):
        units, checksum = receipt
        return self.answer("200 OK", f"{units} {checksum:016x}")

    def failed(self, error):
        return self.answer("500 Internal Server Error", said(error))

    def answer(self, status, text):
        return response(status, text, self.connection, bodiless=self.method == "HEAD")


def response(status, text, connection, bodiless=False):
    head = f"HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {len(text.encode()) + 1}\r\n{connection}\r\n"
    return (head if bodiless else f"{head}{text}\n").encode()


def number(digits):
    return int(digits) if digits.isascii() and digits.isdigit() else None


def index_of(target):
    path = target.split("?")[0]
    if path.startswith("http://"):
        path = "/" + path[7:].partition("/")[2]
    if not path.startswith("/"):
        return None
    index = 0 if path == "/" else number(path[1:])
    return index if index is not None and index < 1 << 32 else None


def said(error):
    """Formats an error as the other models do."""
    code = getattr(error, "errno", None)
    if code is None:
        return str(error).replace("\n", " ") or type(error).__name__
    return f"{os.strerror(code)} (os error {code})"


def end(error):
    """Reports an error and ends the process: the server cannot continue."""
    print(f"the server ended: {said(error)}".replace("Too many", "too many"), file=sys.stderr, flush=True)
    os._exit(1)


RECEIVE, SEND, PERFORM = range(3)


def conversation():
    """A connection without its socket. Yields the next operation, and is sent its result."""
    pending = b""
    try:
        while len(pending) < len(_token):
            more = yield RECEIVE, None
            if not more:
                return
            pending += more
        if not pending.startswith(_token):
            return
        pending = pending[len(_token) :]
        while True:
            while (whole := pending.find(b"\r\n\r\n")) < 0:
                if len(pending) >= HEAD:
                    raise LARGE
                more = yield RECEIVE, None
                if not more:
                    return
                pending += more
            if whole + 4 > HEAD:
                raise LARGE
            request, pending = Request(pending[:whole]), pending[whole + 4 :]
            if len(pending) < request.body and request.expects:
                yield SEND, CONTINUE
            left = request.body
            while left > len(pending):
                left -= len(pending)
                pending = yield RECEIVE, None
                if not pending:
                    return
            pending = pending[left:]
            answer = request.refused()
            if answer is None:
                done = yield PERFORM, request.index
                answer = request.failed(done) if isinstance(done, OSError) else request.done(done)
            yield SEND, answer
            if request.closes:
                return
    except Refusal as refusal:
        yield SEND, refusal.answer()


async def connection(reader, writer, job):
    """Serves a connection on an event loop. `job` performs the job with an index."""
    steps, came = conversation(), None
    try:
        while True:
            todo, what = steps.send(came)
            if todo == RECEIVE:
                came = await reader.read(HEAD)
            elif todo == SEND:
                writer.write(what)
                came = await writer.drain()
            else:
                try:
                    came = await job(what)
                except OSError as error:
                    came = error
    except (StopIteration, ConnectionError):
        pass
    finally:
        writer.close()


async def serve_loop(bound, job):
    """Serves on this event loop until the process ends."""

    def on_fault(_, context):
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            end(error)
        print(context.get("message"), repr(error), file=sys.stderr, flush=True)

    asyncio.get_running_loop().set_exception_handler(on_fault)
    # Without a free descriptor libuv closes a connection silently. So the last descriptors are never used.
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)

    def accepted(reader, writer):
        if most != resource.RLIM_INFINITY and writer.get_extra_info("socket").fileno() >= most - 4:
            end(OSError(errno.EMFILE, ""))
        return connection(reader, writer, job)

    server = await asyncio.start_server(accepted, _address, 0, backlog=BACKLOG)
    bound(server.sockets[0].getsockname())
    await server.serve_forever()


def listener():
    listening = socket.socket()
    listening.bind((_address, 0))
    listening.listen(BACKLOG)
    return listening


def accept_each(listening, take):
    """Passes on each connection; ends the process on an error that is not just a client's."""
    while True:
        try:
            stream, _ = listening.accept()
        except (ConnectionAbortedError, InterruptedError):
            continue
        except OSError as error:
            end(error)
        take(stream)


def hold(stream, job):
    """Serves a connection on this thread until it closes."""
    steps, came = conversation(), None
    with stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                todo, what = steps.send(came)
                if todo == RECEIVE:
                    came = stream.recv(HEAD)
                elif todo == SEND:
                    came = stream.sendall(what)
                else:
                    try:
                        came = job(what)
                    except OSError as error:
                        came = error
        except (StopIteration, ConnectionError):
            pass
