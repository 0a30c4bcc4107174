// Interprets paceline's jobs on node's event loop, as docs/protocol.md describes. It uses only the standard library.
//
// Each job is an async function. A batch calls all of them, then awaits them with Promise.all. 64-bit numbers are pairs
// of 32-bit integers, because BigInt takes many times as long.

import { setMaxListeners } from "node:events";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import readline from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import util from "node:util";
import { Worker } from "node:worker_threads";

const OLDEST = 18;
const MODEL = process.argv[process.argv.length - 1];
const STEPS = [
    "sleep", "block", "compute", "offload", "connect", "connect.slow", "connect.room", "exchange", "say", "hear", "hop",
    "yield", "gather", "gather.each", "group", "group.cancel", "fail",
];
/** The most sleeps of a batch whose lateness is kept. */
const ROOM = 4_000_000;

// ---- Receipts ----

/** Returns the high 32 bits of the product of two unsigned 32-bit integers. */
function multiplyHigh(a, b) {
    const a0 = a & 0xffff, a1 = a >>> 16, b0 = b & 0xffff, b1 = b >>> 16;
    // None of these sums exceeds 32 bits; `| 0` makes them integers for the compiler too.
    const middle = (Math.imul(a1, b0) + (Math.imul(a0, b0) >>> 16)) | 0;
    const cross = (Math.imul(a0, b1) + (middle & 0xffff)) | 0;
    return (Math.imul(a1, b1) + (middle >>> 16) + (cross >>> 16)) | 0;
}

/** The 64-bit result of some rounds of SplitMix64. A shared object, so that no round allocates. */
const mixed = { high: 0, low: 0 };
function compute(high, low, rounds) {
    for (let round = 0; round < rounds; round++) {
        // + 0x9e3779b97f4a7c15
        low = (low + 0x7f4a7c15) | 0;
        const carry = (low >>> 0) < 0x7f4a7c15 ? 1 : 0;
        high = (high + (0x9e3779b9 | 0) + carry) | 0;
        // ^ >> 30, * 0xbf58476d1ce4e5b9
        low ^= (low >>> 30) | (high << 2);
        high ^= high >>> 30;
        high = (((multiplyHigh(low, 0x1ce4e5b9) + Math.imul(high, 0x1ce4e5b9)) | 0) + Math.imul(low, 0xbf58476d)) | 0;
        low = Math.imul(low, 0x1ce4e5b9);
        // ^ >> 27, * 0x94d049bb133111eb
        low ^= (low >>> 27) | (high << 5);
        high ^= high >>> 27;
        high = (((multiplyHigh(low, 0x133111eb) + Math.imul(high, 0x133111eb)) | 0) + Math.imul(low, 0x94d049bb)) | 0;
        low = Math.imul(low, 0x133111eb);
        // ^ >> 31
        low ^= (low >>> 31) | (high << 1);
        high ^= high >>> 31;
    }
    mixed.high = high;
    mixed.low = low;
}

/** The result of a job so far: its units, and its checksum in two halves. */
class Receipt {
    constructor(high, low) {
        this.units = 0;
        this.high = high;
        this.low = low;
    }

    /** Returns the initial receipt of a child; for a job, of the child with the job's index of the zero receipt. */
    child(index) {
        // An index never exceeds 32 bits, because scales are bounded.
        const sum = (this.low >>> 0) + index;
        compute((this.high + (sum > 0xffffffff ? 1 : 0)) | 0, sum | 0, 1);
        return new Receipt(mixed.high, mixed.low);
    }

    copy() {
        return new Receipt(this.high, this.low);
    }

    mix(rounds) {
        compute(this.high, this.low, rounds);
        this.high = mixed.high;
        this.low = mixed.low;
    }

    join(units, high, low) {
        this.units += units;
        compute(this.high ^ high, this.low ^ low, 1);
        this.high = mixed.high;
        this.low = mixed.low;
    }

    /** Adds the receipt of steps that went on from this checksum elsewhere: those of an offload. */
    wentOn(units, high, low) {
        this.units += units;
        this.high = high;
        this.low = low;
    }

    /** Adds a failed group of `width` children. */
    contain(width) {
        this.join(1, 0, width);
    }

