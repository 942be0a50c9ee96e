// The overview: where revenue goes, who stays, who is at risk and why, what customers say, and whether the books are right.
import { html } from "../vendor/preact.js";
import { useAnswers } from "../answers.js";
import { Card } from "../card.js";
import { formatAmount, formatDay, formatShort } from "../format.js";
import { theme } from "../theme.js";

const MOVEMENTS = "mrr_opening,mrr_new,mrr_reactivated,mrr_expansion,mrr_contraction,mrr_churned,mrr";

export function View({ session }) {
  const chart = (path) => `${path}${path.includes("?") ? "&" : "?"}format=vega&theme=${theme()}`;
  const paths = {
    scorecard: "/v1/scorecard",
    bridge: chart(`/v1/query?metrics=${MOVEMENTS}&period=last_month`),
    retention: chart("/v1/query?metrics=nrr,grr&period=last_12_months"),
    atRisk: "/v1/health?band=critical&band=at_risk&limit=6",
    triangle: chart("/v1/cohorts?period=last_12_months"),
    nps: chart("/v1/metrics/nps?period=last_4_quarters&granularity=quarter"),
    users: chart("/v1/metrics/active_users?period=last_12_months"),
    churn: chart("/v1/metrics/customer_churn_rate?period=last_12_months"),
    detractors: "/v1/feedback?class=detractor&status=open&limit=5",
    insights: "/v1/insights",
    checks: "/v1/checks",
  };
  const answer = useAnswers(Object.values(paths));
  const of = (name) => ({ path: paths[name], answer: answer(paths[name]) });
  return html`
    <${Verified} ...${of("checks")} />
    <${Tiles} ...${of("scorecard")} session=${session} />
    <div class="cards">
      <${Card} ...${of("bridge")} wide />
      <${Card} ...${of("retention")} />
      <${Card} ...${of("atRisk")} wide title="Accounts that need someone" lead="Health below its threshold, the worst first.">
        ${(body) => html`<${AccountsAtRisk} accounts=${body.accounts} session=${session} />`}
      <//>
      <${Card} ...${of("insights")} title="What needs attention">${(body) => html`<${Insights} rows=${body.rows} />`}<//>
      <${Card} ...${of("triangle")} wide />
      <${Card} ...${of("nps")} />
      <${Card} ...${of("users")} />
      <${Card} ...${of("churn")} />
      <${Card} ...${of("detractors")} title="Latest detractors" lead="Comments that nobody has answered yet.">
        ${(body) => html`<${Comments} rows=${body.feedback} />`}
      <//>
    </div>
  `;
}

function Verified({ answer }) {
  const body = answer.body;
  if (!body) return html`<p class="verified quiet"> </p>`;
  const differing = body.checks.filter((check) => !check.ok);
  return body.ok
    ? html`<p class="verified good">✓ Books verified: ${body.checks.length} identities hold.</p>`
    : html`<p class="verified bad">✗ ${differing.map((check) => check.sentence).join(" ")}</p>`;
}

const STATUS = {
  met: ["good", "✓ met"],
  on_track: ["good", "↗ on track"],
  behind: ["bad", "↘ behind"],
  missed: ["bad", "✗ missed"],
  no_data: ["quiet", "no data"],
};

function Tiles({ answer, session }) {
  const rows = answer.body?.rows ?? [];
  return html`<ul class="tiles" aria-label="Scorecard">
    ${rows.map((row) => html`<${Tile} key=${row.id} row=${row} session=${session} />`)}
  </ul>`;
}

/** The value of the last complete period, and how the running one stands to its target. */
function Tile({ row, session }) {
  const complete = row.trend.filter((point) => point.complete).at(-1);
  const [kind, word] = STATUS[row.status];
  const short = (value) => formatShort(value, row.unit, session.currency);
  return html`<li class="card tile">
    <h2>${row.metric.replaceAll("_", " ")}</h2>
    <p class="value">${short(complete?.value)}</p>
    <p class="quiet">${complete?.period}</p>
    <${Sparkline} points=${row.trend} />
    <p class=${kind}>${word} <span class="quiet">· target ${short(row.target)}, ${row.period}: ${short(row.value)}</span></p>
  </li>`;
}

/** The shape of the last periods; the running one is dashed. It is silent, as the numbers beside it say the same. */
function Sparkline({ points }) {
  const values = points.map((point) => point.value).filter((value) => value !== null);
  if (values.length < 2) return html`<svg class="sparkline" viewBox="0 0 100 24" aria-hidden="true"></svg>`;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (index) => (100 * index) / (points.length - 1);
  const y = (value) => 22 - (20 * (value - low)) / (high - low || 1);
  const line = (from, to) =>
    points.slice(from, to).flatMap((point, index) => (point.value === null ? [] : [`${x(from + index)},${y(point.value)}`])).join(" ");
  const running = points.findIndex((point) => !point.complete);
  const end = running < 0 ? points.length : running;
  return html`<svg class="sparkline" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
    <polyline points=${line(0, end)} />
    ${running > 0 && html`<polyline class="running" points=${line(running - 1, points.length)} />`}
  </svg>`;
}

const BANDS = { critical: ["bad", "critical"], at_risk: ["warn", "at risk"], healthy: ["good", "healthy"] };

function AccountsAtRisk({ accounts, session }) {
  if (!accounts.length) return html`<p class="quiet">No account is at risk.</p>`;
  return html`<table>
    <thead>
      <tr><th class="number">Health</th><th>Account</th><th>Weakest</th><th class="number">MRR</th></tr>
    </thead>
    <tbody>
      ${accounts.map(
        (own) => html`<tr key=${own.account}>
          <td class="number"><span class=${BANDS[own.band][0]}>${Math.round(own.score)}</span> <small>${BANDS[own.band][1]}</small></td>
          <td><bdi>${own.account}</bdi></td>
          <td>${own.override ? own.override.reason : own.weakest && `${own.weakest.title}: ${formatShort(own.weakest.value, own.weakest.unit, session.currency)}`}</td>
          <td class="number">${formatAmount(own.mrr, session.currency)}</td>
        </tr>`,
      )}
    </tbody>
  </table>`;
}

function Insights({ rows }) {
  if (!rows.length) return html`<p class="quiet">Nothing stands out.</p>`;
  return html`<ul class="list">
    ${rows.map(
      (row) => html`<li key=${row.id}><h3 class=${row.severity === "critical" ? "bad" : ""}>${row.title}</h3><p>${row.sentence}</p></li>`,
    )}
  </ul>`;
}

function Comments({ rows }) {
  if (!rows.length) return html`<p class="quiet">No open comment of a detractor.</p>`;
  return html`<ul class="list">
    ${rows.map(
      (row) => html`<li key=${row.id}>
        <p><strong class="bad">${row.score}</strong> “<bdi>${row.comment}</bdi>”</p>
        <p class="quiet"><bdi>${row.account_id}</bdi> · ${row.channel} · ${formatDay(row.occurred_at)}</p>
      </li>`,
    )}
  </ul>`;
}
