// The overview: where revenue goes, who stays, who is at risk and why, what customers say, and whether the books are right.
import { html } from "../vendor/preact.js";
import { address, queryOf } from "../address.js";
import { useAnswers, useKept } from "../answers.js";
import { Card } from "../card.js";
import { AsOfControl, Controls, PeriodControl, SegmentControl } from "../controls.js";
import { formatAmount, formatChange, formatDay, formatPeriod, formatShort } from "../format.js";
import { AccountLink, reasonOf, SIGNS } from "../health.js";
import { viewOf } from "../request.js";
import { Sparkline, StatusText } from "../standing.js";
import { Table } from "../table.js";
import { texts } from "../texts.js";
import { theme } from "../theme.js";

const MOVEMENTS = "mrr_opening,mrr_new,mrr_reactivated,mrr_expansion,mrr_contraction,mrr_churned,mrr";
const YEAR = "last_12_months";
const words = texts.overview;

/** The requests of the view, by card. */
function usePaths() {
  const { period, start, end, segment, as_of } = address.value.params;
  const segments = useKept("/v1/segments")?.segments ?? [];
  const filter = segments.find((own) => own.name === segment)?.filter;
  const isYear = !period && !start && !end;
  const range = isYear ? { period: YEAR } : { period, start, end };
  const known = { segment, as_of };
  const chart = (path, params) => `${path}${queryOf({ ...params, ...known, format: "vega", theme: theme() })}`;
  const whole = { ...range, granularity: "total" };
  return {
    scorecard: `/v1/scorecard${queryOf({ as_of })}`,
    insights: `/v1/insights${queryOf({ as_of, limit: 5 })}`,
    bridge: chart("/v1/query", { metrics: MOVEMENTS, ...(isYear ? { period: "last_month" } : whole) }),
    retention: chart("/v1/query", { metrics: "nrr,grr", ...range }),
    segments: `/v1/metrics/customer_churn_rate${queryOf({ ...whole, group_by: "segment", as_of, format: "vega", theme: theme() })}`,
    reasons: chart("/v1/metrics/customers_churned", { ...whole, group_by: "subject" }),
    atRisk: `/v1/health${queryOf({ band: ["critical", "at_risk"], limit: 6, ...known })}`,
    triangle: chart("/v1/cohorts", range),
    nps: chart("/v1/metrics/nps", { ...(isYear ? { period: "last_4_quarters" } : range), granularity: "quarter" }),
    users: chart("/v1/query", { metrics: "active_users,stickiness", ...range }),
    churn: chart("/v1/metrics/customer_churn_rate", range),
    detractors: `/v1/feedback${queryOf({ class: "detractor", status: "open", filter, limit: 5 })}`,
    checks: "/v1/checks",
  };
}

export function View({ session }) {
  const paths = usePaths();
  const answer = useAnswers(Object.values(paths));
  const of = (name) => ({ path: paths[name], answer: answer(paths[name]) });
  return html`
    <div class="top">
      <${Controls}><${PeriodControl} fallback=${YEAR} /><${SegmentControl} /><${AsOfControl} /><//>
      <${Verified} ...${of("checks")} />
    </div>
    <${Tiles} ...${of("scorecard")} session=${session} />
    <div class="cards">
      <${Card} ...${of("bridge")} wide />
      <${Card} ...${of("insights")} title=${words.insights}>${(body) => html`<${Insights} rows=${body.rows} />`}<//>
      <${Card} ...${of("segments")} title=${words.segments} />
      <${Card} ...${of("reasons")} title=${words.reasons} />
      <${Card} ...${of("detractors")} title=${words.detractors} lead=${words.detractorsLead}>
        ${(body) => html`<${Comments} rows=${body.feedback} />`}
      <//>
      <${Card} ...${of("atRisk")} wide title=${words.atRisk} lead=${words.atRiskLead}>
        ${(body) => html`<${AccountsAtRisk} accounts=${body.accounts} session=${session} />`}
      <//>
      <${Card} ...${of("retention")} />
      <${Card} ...${of("triangle")} wide />
      <${Card} ...${of("nps")} />
      <${Card} ...${of("churn")} />
      <${Card} ...${of("users")} wide />
    </div>
  `;
}