    /** Returns the checksum, an unsigned 64-bit number, modulo `count`. */
    modulo(count) {
        return (((this.high >>> 0) % count) * (0x100000000 % count) + ((this.low >>> 0) % count)) % count;
    }

    hex() {
        const half = (value) => (value >>> 0).toString(16).padStart(8, "0");
        return half(this.high) + half(this.low);
    }
}

// ---- Jobs ----

/** The counters and the recorder of the current batch; `null` in timed batches. */
let watch = null;
let tape = null;

/** The server's addresses, by how it treats a connection, and the number of members of a room. */
let servers = {};
let members = 0;

/** The error of a `fail` step: expected, unlike every other error. */
class Meant extends Error {}

/**
 * Runs the steps of a job or child, starting from its initial receipt. In a group that cancels, `signal` signals the
 * cancellation.
 */
async function perform(steps, receipt, signal = null) {
    let connection = null;
    try {
        for (let at = 0; at < steps.length; at++) {
            signal?.throwIfAborted();
            const step = steps[at];
            switch (step.does) {
                case "sleep_ns":
                    if (signal !== null || tape !== null) {
                        await sleep(step.ms, signal);
                    } else {
                        // Inlined: another async function would add 5 % to each sleep.
                        const start = performance.now();
                        let left = step.ms;
                        do {
                            await new Promise((resolve) => setTimeout(resolve, left));
                            left = step.ms - (performance.now() - start);
                        } while (left > 0);
                    }
                    receipt.units += 1;
                    break;
                case "compute":
                    receipt.mix(step.count);
                    receipt.units += 1;
                    break;
                case "block_ns":
                    block(step.ms);
                    receipt.units += 1;
                    break;
                case "yield":
                    for (let time = 0; time < step.count; time++) {
                        await new Promise(setImmediate);
                        signal?.throwIfAborted();
                    }
                    receipt.units += step.count;
                    break;
                case "connect":
                    connection?.close();
                    connection = new Connection(servers[step.to][receipt.modulo(servers[step.to].length)], signal);
                    await connection.opened();
                    if (step.to !== "servers") {
                        await connection.greet(step);
                    }
                    receipt.units += 1;
                    break;
                case "exchange":
                    await connection.exchange(step.bytes, step.count, receipt);
                    break;
                case "say":
                case "hear":
                    await connection.talk(step, receipt);
                    break;
                case "hop":
                    await hop(step.count, receipt);
                    break;
                case "offload": {
                    const done = await offload(step.of, receipt);
                    receipt.wentOn(done.units, done.high, done.low);
                    break;
                }
                case "gather": {
                    const children = new Array(step.count);
                    for (let index = 0; index < step.count; index++) {
                        children[index] = perform(step.each?.[index] ?? step.of, receipt.child(index));
                    }
                    for (const child of await Promise.all(children)) {
                        receipt.join(child.units, child.high, child.low);
                    }
                    break;
                }
                case "group":
                    await group(step, receipt);
                    break;
                case "fail":
                    throw new Meant("it was told to fail");
            }
        }
    } finally {
        connection?.close();
    }
    return receipt;
}

/**
 * Waits for at least `ms` milliseconds, unless `signal` cancels it. `setTimeout` counts whole milliseconds and may end
 * up to one early.
 */
async function sleep(ms, signal = null) {
    const start = performance.now();
    let left = ms;
    do {
        await (signal ? delay(left, undefined, { signal }) : new Promise((resolve) => setTimeout(resolve, left)));
        left = ms - (performance.now() - start);
    } while (left > 0);
    tape?.late(-left);
}

function fmix32(value) {
    value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
    value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
    return (value ^ (value >>> 16)) >>> 0;
}

/** Returns whether this index is the one in its block of `nth` that runs the other steps: see docs/protocol.md. */
function isChosen(index, nth) {
    const place = index % nth;
    return place === fmix32((index - place) / nth) % nth;
}

/**
 * Runs the children of a group and adds their receipts, or their failure, to the parent's. Children of a group that
 * cancels have no children of their own, which the definition ensures.
 */
