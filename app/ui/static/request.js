// A request of the API in the forms in which others can use it.
import { html, useState } from "./vendor/preact.js";
import { href, queryOf } from "./address.js";
import { texts } from "./texts.js";

/**
 * @param {string} path of a GET request with its query
 * @param {string | null} format null: as JSON
 * @returns {string} the same question in another format
 */
export function withFormat(path, format) {
  const [before, query = ""] = path.split("?");
  const { format: _format, theme, ...params } = readQuery(query);
  return before + queryOf(format ? { ...params, format } : params);
}

/** @param {string} path @returns {string} the whole address of a request */
export function addressOf(path) {
  return new URL(path.slice(1), document.baseURI).href;
}

/** @param {string} path @returns {string} a command that asks the same; the key is in the variable KEY of the shell */
export function curlOf(path) {
  return `curl -H "Authorization: Bearer $KEY" '${addressOf(withFormat(path, null)).replaceAll("'", "%27")}'`;
}

/**
 * @param {string} path
 * @returns {{ names: string[], own: string, params: Record<string, string[]> } | null} the metrics that a request asks for, and its
 * parameters; own: what comes behind the metric, such as "/conventions"; null if it asks for no numbers of metrics
 */
function questionOf(path) {
  const [before, query = ""] = path.split("?");
  const params = paramsOf(query);
  const metric = /^\/v1\/metrics\/([^/]+)(\/conventions)?$/.exec(before);
  if (metric) return { names: [decodeURIComponent(metric[1])], own: metric[2] ?? "", params };
  if (before !== "/v1/query") return null;
  const { metrics = [], ...rest } = params;
  return { names: metrics.flatMap((own) => own.split(",")), own: "", params: rest };
}

/** @param {string} query @returns {Record<string, string[]>} all values of each parameter */
function readQuery(query) {
  /** @type {Record<string, string[]>} */
  const params = {};
  for (const [name, value] of new URLSearchParams(query)) (params[name] ??= []).push(value);
  return params;
}

/** @param {string} query @returns {Record<string, string[]>} without those of charts */
function paramsOf(query) {
  const { format, theme, chart, ...params } = readQuery(query);
  return params;
}

/** @param {string} path @returns {string | null} lines that ask the same with the Python client; the key is in the environment */
export function pythonOf(path) {
  const question = questionOf(path);
  if (!question || question.own) return null;
  const { names, params } = question;
  const given = Object.entries(params).map(([name, values]) => `${name}=${JSON.stringify(values.length > 1 ? values : values[0])}`);
  const call = names.length > 1 ? `query(${JSON.stringify(names)}` : `metric(${JSON.stringify(names[0])}`;
  const url = document.baseURI.replace(/\/$/, "");
  return `import os\n\nfrom csmetrics_client import Client\n\nwith Client("${url}", os.environ["KEY"]) as client:\n    answer = client.${[call, ...given].join(", ")})\n    print(answer.rows)\n`;
}

/** What the options of MetricValues can say. */
const ODATA = new Set(["period", "granularity", "group_by", "convention", "segment", "account", "subject", "channel", "as_of"]);

/** @param {string} path @returns {string | null} the address of the same rows in OData; null if it cannot ask this */
export function odataOf(path) {
  const question = questionOf(path);
  if (!question || question.own) return null;
  const { start, end, ...params } = question.params;
  if (Object.entries(params).some(([name, values]) => !ODATA.has(name) || values.length > 1)) return null;
  const range = [start && `start ge ${start[0]}`, end && `start lt ${end[0]}`].filter(Boolean).join(" and ");
  return addressOf(`/odata/v4/MetricValues${queryOf({ metrics: question.names.join(","), ...params, $filter: range })}`);
}

/** The views in which the questions of other endpoints can be looked at, and the parameters that these have in common with them. */
const VIEWS = /** @type {[RegExp, string, string[]][]} */ ([
  [/^\/v1\/feedback(\/themes)?$/, "voice", ["class", "status", "tag", "channel", "survey", "q", "period", "start", "end"]],
  [/^\/v1\/health$/, "accounts", ["band", "segment", "filter", "order", "as_of"]],
  [/^\/v1\/cohorts$/, "retention", ["by", "measure", "period", "start", "end", "segment", "filter", "as_of"]],
  [/^\/v1\/scorecard$/, "scorecard", ["period", "status", "as_of"]],
  [/^\/v1\/health-model/, "health-model", ["as_of"]],
  [/^\/v1\/checks$/, "data", []],
]);

/** @param {string} path @returns {string | null} the address of the view that shows the question of a request and lets it be changed */
export function viewOf(path) {
  const [before, query = ""] = path.split("?");
  const question = questionOf(path);
  if (question) return href("explore", { metric: question.names[0], ...question.params, ...(question.own && { convention: "all" }) });
  const behind = /^\/v1\/metrics\/([^/]+)\/(?:contributors|events|restatements)$/.exec(before);
  if (behind) {
    const { limit, cursor, ...params } = paramsOf(query);
    return href("explore", { metric: decodeURIComponent(behind[1]), ...params });
  }
  const found = VIEWS.find(([pattern]) => pattern.test(before));
  if (!found) return null;
  const params = paramsOf(query);
  return href(found[1], Object.fromEntries(found[2].filter((name) => name in params).map((name) => [name, params[name]])));
}

/** What a reader can do with the request of a card. @param {{ path: string, isChart: boolean, hasFiles: boolean }} props */
export function Copy({ path, isChart, hasFiles }) {
  const link = (format) => withFormat(path, format).slice(1);
  const view = viewOf(path);
  const [python, odata] = [pythonOf(path), odataOf(path)];
  return html`<span class="actions">
    ${view && !view.startsWith(location.pathname) && html`<a data-view href=${view}>${texts.card.look}</a>`}
    <${CopyButton} text=${curlOf(path)} label="curl" title=${texts.card.copy("curl")} />
    ${python && html`<${CopyButton} text=${python} label="Python" title=${texts.card.copy("Python")} />`}
    ${odata && html`<${CopyButton} text=${odata} label="OData" title=${texts.card.copy("OData")} />`}
    ${hasFiles && ["csv", "xlsx"].map((format) => html`<a href=${link(format)} download>${format.toUpperCase()}</a>`)}
    ${isChart && html`<a href=${link("svg")} target="_blank">SVG</a><a href=${link("vega")} target="_blank">Vega</a>`}
  </span>`;
}

/** @param {{ text: string, label: string, title?: string }} props */
export function CopyButton({ text, label, title }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return html`<button class="link" type="button" onClick=${copy} title=${title}>
    ${label}<span class="sr" role="status">${isCopied ? texts.card.copied : ""}</span>${isCopied && " ✓"}
  </button>`;
}
