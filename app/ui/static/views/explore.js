// Explore: any metric by period, segment, attribute and convention; the rows behind its chart, and what is behind each of them.
import { html, useEffect, useMemo, useRef } from "../vendor/preact.js";
import { address, change, queryOf } from "../address.js";
import { useAnswers, useKept, useMetrics } from "../answers.js";
import { Card, RequestLine } from "../card.js";
import { Combobox } from "../combobox.js";
import { AsOfSlider, CompareControl, Controls, GranularityControl, PeriodControl, SegmentControl, Select } from "../controls.js";
import { offersOfFilter, paramsOfGroup } from "../filters.js";
import { formatDay, formatPeriod, formatTime, formatValue } from "../format.js";
import { AccountLink } from "../health.js";
import { metricColumns, periodColumn, Table } from "../table.js";
import { texts } from "../texts.js";
import { theme } from "../theme.js";

const YEAR = "last_12_months";
const words = texts.explore;
/** The parameters of the address that are those of the question. */
const QUESTION = ["granularity", "account", "segment", "filter", "group_by", "subject", "channel", "compare", "as_of"];
/** What is shown of a row. */
const TABS = ["contributors", "events", "restatements"];

/** @returns {{ metric: string, path: string, params: Record<string, any> }} the question of the address */
function useQuestion() {
  const { metric = "mrr", convention, period, start, end, ...rest } = address.value.params;
  const range = start || end ? { start, end } : { period: period ?? YEAR };
  const chosen = Object.fromEntries(QUESTION.map((name) => [name, rest[name]]));
  const isAll = convention === "all";
  const params = { ...range, ...chosen, convention: isAll ? undefined : convention };
  return { metric, path: `/v1/metrics/${encodeURIComponent(metric)}${isAll ? "/conventions" : ""}`, params };
}

export function View({ session }) {
  const metrics = useMetrics();
  const { metric, path, params } = useQuestion();
  const definition = metrics?.get(metric);
  const chart = path + queryOf({ ...params, annotations: "true", format: "vega", theme: theme() });
  const table = path + queryOf(params);
  const { group_by, compare, ...whole } = params;
  const restated = `/v1/metrics/${encodeURIComponent(metric)}/restatements${queryOf({ ...whole, limit: 20 })}`;
  const answer = useAnswers([chart, table, restated]);
  const rows = answer(table).body?.rows ?? [];
  const open = (row) => change({ at: row.start, until: row.end, of: JSON.stringify(row.group) });
  const openPoint = (datum) => {
    const row = rows.find((own) => own.start === datum.start && (!datum.group || JSON.stringify(Object.entries(own.group)) === JSON.stringify(datum.group)));
    if (row) open(row);
  };
  return html`
    <${Controls}>
      <${MetricControl} metrics=${metrics} metric=${metric} />
      <${PeriodControl} fallback=${YEAR} />
      <${GranularityControl} />
      <${SegmentControl} />
      <${AccountControl} />
      <${GroupControl} definition=${definition} />
      <${FilterWithOffers} />
      <${ConventionControl} definition=${definition} />
      <${Dimensions} definition=${definition} metric=${metric} params=${params} />
      <${CompareControl} />
      <${AsOfSlider} />
    <//>
    <div class="cards explore">
      <${Card} path=${chart} answer=${answer(chart)} onPoint=${openPoint} wide title=${definition?.title} table=${() => html`<${Rows} rows=${rows} metrics=${metrics} />`} />
      <${Definition} definition=${definition} />
      <${Behind} session=${session} metric=${metric} params=${params} rows=${rows} definition=${definition} />
      <${Card} path=${table} answer=${answer(table)} title=${words.rows} lead=${words.rowsLead} all>
        ${(body) => html`<${Rows} rows=${body.rows} metrics=${metrics} onRow=${open} />`}
      <//>
      <${Card} path=${restated} answer=${answer(restated)} title=${words.restatements} lead=${words.restatementsLead} all>
        ${(body) => html`<${Table} columns=${[periodColumn, ...restatementColumns(definition?.unit, session)]} rows=${body.rows} caption=${words.restatements} />`}
      <//>
    </div>
  `;
}

function Rows({ rows, metrics, onRow }) {
  return html`<${Table} columns=${rows.length ? metricColumns(rows, metrics) : []} rows=${rows} caption=${words.rows} onRow=${onRow} />`;
}