async function group(step, receipt) {
    const controller = step.cancels ? new AbortController() : null;
    if (controller) {
        setMaxListeners(0, controller.signal);
    }
    const children = new Array(step.count);
    const watched = watch && { begun: 0, gone: 0, failed: null };
    let first = null;
    for (let index = 0; index < step.count; index++) {
        const of = step.nth > 0 && isChosen(index, step.nth) ? step.other : step.of;
        const child = perform(of, receipt.child(index), controller?.signal ?? null);
        children[index] = (watched ? counted(child, watched) : child).catch((error) => {
            first ??= error;
            controller?.abort();
            throw error;
        });
    }
    const ended = await Promise.allSettled(children);
    if (watched && watched.failed !== null) {
        watch.groups.push({ ns: nanoseconds(performance.now() - watched.failed), left: watched.begun - watched.gone });
    }
    const unmeant = step.cancels
        ? first !== null && !(first instanceof Meant) && { reason: first }
        : ended.find((one) => one.status === "rejected" && !(one.reason instanceof Meant));
    if (unmeant) {
        throw unmeant.reason;
    }
    if (first !== null) {
        receipt.contain(step.count);
        return;
    }
    for (const { value } of ended) {
        receipt.join(value.units, value.high, value.low);
    }
}

async function counted(child, watched) {
    watched.begun += 1;
    try {
        return await child;
    } catch (error) {
        watched.failed ??= performance.now();
        throw error;
    } finally {
        watched.gone += 1;
    }
}

/** Blocks the thread. */
function block(ms) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** A connection to the suite's server, with at most one message in transit. */
class Connection {
    constructor({ host, port }, signal) {
        this.error = null;
        this.wake = null;
        this.fail = null;
        this.chunks = [];
        this.missing = 0;
        this.socket = net.connect({ host, port, noDelay: true });
        this.socket.on("data", (chunk) => this.take(chunk));
        this.socket.on("error", (error) => this.end(error));
        this.socket.on("end", () => this.end(new Error("the server closed the connection")));
        this.signal = signal;
        if (signal) {
            this.aborted = () => this.end(signal.reason);
            signal.addEventListener("abort", this.aborted, { once: true });
        }
    }

    /** Sends the delay or the size of the room as an 8-byte number. In a room, waits until all members are there. */
    async greet({ to, ns }) {
        const word = Buffer.alloc(8);
        word.writeBigUInt64LE(BigInt(to === "rooms" ? members : ns));
        await (to === "rooms" ? this.trip(word) : this.socket.write(word));
    }

    /** Sends messages to a room, each after the previous one was heard, or receives them. */
    async talk({ does, bytes, count }, receipt) {
        const wanted = Buffer.alloc(bytes, 0xa5);
        const message = new Receipt(0, 0);
        for (let time = 0; time < count; time++) {
            message.mix(1);
            wanted.writeInt32LE(message.low, 0);
            wanted.writeInt32LE(message.high, 4);
            const heard = await this.trip(does === "say" ? wanted : null, bytes);
            if (!heard.equals(wanted)) {
                throw new Error("another message was heard in the room than was said");
            }
            receipt.join(1, message.high, message.low);
        }
    }

    opened() {
        return new Promise((resolve, reject) => {
            this.fail = reject;
            this.socket.once("connect", resolve);
        });
    }

    end(error) {
        this.error = error;
        this.fail?.(error);
    }

    take(chunk) {
        this.chunks.push(chunk);
        this.missing -= chunk.length;
        if (this.missing <= 0) {
            this.wake?.();
        }
    }

    /** Sends `message` unless it is `null`; returns `length` received bytes. Further bytes stay for the next call. */
    async trip(message, length = message.length) {
        this.missing += length;
        if (message !== null || this.missing > 0) {
            if (this.error) {
                throw this.error;
            }
            await new Promise((resolve, reject) => {
                this.wake = resolve;
                this.fail = reject;
                if (message !== null) {
                    this.socket.write(message);
                }
            });
        }
        const came = this.chunks.length === 1 ? this.chunks[0] : Buffer.concat(this.chunks);
        this.chunks = came.length > length ? [came.subarray(length)] : [];
        return came.length > length ? came.subarray(0, length) : came;
    }

