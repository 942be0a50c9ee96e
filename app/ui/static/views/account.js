// One account: its health and why it changed, MRR, usage, tickets, answers to surveys, and attributes, each with both dates.
import { html } from "../vendor/preact.js";
import { address, href, queryOf } from "../address.js";
import { useAnswers } from "../answers.js";
import { Card } from "../card.js";
import { AsOfControl, Controls, DateControl, optionsOf, PeriodControl, Select } from "../controls.js";
import { formatDay, formatNumber, formatShort, formatTime } from "../format.js";
import { Band, Change } from "../health.js";
import { Table } from "../table.js";
import { texts } from "../texts.js";
import { theme } from "../theme.js";

const words = texts.account;
const MOVEMENTS = "mrr_opening,mrr_new,mrr_reactivated,mrr_expansion,mrr_contraction,mrr_churned,mrr";
const EVENTS = 1000;

/** The requests of the view, by card. @param {string} id */
function usePaths(id) {
  const { period, start, end, as_of, from, to, knowledge } = address.value.params;
  const own = `/v1/accounts/${encodeURIComponent(id)}`;
  const range = period || start || end ? { period, start, end } : { period: "last_12_months" };
  const chart = { format: "vega", theme: theme() };
  const about = { account: id, ...range, as_of, strict: "false" };
  const events = (metric) => `/v1/metrics/${metric}/events${queryOf({ ...about, limit: EVENTS })}`;
  return {
    account: own,
    health: `${own}/health${queryOf({ ...range, as_of })}`,
    history: `${own}/health${queryOf({ ...range, as_of, ...chart })}`,
    explanation: `${own}/health/explanation${queryOf({ from, to: to ?? as_of, knowledge })}`,
    bridge: `/v1/query${queryOf({ metrics: MOVEMENTS, ...about, granularity: "total", ...chart })}`,
    mrr: `/v1/metrics/mrr${queryOf({ ...about, ...chart })}`,
    subscriptions: events("mrr_net_change"),
    usage: `/v1/query${queryOf({ metrics: "sessions,active_users", ...about, ...chart })}`,
    features: `/v1/metrics/feature_uses${queryOf({ ...about, granularity: "total", group_by: "subject", ...chart })}`,
    tickets: events("support_tickets"),
    answers: events("survey_responses"),
  };
}

export function View({ session, id }) {
  const paths = usePaths(id);
  const answer = useAnswers(Object.values(paths));
  const of = (name) => ({ path: paths[name], answer: answer(paths[name]) });
  const account = answer(paths.account).body;
  const health = answer(paths.health).body;
  const { as_of } = address.value.params;
  const explore = (params) => href("explore", { ...params, account: id, as_of });
  return html`
    <div class="title">
      <p><a data-view href=${href("accounts", { as_of })}>${texts.views.accounts}</a></p>
      <h1><bdi>${account?.name ?? id}</bdi></h1>
      <p class="quiet">
        ${health && html`<${Band} band=${health.band} />${" "}`}
        ${account && account.name !== null && html`<bdi>${id}</bdi>`}
      </p>
    </div>
    <${Controls}>
      <${PeriodControl} /><${AsOfControl} />
      <${DateControl} name="from" label=${words.from} /><${DateControl} name="to" label=${words.to} />
      <${Select} name="knowledge" label=${words.knowledge} options=${optionsOf(words.knowledges)} fallback="now" />
    <//>
    <div class="cards account">
      <${Card} ...${of("health")} wide title=${words.health}>${(body) => html`<${Health} health=${body} session=${session} />`}<//>
      <${Card} ...${of("history")} title=${words.history} lead=${words.historyLead} />
      <${Card} ...${of("explanation")} wide title=${words.explanation}>${(body) => html`<${Explanation} body=${body} session=${session} />`}<//>
      <${Card} ...${of("mrr")} title=${words.mrr} more=${html`<${Link} to=${explore({ metrics: "mrr" })} />`} />
      <${Card} ...${of("bridge")} title=${words.bridge} />
      <${Card} ...${of("subscriptions")} wide title=${words.subscriptions} lead=${words.datesLead}>
        ${(body) => html`<${Events} rows=${body.rows} caption=${words.subscriptions} session=${session} what=${describeSubscription} />`}
      <//>
      <${Card} ...${of("usage")} wide title=${words.usage} more=${html`<${Link} to=${explore({ metrics: "sessions,active_users" })} />`} />
      <${Card} ...${of("features")} title=${words.features} />
      <${Card} ...${of("tickets")} title=${words.tickets} lead=${words.datesLead}>
        ${(body) => html`<${Events} rows=${body.rows} caption=${words.tickets} session=${session} what=${describeTicket} />`}
      <//>
      <${Card} ...${of("answers")} wide title=${words.answers} lead=${words.datesLead}>
        ${(body) => html`<${Events} rows=${body.rows} caption=${words.answers} session=${session} what=${describeAnswer} />`}
      <//>
      <${Card} ...${of("account")} wide title=${words.attributes} lead=${words.attributesLead}>
        ${(body) => html`<${Attributes} history=${body.history} />`}
      <//>
    </div>
  `;
}