/** What the number means. */
function Definition({ definition }) {
  if (!definition) return null;
  return html`<section class="card">
    <header><h2>${words.definition}</h2></header>
    <div class="content tall" tabindex="0" role="region" aria-label=${words.definition}>
      <p>${definition.description}</p>
      <dl>
        <dt>${words.unit}</dt>
        <dd>${definition.unit}</dd>
        ${Object.entries(definition.operands).map(([name, text]) => html`<dt><code>${name}</code></dt><dd>${text}</dd>`)}
      </dl>
      ${definition.conventions.length > 1 &&
      html`<h3>${words.conventions}</h3>
        <dl>
          ${definition.conventions.map((own) => html`<dt>${own.name.replaceAll("_", " ")}</dt><dd>${own.description}</dd>`)}
        </dl>`}
    </div>
    <${RequestLine} path=${`/v1/metrics/${definition.name}`} />
  </section>`;
}

/** Another metric takes what it may not have out of the question. */
function MetricControl({ metrics, metric }) {
  const offersOf = (text) => {
    const all = [...(metrics?.values() ?? [])];
    const parts = text === metrics?.get(metric)?.title ? [] : text.toLowerCase().split(/\s+/).filter(Boolean);
    const score = (own) => (own.title.toLowerCase().includes(parts[0] ?? "") ? 0 : 1);
    return all
      .filter((own) => parts.every((part) => `${own.title} ${own.name} ${own.description}`.toLowerCase().includes(part)))
      .sort((one, other) => score(one) - score(other) || one.title.localeCompare(other.title))
      .map((own) => ({ text: own.title, hint: own.unit, value: own.title }));
  };
  const choose = (title) => {
    const chosen = [...(metrics?.values() ?? [])].find((own) => own.title === title);
    if (chosen) change({ metric: chosen.name, convention: null, subject: null, channel: null, group_by: null, ...CLOSED });
  };
  return html`<${Combobox} label=${words.metric} value=${metrics?.get(metric)?.title ?? metric} offersOf=${offersOf} onCommit=${choose} kind="metric" />`;
}

/** What closes the card of a row. */
const CLOSED = { at: null, until: null, of: null, show: null };

/** The account that a link has chosen. */
function AccountControl() {
  const { account } = address.value.params;
  if (!account) return null;
  return html`<div class="control">
    <span class="label">${words.account}</span>
    <button type="button" title=${words.everyAccount} onClick=${() => change({ account: null, ...CLOSED })}><bdi>${account}</bdi> ✕</button>
  </div>`;
}

function GroupControl({ definition }) {
  const attributes = useKept("/v1/attributes?limit=200")?.attributes ?? [];
  const fixed = (definition?.dimensions.group_by ?? []).filter((own) => own !== "<attribute>");
  const options = [["", words.nothing], ...attributes.map(({ key }) => [key, key]), ...fixed.map((own) => [own, words.groups[own] ?? own])];
  return html`<${Select} name="group_by" label=${words.groupBy} options=${options} others=${CLOSED} />`;
}

/** A filter whose keys and values are offered while it is written. */
function FilterWithOffers() {
  const attributes = useKept("/v1/attributes?limit=200")?.attributes ?? [];
  return html`<${Combobox} label=${texts.controls.filter} value=${address.value.params.filter ?? ""} isFree kind="filter" placeholder=${texts.controls.filterExample}
    offersOf=${(text) => offersOfFilter(text, attributes)} onCommit=${(filter) => change({ filter, ...CLOSED })} />`;
}

function ConventionControl({ definition }) {
  if (!definition || definition.conventions.length < 2) return null;
  const [first, ...others] = definition.conventions.map((own) => own.name);
  const options = [["", first.replaceAll("_", " ")], ...others.map((own) => [own, own.replaceAll("_", " ")]), ["all", words.allConventions]];
  return html`<${Select} name="convention" label=${words.convention} options=${options} others=${CLOSED} />`;
}

/** The subject and the channel, for metrics that have them: those that have been seen. */
function Dimensions({ definition, metric, params }) {
  const names = ["subject", "channel"].filter((name) => definition?.dimensions[name]);
  return names.map((name) => html`<${Dimension} key=${name} name=${name} label=${definition.dimensions[name]} metric=${metric} params=${params} />`);
}

function Dimension({ name, label, metric, params }) {
  const { period, start, end } = params;
  const body = useKept(`/v1/metrics/${metric}${queryOf({ period, start, end, granularity: "total", group_by: name })}`);
  const seen = [...new Set((body?.rows ?? []).map((row) => row.group[name]))].filter((own) => own !== null);
  return html`<${Select} name=${name} label=${label} options=${[["", words.all], ...seen.map((own) => [own, own])]} others=${CLOSED} />`;
}