    async exchange(bytes, times, receipt) {
        const message = Buffer.alloc(bytes, 0xa5);
        for (let time = 0; time < times; time++) {
            message.writeInt32LE(receipt.low, 0);
            message.writeInt32LE(receipt.high, 4);
            const reply = await this.trip(message);
            if (!reply.equals(message)) {
                throw new Error("the echo server returned other bytes than it was sent");
            }
            receipt.low = reply.readInt32LE(0);
            receipt.high = reply.readInt32LE(4);
            receipt.mix(1);
        }
        receipt.units += times;
    }

    close() {
        this.signal?.removeEventListener("abort", this.aborted);
        this.socket.destroy();
    }
}

/** A channel with a capacity of one. `send` waits while it is full, `receive` while it is empty. */
class Channel {
    constructor() {
        this.held = null;
        this.receiver = null;
        this.sender = null;
    }

    async send(message) {
        while (this.held !== null) {
            await new Promise((resolve) => (this.sender = resolve));
        }
        this.held = message;
        this.receiver?.();
        this.receiver = null;
    }

    async receive() {
        while (this.held === null) {
            await new Promise((resolve) => (this.receiver = resolve));
        }
        const message = this.held;
        this.held = null;
        this.sender?.();
        this.sender = null;
        return message;
    }
}

async function hop(times, receipt) {
    const to = new Channel(), back = new Channel();
    const partner = (async () => {
        for (;;) {
            const message = await to.receive();
            if (message === "over") {
                return;
            }
            message.mix(1);
            await back.send(message);
        }
    })();
    let message = new Receipt(receipt.high, receipt.low);
    for (let time = 0; time < times; time++) {
        await to.send(message);
        message = await back.receive();
    }
    await to.send("over");
    await partner;
    receipt.units += times;
    receipt.high = message.high;
    receipt.low = message.low;
}

// ---- Worker threads, for what is offloaded ----

/** Handles the messages of a worker thread, which receives this function and its dependencies as text. */
function serveWork() {
    const { parentPort } = require("node:worker_threads");
    parentPort.on("message", ({ steps, high, low }) => {
        let units = 0;
        for (const step of steps) {
            units += 1;
            if (step.does === "block_ns") {
                block(step.ms);
            } else {
                compute(high, low, step.count);
                ({ high, low } = mixed);
            }
        }
        parentPort.postMessage({ units, high, low });
    });
}

/** The threads, and the work that waits for one. */
const pool = { idle: [], waiting: [], all: [] };

async function startPool(workers) {
    const source = `const mixed = { high: 0, low: 0 };
        ${[multiplyHigh, compute, block, serveWork].join("\n")}
        serveWork();`;
    while (pool.all.length < workers) {
        const worker = new Worker(source, { eval: true, execArgv: [] });
        worker.on("message", (done) => {
            const { resolve } = worker.task;
            next(worker);
            resolve(done);
        });
        worker.on("error", (error) => worker.task?.reject(error));
        worker.task = null;
        pool.all.push(worker);
        // A first task ensures that the thread has started before a batch begins.
        await new Promise((resolve, reject) => {
            worker.task = { resolve, reject };
            worker.postMessage({ steps: [], high: 0, low: 0 });
        });
    }
}

function next(worker) {
    worker.task = pool.waiting.shift() ?? null;
    if (worker.task) {
        worker.postMessage(worker.task.work);
    } else {
        pool.idle.push(worker);
    }
}

function offload(steps, { high, low }) {
    return new Promise((resolve, reject) => {
        pool.waiting.push({ work: { steps, high, low }, resolve, reject });
        const worker = pool.idle.pop();
        if (worker) {
            next(worker);
        }
    });
}

// ---- Definitions ----

/** The error of a failure that no single job caused. */
class Refused extends Error {}