function Verified({ answer }) {
  const body = answer.body;
  if (!body) return html`<p class="verified quiet"> </p>`;
  const differing = body.checks.filter((check) => !check.ok);
  return body.ok
    ? html`<p class="verified good">✓ ${words.verified(body.checks.length)}</p>`
    : html`<p class="verified bad">✗ ${differing.map((check) => check.sentence).join(" ")}</p>`;
}

function Tiles({ answer, session }) {
  const rows = answer.body?.rows ?? [];
  return html`<ul class="tiles" aria-label=${texts.views.scorecard} aria-busy=${!answer.body && !answer.problem}>
    ${rows.map((row) => html`<${Tile} key=${row.id} row=${row} session=${session} />`)}
  </ul>`;
}

/** The value of the last complete period and its change, and how the running one stands to its target. */
function Tile({ row, session }) {
  const [before, complete] = [undefined, undefined, ...row.trend.filter((point) => point.complete)].slice(-2);
  // A target of the whole time has no period that is complete yet.
  const shown = complete ?? row;
  const short = (value) => formatShort(value, row.unit, session.currency);
  const hasChange = typeof before?.value === "number" && typeof complete?.value === "number";
  const change = hasChange ? complete.value - before.value : 0;
  const isBetter = change > 0 === (row.direction === "up");
  return html`<li class="card tile">
    <h2><bdi>${row.title}</bdi></h2>
    <p class="value">${short(shown.value)}</p>
    <p class="quiet">
      ${formatPeriod(shown)}
      ${change !== 0 && html` <span class=${isBetter ? "good" : "bad"}>${change > 0 ? "▲" : "▼"} ${formatChange(change, row.unit, session.currency)}</span>`}
    </p>
    <${Sparkline} points=${row.trend} />
    <p><${StatusText} status=${row.status} /></p>
    <p class="quiet">${words.pace(formatPeriod(row), short(row.value), short(row.target))}</p>
  </li>`;
}

function AccountsAtRisk({ accounts, session }) {
  if (!accounts.length) return html`<p class="quiet">${words.noneAtRisk}</p>`;
  return html`<${Table} columns=${riskColumns(session.currency)} rows=${accounts} caption=${words.atRisk} keyOf=${(own) => own.account} />`;
}

/** @param {string} currency @returns {import("../table.js").Column[]} */
function riskColumns(currency) {
  const score = ({ band, score }) => html`<span class=${SIGNS[band][0]}>${SIGNS[band][1]} ${Math.round(score)}</span>`;
  return [
    { label: words.health, isNumber: true, cell: score },
    { label: words.account, isHeading: true, cell: (own) => html`<${AccountLink} id=${own.account} name=${own.name} />` },
    { label: words.weakest, cell: (own) => reasonOf(own, currency) },
    { label: "MRR", isNumber: true, cell: (own) => formatAmount(own.mrr, currency) },
  ];
}

const SEVERITIES = { critical: ["bad", "✗"], warning: ["warn", "!"], notice: ["", "·"] };

function Insights({ rows }) {
  if (!rows.length) return html`<p class="quiet">${words.noInsight}</p>`;
  return html`<ul class="list">
    ${rows.map((row) => {
      const [kind, sign] = SEVERITIES[row.severity];
      const view = viewOf(row.question);
      return html`<li key=${row.id}><h3 class=${kind}>${sign} ${row.title}</h3>
        <p>${row.sentence} ${view && html`<a data-view href=${view} aria-label=${`${texts.card.look}: ${row.title}`}>${texts.card.look}</a>`}</p></li>`;
    })}
  </ul>`;
}

function Comments({ rows }) {
  if (!rows.length) return html`<p class="quiet">${words.noDetractor}</p>`;
  return html`<ul class="list">
    ${rows.map(
      (row) => html`<li key=${row.id}>
        <p><strong class="bad">${row.score}</strong> “<bdi>${row.comment}</bdi>”</p>
        <p class="quiet"><${AccountLink} id=${row.account_id} /> · ${row.channel} · ${formatDay(row.occurred_at)}</p>
      </li>`,
    )}
  </ul>`;
}
