// What an application does with the client that openapi-generator generates for TypeScript: send events and ask for a number.

import { Configuration, Granularity, IngestApi, MetricName, MetricsApi, ResponseError } from "./generated/index.js";

declare const process: { argv: string[] };

const [url, key] = process.argv.slice(2) as [string, string];
const configuration = new Configuration({ basePath: url, accessToken: key });
const receipt = await new IngestApi(configuration).postEvents({
    events: {
        events: [0, 1, 2].map((number) => ({
            id: `session-${number}`,
            type: "session.ended" as const,
            accountId: "acme",
            userId: "ada",
            occurredAt: new Date("2026-03-14T09:30:00Z"),
            data: { durationSeconds: 600 },
        })),
    },
});
const metrics = new MetricsApi(configuration);
const answer = await metrics.query({
    severalParameters: { metrics: [MetricName.Sessions], period: "2026-03", granularity: Granularity.Month },
});
const one = await metrics.getMetric({ metric: MetricName.Sessions, period: "2026-03" });
let code = "";
try {
    await metrics.getMetric({ metric: MetricName.Sessions, period: "soon" });
} catch (error) {
    if (error instanceof ResponseError) code = (await error.response.json()).code;
}
console.log(JSON.stringify([receipt.accepted, answer.rows[0]?.metric, answer.rows[0]?.value, one.rows[0]?.value, code]));