/** Reads steps as paceline sends them. All get the same fields, so that the interpreter's loop sees one shape. */
function readSteps(list) {
    return list.map((step) => {
        const [does] = Object.keys(step);
        const of = step[does];
        const read = { does, count: 0, bytes: 0, ms: 0, ns: 0, to: null, of: null, each: null, nth: 0, other: null, cancels: false };
        const known = (...keys) => {
            const unknown = Object.keys(of).find((key) => !keys.includes(key));
            if (unknown !== undefined) {
                throw new Refused(`this interpreter knows no ${does} with \`${unknown}\``);
            }
        };
        switch (does) {
            case "sleep_ns":
            case "block_ns":
                return { ...read, ms: of / 1e6 };
            case "compute":
            case "hop":
            case "yield":
                return { ...read, count: of };
            case "connect":
                if (of === "echo" || of === "room") {
                    return { ...read, to: of === "echo" ? "servers" : "rooms" };
                }
                known("slow_ns");
                return { ...read, to: "slow", ns: of.slow_ns };
            case "exchange":
            case "say":
            case "hear":
                known("bytes", "times");
                return { ...read, count: of.times, bytes: of.bytes };
            case "offload":
                return { ...read, of: readSteps(of) };
            case "gather":
                if (Array.isArray(of)) {
                    return { ...read, count: of.length, each: of.map(readSteps) };
                }
                known("width", "of");
                return { ...read, count: of.width, of: readSteps(of.of) };
            case "group": {
                known("width", "of", "every", "cancels");
                const { nth, job } = of.every ?? { nth: 0, job: [] };
                const other = readSteps(job);
                return { ...read, count: of.width, of: readSteps(of.of), nth, other, cancels: of.cancels };
            }
            case "fail":
                return read;
            default:
                throw new Refused(`this interpreter knows no step \`${does}\``);
        }
    });
}

const offloads = (steps) =>
    steps?.some(
        (step) =>
            step.does === "offload" || offloads(step.of) || offloads(step.other) || (step.each?.some(offloads) ?? false),
    ) ?? false;

/** Reads a cell: the steps of the job of each index. */
async function readCell(cell) {
    const place = (address) => {
        const colon = address.lastIndexOf(":");
        return { host: address.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(address.slice(colon + 1)) };
    };
    for (const sort of ["servers", "slow", "rooms"]) {
        servers[sort] = (cell[sort] ?? []).map(place);
    }
    members = cell.scale;
    const usual = readSteps(cell.jobs.usual);
    const { nth, job } = cell.jobs.every ?? { nth: 0, job: [] };
    const other = readSteps(job);
    if (offloads(usual) || offloads(other)) {
        await startPool(cell.workers ?? 1);
    }
    // Computed beforehand, because the seeds are not part of the jobs' work.
    const seeds = Array.from({ length: cell.scale }, (_, index) => NONE.child(index));
    return { scale: cell.scale, seeds, steps: (index) => (nth > 0 && isChosen(index, nth) ? other : usual) };
}

// ---- Batches ----

const NONE = new Receipt(0, 0);
const start = (cell, index) => perform(cell.steps(index), (cell.seeds[index] ?? NONE.child(index)).copy());

async function watched(cell, index) {
    watch.inFlight += 1;
    watch.peak = Math.max(watch.peak, watch.inFlight);
    try {
        return await start(cell, index);
    } finally {
        watch.inFlight -= 1;
    }
}

async function noted(cell, index) {
    const began = performance.now();
    const receipt = await start(cell, index);
    tape.job(index, began, performance.now());
    return receipt;
}

/** Times of single jobs, all in nanoseconds. */
class Tape {
    constructor(jobs) {
        this.begin = 0;
        this.latency = new Array(jobs).fill(0);
        this.service = new Array(jobs).fill(0);
        this.lateness = [];
        this.lost = 0;
    }

    job(index, began, ended) {
        this.latency[index] = nanoseconds(ended - this.begin);
        this.service[index] = nanoseconds(ended - began);
    }

    late(ms) {
        if (this.lateness.length < ROOM) {
            this.lateness.push(nanoseconds(ms));
        } else {
            this.lost += 1;
        }
    }
}

const nanoseconds = (ms) => Math.max(0, Math.round(ms * 1e6));

/** Runs all jobs concurrently, each with `one`, and returns the batch as reported. */
async function timedBatch(cell, one) {
    const begin = performance.now();
    if (tape) {
        tape.begin = begin;
    }
    const jobs = new Array(cell.scale);
    for (let index = 0; index < cell.scale; index++) {
        jobs[index] = one(cell, index);
    }
    let receipts;
    try {
        receipts = await Promise.all(jobs);
    } catch {
        // Reports the first job that failed, after all have ended.
        const ended = await Promise.allSettled(jobs);
        const job = ended.findIndex((end) => end.status === "rejected");
        throw Object.assign(new Error(explain(ended[job].reason)), { job });
    }
    const ns = nanoseconds(performance.now() - begin);
    const all = new Receipt(0, 0);
    for (const receipt of receipts) {
        all.join(receipt.units, receipt.high, receipt.low);
    }
    return { ns, jobs: receipts.length, units: all.units, digest: all.hex() };
}

