// Reads answers with Node's HTTP client: an array of base64 on standard input, what was made of each on standard output.
import http from "node:http";
import { Duplex } from "node:stream";

function read(bytes) {
  return new Promise((resolve) => {
    const agent = new http.Agent({ keepAlive: true });
    const stream = new Duplex({ read() {}, write(_, __, done) { done(); } });
    for (const name of ["setKeepAlive", "setNoDelay", "setTimeout", "ref", "unref"]) stream[name] = () => stream;
    agent.createConnection = () => stream;
    const failed = (error) => resolve({ error: String(error.code ?? error.message) });
    const request = http.get({ agent, host: "localhost" }, (answer) => {
      const body = [];
      answer.on("data", (part) => body.push(part));
      answer.on("error", failed);
      answer.on("end", () =>
        answer.complete
          ? resolve({
              status: answer.statusCode,
              body: Buffer.concat(body).toString("latin1"),
              close: !request.shouldKeepAlive,
            })
          : failed({ code: "incomplete" }),
      );
    });
    request.on("error", failed);
    request.on("upgrade", () => failed({ code: "upgrade" }));
    request.on("socket", () => {
      stream.push(bytes);
      stream.push(null);
    });
  });
}

let input = "";
for await (const part of process.stdin) input += part;
const found = [];
for (const answer of JSON.parse(input)) found.push(await read(Buffer.from(answer, "base64")));
console.log(JSON.stringify(found));
