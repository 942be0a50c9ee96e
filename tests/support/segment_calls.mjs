// Sends calls by Segment's library for Node, as an app does, and prints what became of them as JSON:
// {"statuses": [of each attempt], "errors": [of each call that was given up]}.
//
//     node segment_calls.mjs FOLDER SETTINGS CALLS SHIFT
//
// FOLDER has the library, SETTINGS are those of the library as JSON, CALLS are [method, arguments] as JSON, SHIFT is how many
// milliseconds the clock is ahead.

import { createRequire } from "node:module";

const [folder, settings, calls, shift] = process.argv.slice(2);
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...parts) {
    parts.length ? super(...parts) : super(RealDate.now() + Number(shift));
  }
  static now() {
    return RealDate.now() + Number(shift);
  }
};

const { Analytics } = createRequire(`${folder}/package.json`)("@segment/analytics-node");
const analytics = new Analytics(JSON.parse(settings));
const statuses = [];
const errors = [];
analytics.on("http_response", (response) => statuses.push(response.status));
analytics.on("error", (error) => errors.push(String(error.reason ?? error)));
for (const [method, body] of JSON.parse(calls)) {
  analytics[method](body);
}
await analytics.closeAndFlush({ timeout: 120_000 });
console.log(JSON.stringify({ statuses, errors }));
