// Tables: what a view shows in rows, and the twins of the charts.
import { html } from "./vendor/preact.js";
import { useMetrics } from "./answers.js";
import { formatChange, formatDay, formatInterval, formatNumber, formatPeriod, formatValue } from "./format.js";
import { session } from "./session.js";
import { texts } from "./texts.js";

/**
 * @typedef {object} Column
 * @property {string} label
 * @property {(row: any) => any} cell what a cell shows: text, a number that is formatted already, or elements
 * @property {boolean} [isNumber] aligned to the right, in digits of equal width
 * @property {boolean} [isHeading] names its row
 */

/**
 * @param {object} props
 * @param {Column[]} props.columns
 * @param {any[]} props.rows
 * @param {string} props.caption what the table shows, for screen readers
 * @param {(row: any) => string | number} [props.keyOf]
 * @param {(row: any) => boolean} [props.isRunning] whether the period of a row has not ended; it is hatched
 * @param {(row: any) => void} [props.onRow] adds a button to each row that opens what is behind it
 */
export function Table({ columns, rows, caption, keyOf, isRunning = (row) => row.complete === false, onRow }) {
  if (!rows.length) return html`<p class="quiet">${texts.card.nothing}</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${caption}>
    <table>
      <caption class="sr">${caption}</caption>
      <thead>
        <tr>
          ${columns.map((column) => html`<th scope="col" class=${column.isNumber ? "number" : undefined}>${column.label}</th>`)}
          ${onRow && html`<th scope="col"><span class="sr">${texts.table.open}</span></th>`}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row, index) => html`<tr key=${keyOf ? keyOf(row) : index} class=${isRunning(row) ? "running" : undefined}>
            ${columns.map((column) =>
              column.isHeading
                ? html`<th scope="row">${column.cell(row)}</th>`
                : html`<td class=${column.isNumber ? "number" : undefined}>${column.cell(row)}</td>`,
            )}
            ${onRow && html`<td><button class="link" onClick=${() => onRow(row)}>${texts.table.open}</button></td>`}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** Rows of the API whose metric, period and group are known by their names. @param {{ rows: any[], onRow?: (row: any) => void }} props */
export function RowsTable({ rows, onRow }) {
  const metrics = useMetrics();
  if (!rows.length || rows[0].metric === undefined) return html`<${PlainTable} rows=${rows} onRow=${onRow} />`;
  const wide = onRow ? null : widen(rows);
  if (wide) return html`<${Table} columns=${wideColumns(wide, metrics)} rows=${wide} caption=${texts.table.rows} />`;
  return html`<${Table} columns=${metricColumns(rows, metrics)} rows=${rows} caption=${texts.table.rows} onRow=${onRow} />`;
}

/** @type {Column} The period of a row, and whether it has not ended. */
export const periodColumn = {
  label: texts.table.period,
  isHeading: true,
  cell: (row) => [formatPeriod(row), row.complete === false && html` <small class="quiet">${texts.table.running}</small>`],
};

/** @param {any[]} rows @returns {Column[]} one for each key of their groups */
function groupColumns(rows) {
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row.group ?? {})))];
  return keys.map((key) => ({ label: key, cell: (row) => html`<bdi>${String(row.group[key] ?? texts.table.without)}</bdi>` }));
}

/** Whether a metric is there by several of its conventions. */
const hasConventions = (rows) => new Set(rows.map((row) => `${row.metric} ${row.convention}`)).size > new Set(rows.map((row) => row.metric)).size;

/**
 * Put the values of several metrics beside each other.
 * @param {any[]} rows
 * @returns {any[] | null} one for each period and group, `cells` by metric; null for rows of one metric, of one period, or of several conventions
 */