/** What is behind one row: accounts, events, restatements. */
function Behind({ session, metric, params, rows, definition }) {
  const { at, until, of, show = TABS[0] } = address.value.params;
  const group = useMemo(() => readGroup(of), [of]);
  if (!at || !until || !group) return null;
  const { period, granularity, group_by, compare, ...rest } = params;
  const tab = TABS.includes(show) ? show : TABS[0];
  const query = { ...rest, ...paramsOfGroup(group, params), start: at, end: until, granularity: granularity ?? "month", limit: 50 };
  const row = rows.find((own) => own.start === at && JSON.stringify(own.group) === JSON.stringify(group));
  const names = Object.values(group).map((own) => String(own ?? texts.table.without));
  const title = [definition?.title ?? metric, row ? formatPeriod(row) : `${formatDay(at)} – ${formatDay(until)}`, ...names].join(" · ");
  return html`<${BehindCard} key=${tab} tab=${tab} path=${`/v1/metrics/${metric}/${tab}${queryOf(query)}`} title=${title} definition=${definition} session=${session} />`;
}

/** @param {string | undefined} text @returns {Record<string, any> | null} null if somebody has written it by hand, wrongly */
function readGroup(text) {
  try {
    const group = JSON.parse(text ?? "{}");
    return group !== null && typeof group === "object" && !Array.isArray(group) ? group : null;
  } catch {
    return null;
  }
}

function BehindCard({ tab, path, title, definition, session }) {
  const answer = useAnswers([path])(path);
  const columns = { contributors: contributorColumns, events: eventColumns, restatements: restatementColumns }[tab](definition?.unit, session);
  const heading = useRef(/** @type {any} */ (null));
  useEffect(() => heading.current?.scrollIntoView({ block: "nearest" }), [title]);
  const tabs = html`<span class="tabs" ref=${heading}>
    ${TABS.map((own) => html`<button class="link" aria-pressed=${own === tab} onClick=${() => change({ show: own })}>${words.tabs[own]}</button>`)}
    <button class="link" onClick=${() => change(CLOSED)}>${words.close}</button>
  </span>`;
  return html`<${Card} path=${path} answer=${answer} title=${html`<bdi>${title}</bdi>`} lead=${words.leads[tab]} more=${tabs} all>
    ${(body) => html`<${Table} columns=${columns} rows=${body.rows} caption=${words.tabs[tab]} /> ${body.next && html`<p class="quiet">${words.more}</p>`}`}
  <//>`;
}

const accountColumn = (name) => ({
  label: words.account,
  isHeading: true,
  cell: (row) => row[name] && html`<${AccountLink} id=${row[name]} name=${row.name} />`,
});

function contributorColumns(unit, session) {
  return [
    accountColumn("account"),
    { label: texts.table.value, isNumber: true, cell: (row) => formatValue(row.value, unit, session.currency) },
    { label: words.contribution, isNumber: true, cell: (row) => formatValue(row.contribution, unit, session.currency) },
    { label: words.share, isNumber: true, cell: (row) => formatValue(row.share, "percent", session.currency) },
  ];
}

function eventColumns(_unit, session) {
  return [
    { label: words.event, isHeading: true, cell: (row) => html`<bdi>${row.id}</bdi>` },
    { label: words.type, cell: (row) => html`<code>${row.type}</code>` },
    { ...accountColumn("account_id"), isHeading: false },
    { label: words.occurred, cell: (row) => formatTime(row.occurred_at, session.timezone) },
    { label: words.known, cell: (row) => formatDay(row.recorded_on) + (row.retracted_on ? `, ${words.retracted(formatDay(row.retracted_on))}` : "") },
    { label: words.data, cell: (row) => html`<code class="data"><bdi>${JSON.stringify(row.data)}</bdi></code>` },
  ];
}

function restatementColumns(unit, session) {
  const value = (name) => (row) => formatValue(row[name], unit, session.currency);
  return [
    { label: words.known, isHeading: true, cell: (row) => formatDay(row.recorded_on) },
    { label: words.before, isNumber: true, cell: value("from") },
    { label: words.after, isNumber: true, cell: value("to") },
    { label: words.cause, cell: (row) => html`<bdi>${words.causes(row.events)}</bdi>` },
  ];
}
