// Retention: what is left of those who began in the same period, and the accounts behind each cell.
import { html } from "../vendor/preact.js";
import { address, change, href, queryOf } from "../address.js";
import { useAnswers } from "../answers.js";
import { Card } from "../card.js";
import { AsOfControl, Controls, FilterControl, optionsOf, PeriodControl, SegmentControl, Select } from "../controls.js";
import { formatPeriod, formatValue } from "../format.js";
import { Table } from "../table.js";
import { texts } from "../texts.js";
import { theme } from "../theme.js";

const YEAR = "last_12_months";
/** On a page of the panel. */
const LIMIT = 50;
const CLOSED = { cohort: null, number: null, cursor: null };
const words = texts.retention;

/** The requests of the view, by card. */
function usePaths() {
  const { period, start, end, by, measure, segment, filter, as_of, cohort, number, cursor } = address.value.params;
  const range = period || start || end ? { period, start, end } : { period: YEAR };
  const common = { ...range, segment, filter, as_of };
  const chart = { format: "vega", theme: theme() };
  const triangle = { by, measure, ...common };
  const isOpen = Boolean(cohort && number);
  return {
    triangle: `/v1/cohorts${queryOf({ ...triangle, ...chart })}`,
    ...(isOpen && { accounts: `/v1/cohorts/accounts${queryOf({ ...triangle, cohort, number, limit: LIMIT, cursor })}` }),
    retention: `/v1/query${queryOf({ metrics: "nrr,grr", ...common, ...chart })}`,
    churn: `/v1/metrics/customer_churn_rate${queryOf({ ...common, ...chart })}`,
  };
}

export function View({ session }) {
  const paths = usePaths();
  const answer = useAnswers(Object.values(paths));
  const of = (name) => ({ path: paths[name], answer: answer(paths[name]) });
  const { measure } = address.value.params;
  const unit = measure === "mrr" ? "money" : "count";
  const triangle = (rows) => html`<${Triangle} rows=${rows} unit=${unit} currency=${session.currency} />`;
  return html`
    <${Controls}>
      <${Select} name="measure" label=${words.measure} options=${optionsOf(words.measures)} fallback="customers" others=${CLOSED} />
      <${Select} name="by" label=${words.by} options=${optionsOf(words.lengths)} fallback="month" others=${CLOSED} />
      <${PeriodControl} fallback=${YEAR} /><${SegmentControl} /><${FilterControl} /><${AsOfControl} />
    <//>
    <div class="cards">
      <${Card} ...${of("triangle")} wide table=${triangle} onPoint=${(datum) => datum.cohort && open(datum)} />
      ${paths.accounts &&
      html`<${Card} ...${of("accounts")} title=${words.accounts} more=${html`<button class="link" onClick=${() => change(CLOSED)}>${words.close}</button>`}>
        ${(body) => html`<${Accounts} body=${body} unit=${unit} currency=${session.currency} />`}
      <//>`}
      <${Card} ...${of("retention")} />
      <${Card} ...${of("churn")} />
    </div>
  `;
}

/** Show the accounts of a cell. @param {{ cohort: string, number: number }} cell */
const open = ({ cohort, number }) => change({ cohort, number, cursor: null });

/** The triangle as a table, in which each cell opens its accounts; the cell of a period that has not ended is marked. */
function Triangle({ rows, unit, currency }) {
  const cohorts = [...new Set(rows.map((row) => `${JSON.stringify(row.group)} ${row.cohort}`))];
  const byPlace = new Map(rows.map((row) => [`${JSON.stringify(row.group)} ${row.cohort} ${row.number}`, row]));
  const numbers = [...new Set(rows.map((row) => row.number))].sort((one, other) => one - other);
  const cell = (row) => {
    if (!row) return "";
    const percent = row.percent === null ? formatValue(row.value, unit, currency) : formatValue(row.percent, "percent", currency);
    const label = words.cell(formatPeriod({ period: row.cohort }), formatPeriod(row), percent);
    return html`<button class="link" type="button" aria-label=${row.complete ? label : `${label}, ${texts.table.running}`} onClick=${() => open(row)}>
      ${percent}${!row.complete && "*"}
    </button>`;
  };
  const columns = [
    { label: words.cohort, isHeading: true, cell: (key) => formatPeriod({ period: byPlace.get(`${key} 0`).cohort }) },
    { label: words.size, isNumber: true, cell: (key) => formatValue(byPlace.get(`${key} 0`).size, "count", currency) },
    ...numbers.map((number) => ({ label: String(number), isNumber: true, cell: (key) => cell(byPlace.get(`${key} ${number}`)) })),
  ];
  return html`<p class="lead">${words.running}</p><${Table} columns=${columns} rows=${cohorts} caption=${words.triangle} isRunning=${() => false} />`;
}

/** The accounts of a cell. */
function Accounts({ body, unit, currency }) {
  const { cell, rows, next } = body;
  const columns = [
    { label: words.account, isHeading: true, cell: (row) => html`<a data-view href=${href("accounts", {}, row.account)}><bdi>${row.name ?? row.account}</bdi></a>` },
    { label: words.start, isNumber: true, cell: (row) => formatValue(row.initial, unit, currency) },
    { label: words.left, isNumber: true, cell: (row) => formatValue(row.value, unit, currency) },
    { label: words.state, cell: (row) => (row.is_retained ? html`<span class="good">✓ ${words.stays}</span>` : html`<span class="bad">✗ ${words.gone}</span>`) },
  ];
  return html`
    <p class="lead">${words.panel(formatPeriod({ period: cell.cohort }), formatPeriod(cell))}${!cell.complete && ` (${texts.table.running})`}</p>
    <${Table} columns=${columns} rows=${rows} caption=${words.accounts} />
    ${next && html`<p><button type="button" onClick=${() => change({ cursor: next })}>${words.next}</button></p>`}
  `;
}