function widen(rows) {
  const isOne = (name) => rows.every((row) => row[name] === rows[0][name]);
  if (isOne("metric") || isOne("period") || hasConventions(rows)) return null;
  /** @type {Map<string, any>} */
  const wide = new Map();
  for (const row of rows) {
    const key = `${row.start} ${JSON.stringify(row.group)}`;
    const own = wide.get(key) ?? { period: row.period, complete: row.complete, group: row.group, cells: {} };
    own.cells[row.metric] = row;
    wide.set(key, own);
  }
  return [...wide.values()];
}

/** @param {any[]} wide @param {Map<string, any> | undefined} metrics @returns {Column[]} */
function wideColumns(wide, metrics) {
  const names = [...new Set(wide.flatMap((row) => Object.keys(row.cells)))];
  const cells = names.map((name) => ({
    label: metrics?.get(name)?.title ?? name,
    isNumber: true,
    cell: (row) => formatValue(row.cells[name]?.value, metrics?.get(name)?.unit, session.value.currency),
  }));
  return [periodColumn, ...groupColumns(wide), ...cells];
}

/** @param {any[]} rows those of metrics @param {Map<string, any> | undefined} metrics @returns {Column[]} those that say something */
export function metricColumns(rows, metrics) {
  const currency = session.value.currency;
  const unit = (row) => metrics?.get(row.metric)?.unit;
  const has = (name) => rows.some((row) => row[name] !== null && row[name] !== undefined);
  const differs = (name) => rows.some((row) => row[name] !== rows[0][name]);
  const words = texts.table;
  /** @type {(Column | false)[]} */
  const columns = [
    periodColumn,
    differs("metric") && { label: words.metric, cell: (row) => metrics?.get(row.metric)?.title ?? row.metric },
    hasConventions(rows) && { label: words.convention, cell: (row) => row.convention },
    ...groupColumns(rows),
    { label: words.value, isNumber: true, cell: (row) => row.reason ? html`<span title=${row.reason}>–</span>` : formatValue(row.value, unit(row), currency) },
    has("interval") && { label: words.interval, isNumber: true, cell: (row) => formatInterval(row.interval, unit(row), currency) },
    has("numerator") && { label: words.numerator, isNumber: true, cell: (row) => formatNumber(row.numerator) },
    has("denominator") && { label: words.denominator, isNumber: true, cell: (row) => formatNumber(row.denominator) },
    has("sample_size") && { label: words.sample, isNumber: true, cell: (row) => formatNumber(row.sample_size) },
    has("previous") && { label: words.previous, isNumber: true, cell: (row) => formatValue(row.previous, unit(row), currency) },
    has("change") && { label: words.change, isNumber: true, cell: (row) => row.is_new ? words.isNew : formatChange(row.change, unit(row), currency) },
    has("change_percent") && { label: words.changePercent, isNumber: true, cell: (row) => row.change_percent === null ? "" : `${formatChange(row.change_percent, "percent", currency)} %` },
    has("reason") && { label: words.reason, cell: (row) => row.reason ?? "" },
  ];
  return /** @type {Column[]} */ (columns.filter(Boolean));
}

/** Rows of which only their names are known. */
function PlainTable({ rows, onRow }) {
  const flat = rows.map((row) => ({ ...row, ...row.group }));
  const names = [...new Set(flat.flatMap((row) => Object.keys(row)))].filter((name) => name !== "group");
  const columns = names.map((name) => ({
    label: name.replaceAll("_", " "),
    isNumber: flat.every((row) => row[name] === null || typeof row[name] === "number"),
    cell: (row) => cellOf({ ...row, ...row.group }[name]),
  }));
  return html`<${Table} columns=${columns} rows=${rows} caption=${texts.table.rows} onRow=${onRow} />`;
}

/** @param {any} value */
function cellOf(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return formatNumber(value);
  if (typeof value === "boolean") return value ? texts.table.yes : texts.table.no;
  if (typeof value === "string") return /^\d{4}-\d{2}-\d{2}$/.test(value) ? formatDay(value) : html`<bdi>${value}</bdi>`;
  return html`<bdi>${JSON.stringify(value)}</bdi>`;
}
