// A receiver of webhooks in another language, which verifies each message with nothing but what Node has. It listens on a free
// port of 127.0.0.1, prints the port, and appends a line of JSON to a file for each message. Every fiftieth is not answered.
//
//     WEBHOOK_SECRET=whsec_… node webhook_receiver.mjs FILE
//
// Where the packages standardwebhooks and svix are installed, they verify as well.

import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";

const file = process.argv[2];
const secret = process.env.WEBHOOK_SECRET;
const key = Buffer.from(secret.slice("whsec_".length), "base64");
const MAX_AGE_SECONDS = 300;
const DROPPED = 50;

const libraries = {};
for (const name of ["standardwebhooks", "svix"]) {
  try {
    const { Webhook } = await import(name);
    libraries[name] = new Webhook(secret);
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
  }
}

function isGenuine(headers, body) {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures } = headers;
  if (!/^\d+$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > MAX_AGE_SECONDS) return false;
  const expected = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
  return signatures.split(" ").some((text) => {
    const [version, signature] = text.split(",");
    const received = Buffer.from(signature ?? "", "base64");
    return version === "v1" && received.length === expected.length && timingSafeEqual(received, expected);
  });
}

function accepts(library, headers, body) {
  try {
    library.verify(body, headers);
    return true;
  } catch {
    return false;
  }
}

let count = 0;
const server = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const body = Buffer.concat(parts);
    const verdicts = Object.values(libraries).map((library) => accepts(library, request.headers, body));
    const row = {
      id: request.headers["webhook-id"],
      timestamp: request.headers["webhook-timestamp"],
      body: createHash("sha256").update(body).digest("hex"),
      is_genuine: [isGenuine(request.headers, body), ...verdicts].every(Boolean),
    };
    appendFileSync(file, `${JSON.stringify(row)}\n`);
    count += 1;
    if (count % DROPPED === 0) request.socket.destroy();
    else response.writeHead(204).end();
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
