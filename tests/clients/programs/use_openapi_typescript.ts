// What an application does with the types that openapi-typescript generates, and openapi-fetch: send events and ask for a number.

import createClient from "openapi-fetch";
import type { components, paths } from "./generated.js";

declare const process: { argv: string[] };

const [url, key] = process.argv.slice(2) as [string, string];
const client = createClient<paths, "application/json" | "application/problem+json">({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });
const events: components["schemas"]["SessionEndedEvent"][] = [0, 1, 2].map((number) => ({
    id: `session-${number}`,
    type: "session.ended",
    account_id: "acme",
    user_id: "ada",
    occurred_at: "2026-03-14T09:30:00Z",
    data: { duration_seconds: 600 },
}));
const receipt = await client.POST("/v1/events", { body: events });
const answer = await client.POST("/v1/query", {
    body: { metrics: ["sessions"], period: "2026-03", granularity: "month" },
});
const one = await client.GET("/v1/metrics/{metric}", {
    params: { path: { metric: "sessions" }, query: { period: "2026-03" } },
});
const wrong = await client.GET("/v1/metrics/{metric}", {
    params: { path: { metric: "sessions" }, query: { period: "soon" } },
});
const row = answer.data?.rows[0];
console.log(JSON.stringify([receipt.data?.accepted, row?.metric, row?.value, one.data?.rows[0]?.value, wrong.error?.code]));