function Link({ to }) {
  return html`<a data-view href=${to}>${texts.views.explore}</a>`;
}

/** The score as the sum of what its components contribute. */
function Health({ health, session }) {
  const columns = [
    { label: words.component, isHeading: true, cell: (row) => row.title },
    { label: texts.table.value, isNumber: true, cell: (row) => formatShort(row.value, row.unit, session.currency) },
    { label: words.score, isNumber: true, cell: (row) => formatNumber(row.score) },
    { label: words.contribution, isNumber: true, cell: (row) => formatNumber(row.contribution) },
  ];
  return html`
    <p class="sum"><strong>${formatNumber(health.score)}</strong> <${Band} band=${health.band} /></p>
    <p>${health.score === null ? words.noScore : words.sum(formatNumber(health.score))}</p>
    ${health.override && html`<p class="warn">${words.override(formatNumber(health.override.score))} <bdi>${health.override.reason}</bdi> <span class="quiet">${health.override.author} · ${formatTime(health.override.since, session.timezone)}</span></p>`}
    ${health.flags.map((flag) => html`<p class="warn">! ${words.flags[flag] ?? flag}</p>`)}
    <${Table} columns=${columns} rows=${health.components} caption=${words.health} keyOf=${(row) => row.id} />
  `;
}

/** Why the score is another than on an earlier day; both days are in the address. */
function Explanation({ body, session }) {
  const side = (own) => html`${formatDay(own.on)}: <strong>${formatNumber(own.score)}</strong> <${Band} band=${own.band} />`;
  const value = (own, unit) => (own ? formatShort(own.value, unit, session.currency) : "–");
  const columns = [
    { label: words.component, isHeading: true, cell: (row) => row.title },
    { label: words.before, isNumber: true, cell: (row) => value(row.from, row.unit) },
    { label: words.after, isNumber: true, cell: (row) => value(row.to, row.unit) },
    { label: words.difference, isNumber: true, cell: (row) => html`<${Change} value=${row.difference} unit="count" currency=${session.currency} />` },
  ];
  return html`
    <p>${side(body.from)} → ${side(body.to)}</p>
    <p>${body.sentence}</p>
    ${body.differences.length > 0 && html`<${Table} columns=${columns} rows=${body.differences} caption=${words.explanation} keyOf=${(row) => row.component} />`}
  `;
}

/** Events with the time at which they happened and the day since which they are known, the latest first. */
function Events({ rows, caption, session, what }) {
  const columns = [
    { label: words.occurred, isHeading: true, cell: (row) => formatTime(row.occurred_at, session.timezone) },
    { label: words.knownSince, cell: (row) => formatDay(row.recorded_on) },
    { label: words.event, cell: (row) => row.type.replaceAll(/[._]/g, " ") },
    { label: words.what, cell: (row) => html`<bdi class="long">${what(row, session)}</bdi>` },
  ];
  return html`<${Table} columns=${columns} rows=${[...rows].reverse()} caption=${caption} keyOf=${(row) => row.id} />`;
}

const describeSubscription = ({ data }) => joined(data.plan, data.mrr, data.amount && `${data.amount} ${data.currency ?? ""}`, data.interval, data.reason);
const describeTicket = ({ data }) => joined(data.ticket_id, data.priority, data.channel, data.by);
const describeAnswer = ({ data }) => joined(data.survey, data.score, data.comment && `“${data.comment}”`);
const joined = (...parts) => parts.filter((part) => part !== undefined && part !== null && part !== "").map(String).join(" · ");

function Attributes({ history }) {
  const columns = [
    { label: words.attribute, isHeading: true, cell: (row) => html`<bdi>${row.key}</bdi>` },
    { label: texts.table.value, cell: (row) => html`<bdi class="long">${valueOf(row.value)}</bdi>` },
    { label: words.validFrom, cell: (row) => (row.valid_from ? formatDay(row.valid_from) : words.always) },
    { label: words.validTo, cell: (row) => (row.valid_to ? formatDay(row.valid_to) : words.stillValid) },
    { label: words.knownSince, cell: (row) => formatDay(row.known_since) },
  ];
  return html`<${Table} columns=${columns} rows=${history} caption=${words.attributes} />`;
}

function valueOf(value) {
  if (value === null) return words.ended;
  if (typeof value === "boolean") return value ? texts.table.yes : texts.table.no;
  return typeof value === "number" ? formatNumber(value) : typeof value === "string" ? value : JSON.stringify(value);
}