/** Describes an error in words instead of libuv's codes. */
function explain(error) {
    const [code, words] = util.getSystemErrorMap().get(error.errno) ?? [];
    return code ? `${words} (${code}, ${error.syscall ?? "system call"})` : String(error.message ?? error);
}

// ---- A server ----

const TEXT = { "content-type": "text/plain" };
/** The query is ignored; clients of proxies also send the host. */
const PATH = /^(?:http:\/\/[^/?]*)?(?:\/(\d*))?(?:\?.*)?$/;

async function serve(told) {
    const cell = await readCell({ ...told, scale: 0 });
    const methods = new Set(["GET", "HEAD", "POST", "PUT"]);
    const respond = (response, status, body, headers = TEXT) => {
        const text = `${body}\n`;
        response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(text) });
        response.end(text);
    };
    const server = http.createServer({ requireHostHeader: false }, (request, response) => {
        if (request.headers["transfer-encoding"] !== undefined) {
            const headers = { ...TEXT, connection: "close" };
            respond(response, 501, "bodies are read by their content-length only, not in chunks", headers);
            return;
        }
        request.resume();
        const path = PATH.exec(request.url);
        const index = Number(path?.[1] || 0);
        if (!methods.has(request.method)) {
            respond(response, 405, "the methods are GET, HEAD, POST and PUT", { ...TEXT, allow: "GET, HEAD, POST, PUT" });
        } else if (!path || index > 0xffffffff) {
            respond(response, 404, "a path is / or the index of a job, such as /7");
        } else {
            start(cell, index).then(
                (receipt) => respond(response, 200, `${receipt.units} ${receipt.hex()}`),
                (error) => respond(response, 500, explain(error)),
            );
        }
    });
    // A timer per connection would be a cost of the interpreter's own. Connections stay open.
    server.keepAliveTimeout = server.headersTimeout = server.requestTimeout = server.timeout = 0;
    const end = (why) => {
        fs.writeSync(2, `the server ended: ${why}\n`);
        process.exit(1);
    };
    const { address: host, token } = told.listen ?? { address: "127.0.0.1", token: "" };
    const listening = token ? guarded(server, Buffer.from(token)) : server;
    listening.on("error", (error) => end(explain(error)));
    // Without a free descriptor, libuv silently closes the connection. The limit below makes this visible.
    const room = descriptors();
    if (room !== null) {
        listening.maxConnections = room;
        listening.on("drop", () => end("too many open files"));
    }
    await new Promise((resolve) => listening.listen({ host, port: 0, backlog: 4096 }, resolve));
    say({ serving: { address: `${host}:${listening.address().port}` } });
}

/** Returns what listens for `server`, and passes on only connections that begin with `token`. */
function guarded(server, token) {
    return net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
        const leave = () => socket.destroy();
        const take = () => {
            const said = socket.read(token.length);
            // Less is said so far.
            if (said === null) return;
            socket.off("readable", take).off("error", leave).off("end", leave);
            if (said.equals(token)) {
                server.emit("connection", socket);
                socket.resume();
            } else {
                leave();
            }
        };
        socket.on("readable", take).on("error", leave).on("end", leave);
    });
}

/** Returns how many more files can be opened, less a reserve of 4; `null` if the system does not show it. */
function descriptors() {
    try {
        const [, most] = /^Max open files\s+(\d+)/m.exec(fs.readFileSync("/proc/self/limits", "utf8"));
        return Math.max(1, Number(most) - fs.readdirSync("/proc/self/fd").length - 4);
    } catch {
        return null;
    }
}

// ---- The protocol ----

function say(message) {
    sayAll([message]);
}

/** Sends messages together. They are a list, because a call with a hundred thousand arguments overflows the stack. */
function sayAll(messages) {
    process.stdout.write(messages.map((message) => `${JSON.stringify(message)}\n`).join(""));
}

const PROBES = { inert, created, cancelled };
/** How long a probe waits for something to happen, in milliseconds. */
const PAUSE = 20;

