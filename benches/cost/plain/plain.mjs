// What somebody would write for node without paceline: prints nanoseconds of each round, a line each.

import net from "node:net";

const [work, jobs, rounds, addresses] = process.argv.slice(2);
const servers = addresses.split(",").map((address) => {
    const [host, port] = address.split(":");
    return { host, port: Number(port) };
});

/** The high 32 bits of the product of two unsigned 32-bit integers. */
function high(a, b) {
    const a0 = a & 0xffff, a1 = a >>> 16, b0 = b & 0xffff, b1 = b >>> 16;
    const middle = (Math.imul(a1, b0) + (Math.imul(a0, b0) >>> 16)) | 0;
    const cross = (Math.imul(a0, b1) + (middle & 0xffff)) | 0;
    return (Math.imul(a1, b1) + (middle >>> 16) + (cross >>> 16)) | 0;
}

/** SplitMix64 on [high, low]: BigInt would be many times slower. */
function mix(value, times) {
    let [top, low] = value;
    for (let time = 0; time < times; time++) {
        low = (low + 0x7f4a7c15) | 0;
        top = (top + (0x9e3779b9 | 0) + ((low >>> 0) < 0x7f4a7c15 ? 1 : 0)) | 0;
        low ^= (low >>> 30) | (top << 2);
        top ^= top >>> 30;
        top = (high(low, 0x1ce4e5b9) + Math.imul(top, 0x1ce4e5b9) + Math.imul(low, 0xbf58476d)) | 0;
        low = Math.imul(low, 0x1ce4e5b9);
        low ^= (low >>> 27) | (top << 5);
        top ^= top >>> 27;
        top = (high(low, 0x133111eb) + Math.imul(top, 0x133111eb) + Math.imul(low, 0x94d049bb)) | 0;
        low = Math.imul(low, 0x133111eb);
        low ^= (low >>> 31) | (top << 1);
        top ^= top >>> 31;
    }
    return [top, low];
}

const JOBS = {
    /** `setTimeout` may be up to a millisecond early: what is left is slept, too. */
    async sleep(index) {
        const start = performance.now();
        for (let left = 10; left > 0; left = 10 - (performance.now() - start)) {
            await new Promise((resolve) => setTimeout(resolve, left));
        }
        return index;
    },

    async exchange(index) {
        let value = mix([0, index], 1);
        const socket = net.connect({ ...servers[(value[1] >>> 0) % servers.length], noDelay: true });
        await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
        let chunks = [], missing = 0, wake;
        socket.on("data", (chunk) => {
            chunks.push(chunk);
            missing -= chunk.length;
            if (missing <= 0) {
                wake();
            }
        });
        const message = Buffer.alloc(100, 0xa5);
        for (let time = 0; time < 20; time++) {
            message.writeInt32LE(value[1], 0);
            message.writeInt32LE(value[0], 4);
            missing = message.length;
            await new Promise((resolve) => {
                wake = resolve;
                socket.write(message);
            });
            const reply = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
            chunks = [];
            if (!reply.equals(message)) {
                throw new Error("other bytes came back");
            }
            value = mix([reply.readInt32LE(4), reply.readInt32LE(0)], 1);
        }
        socket.destroy();
        return value;
    },

    async compute(index) {
        return mix([0, index], 20_000);
    },
};

for (let round = 0; round < Number(rounds); round++) {
    const start = process.hrtime.bigint();
    const outputs = await Promise.all(Array.from({ length: Number(jobs) }, (_, index) => JOBS[work](index)));
    const elapsed = process.hrtime.bigint() - start;
    if (outputs.length !== Number(jobs)) {
        throw new Error("a job is missing");
    }
    console.log(String(elapsed));
}