async function inert() {
    let begun = false;
    const job = (async () => { begun = true; })();
    const timer = sleep(PAUSE);
    await sleep(PAUSE);
    const seen = begun;
    const start = performance.now();
    await timer;
    const slept_ns = nanoseconds(performance.now() - start);
    await job;
    return { inert: { begun: seen, slept_ns } };
}

async function created() {
    let begun = false;
    const task = (async () => { begun = true; })();
    block(PAUSE);
    const at_once = begun;
    await sleep(PAUSE);
    const before_awaited = begun;
    await task;
    return { created: { at_once, before_awaited } };
}

async function cancelled() {
    let begun = 0;
    let ended = 0;
    const child = async () => {
        begun += 1;
        await sleep(2 * PAUSE);
        ended += 1;
    };
    // Promises cannot be cancelled. The one that loses a race is merely no longer awaited.
    await Promise.race([Promise.all([child(), child(), child()]), sleep(PAUSE)]);
    const seen = begun;
    await sleep(4 * PAUSE);
    return { cancelled: { begun: seen, ended } };
}

function hello() {
    const version = process.versions.node;
    if (Number.parseInt(version, 10) < OLDEST) {
        say({ unavailable: { reason: `node ${version} is too old: install Node.js ${OLDEST} or newer`, version } });
        process.exit(0);
    }
    let best = Infinity;
    // The first tries run before the compiler has optimised the code.
    for (let time = 0, rounds = 20_000; time < 20; time++) {
        const begin = performance.now();
        compute(0, time, rounds);
        const each = ((performance.now() - begin) * 1e6) / rounds;
        best = Math.min(best, each);
        rounds = Math.max(1_000, Math.round(1e6 / best));
    }
    say({
        hello: {
            protocol: 3, model: MODEL, language: "JavaScript", version, steps: STEPS, compute_ns: best, parallel: true,
            probes: Object.keys(PROBES),
        },
    });
}

let cell = null;
let serving = false;

async function answer(request) {
    const [[name, told]] = Object.entries(request);
    if (serving) {
        throw new Refused("this process is a server");
    }
    if (cell === null && (name === "batches" || name === "watch")) {
        throw new Refused("no cell is prepared");
    }
    switch (name) {
        case "prepare":
            cell = await readCell(told);
            say({ prepared: {} });
            break;
        case "batches": {
            const batches = [];
            for (let count = 0; count < told.count; count++) {
                tape = told.times ? new Tape(cell.scale) : null;
                const done = await timedBatch(cell, tape ? noted : start);
                if (tape) {
                    done.latency_ns = tape.latency;
                    done.service_ns = tape.service;
                    done.lateness_ns = tape.lateness;
                    done.sleeps_lost = tape.lost;
                    say({ batch: done });
                } else {
                    batches.push({ batch: done });
                }
            }
            // Sent together: a parent reading them one by one would run during the next batch.
            sayAll(batches);
            break;
        }
        case "watch": {
            watch = { inFlight: 0, peak: 0, groups: [] };
            const done = await timedBatch(cell, watched);
            // Jobs run on the thread of the event loop, even if they offload work.
            if (watch.groups.length > 0) {
                done.group_ended_ns_max = watch.groups.reduce((most, { ns }) => Math.max(most, ns), 0);
                done.children_left = watch.groups.reduce((sum, { left }) => sum + left, 0);
            }
            say({ watched: { ...done, peak_in_flight: watch.peak, job_threads: 1 } });
            break;
        }
        case "probe":
            say({ probed: await PROBES[told.what]() });
            break;
        case "serve":
            await serve(told);
            serving = true;
            break;
        case "stop":
            await Promise.all(pool.all.map((worker) => worker.terminate()));
            say({ stopped: {} });
            process.exit(0);
            break;
        default:
            throw new Refused(`no request is called ${name}`);
    }
}

hello();
// Handles one request at a time: a line that arrives early waits.
let last = Promise.resolve();
const lines = readline.createInterface({ input: process.stdin, crlfDelay: Infinity });
lines.on("line", (line) => {
    last = last
        .then(() => answer(JSON.parse(line)))
        .catch((error) => say({ failed: { job: error.job ?? null, error: explain(error) } }))
        .finally(() => (tape = watch = null));
});
lines.on("close", () => process.exit(0));
