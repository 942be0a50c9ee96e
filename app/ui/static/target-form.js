// The form of a target: what it is about, what it is to reach and when, and what that would change.
import { html, useState } from "./vendor/preact.js";
import { change } from "./address.js";
import { useKept, useMetrics } from "./answers.js";
import { sendJson } from "./api.js";
import { Field, PreviewedForm } from "./form.js";
import { formatDay, formatPeriod, formatValue } from "./format.js";
import { session } from "./session.js";
import { StatusText } from "./standing.js";
import { Table } from "./table.js";
import { texts } from "./texts.js";

const words = texts.scorecard;
const NAMES = ["metric", "convention", "segment", "filter", "subject", "channel", "granularity", "value", "direction", "baseline", "from", "until", "path"];

/** @param {any} target as it is stored, or nothing @returns {any} */
function initial(target) {
  const own = Object.fromEntries(NAMES.map((name) => [name, target?.[name] ?? ""]));
  // Without a day it holds from the running period on; a line, and one period, need theirs.
  const keepsStart = target && (target.path === "linear" || target.granularity === "total");
  return { ...own, id: target?.id ?? "", granularity: target?.granularity ?? "month", path: target?.path ?? "step", from: keepsStart ? target.from : "" };
}

/** @param {any} fields @param {any} metric @returns {any} the body of the request, without what is empty */
function bodyOf(fields, metric) {
  const own = NAMES.filter((name) => fields[name] !== "" && fields[name] !== undefined);
  const body = Object.fromEntries(own.map((name) => [name, typeof fields[name] === "string" ? fields[name].trim() : fields[name]]));
  if (metric && metric.better !== "neither") delete body.direction;
  if (metric && !metric.conventions.some((convention) => convention.name === body.convention)) delete body.convention;
  return body;
}

/** @param {{ target?: any, title?: string, close: (text?: string) => void }} props close: called with what was stored */
export function TargetForm({ target, title = "", close }) {
  const [fields, setFields] = useState(() => initial(target));
  const metrics = useMetrics();
  const segments = useKept("/v1/segments")?.segments ?? [];
  const metric = metrics?.get(fields.metric);
  const body = bodyOf(fields, metric);
  const id = target?.id ?? fields.id.trim();
  const path = `v1/targets/${encodeURIComponent(id)}`;
  const store = async () => {
    const stored = await sendJson(path, "PUT", body);
    const last = stored.versions.at(-1);
    close(words.stored(metric?.title ?? stored.metric, formatValue(Number(last.value), metric?.unit, session.value.currency), formatDay(last.holds_from)));
    change({ target: id, form: null });
  };
  const preview = async () => {
    if (!id) throw { errors: [{ pointer: "/id", code: "missing", detail: words.idMissing }] };
    return sendJson(`${path}/preview`, "POST", body);
  };
  const set = (name) => (event) => setFields((before) => ({ ...before, [name]: event.target.value }));
  return html`<${PreviewedForm} title=${target ? words.editTitle(title) : words.createTitle} names=${["id", ...NAMES]} body=${{ ...body, id }} preview=${preview} store=${store}
    cancel=${close} canStore=${(answer) => answer.changes} result=${(answer) => html`<${Preview} answer=${answer} />`}>
    ${(problem) => {
      const text = (name, more = {}) => html`<${Field} label=${more.label ?? words[name]} name=${name} problem=${problem} hint=${more.hint}>
        ${(attributes) => html`<input ...${attributes} type=${more.type ?? "text"} inputmode=${more.inputmode} value=${fields[name]} spellcheck=${false} autocomplete="off" onInput=${set(name)} />`}
      <//>`;
      const select = (name, options) => html`<${Field} label=${words[name]} name=${name} problem=${problem}>
        ${(attributes) => html`<select ...${attributes} value=${fields[name]} onChange=${set(name)}>${options.map(([value, label]) => html`<option value=${value}>${label}</option>`)}</select>`}
      <//>`;
      const conventions = metric?.conventions ?? [];
      return html`
        <div class="fields">
          ${!target && text("id")}
          ${select("metric", [["", words.choose], ...[...(metrics?.values() ?? [])].map((own) => [own.name, own.title])])}
          ${select("segment", [["", texts.controls.allAccounts], ...segments.map((own) => [own.name, own.name])])}
          ${select("granularity", Object.entries(texts.controls.granularities))}
          ${text("value", { label: words.goal, inputmode: "decimal" })}
          ${metric?.better === "neither" && select("direction", Object.entries(words.directions))}
          ${text("from", { type: "date", hint: words.fromHint })}
          ${text("until", { type: "date", hint: words.untilHint })}
        </div>
        <details open=${["convention", "filter", "subject", "channel", "baseline"].some((name) => target?.[name] !== undefined)}>
          <summary>${words.more}</summary>
          <div class="fields">
            ${conventions.length > 1 && select("convention", [["", texts.form.asUsual], ...conventions.filter((own) => own.name !== "default").map((own) => [own.name, own.name.replaceAll("_", " ")])])}
            ${text("filter")} ${text("subject")} ${text("channel")} ${text("baseline", { inputmode: "decimal" })}
            <${Field} label=${words.path} name="path" problem=${problem}>
              ${(attributes) => html`<select ...${attributes} value=${Array.isArray(fields.path) ? "dated" : fields.path}
                onChange=${(event) => setFields({ ...fields, path: event.target.value === "dated" ? target.path : event.target.value })}>
                ${Object.entries(words.paths).filter(([value]) => value !== "dated" || Array.isArray(target?.path)).map(([value, label]) => html`<option value=${value}>${label}</option>`)}
              </select>`}
            <//>
          </div>
        </details>`;
    }}
  <//>`;
}

/** What a target would change: its row of the scorecard before and after, and the periods that are over. */
function Preview({ answer }) {
  const currency = session.value.currency;
  if (!answer.changes) return html`<p>${words.nothingChanges}</p>`;
  const unit = (answer.after ?? answer.before)?.unit ?? "";
  const number = (name) => (row) => formatValue(row[name], unit, currency);
  const numbers = [
    { label: words.value, isNumber: true, cell: number("value") },
    { label: words.goal, isNumber: true, cell: number("target") },
    { label: words.attainment, isNumber: true, cell: (row) => formatValue(row.attainment, "percent", currency) },
    { label: words.status, cell: (row) => html`<${StatusText} status=${row.status} />` },
  ];
  const period = { label: words.period, isHeading: true, cell: formatPeriod };
  const rows = ["before", "after"].filter((name) => answer[name]).map((name) => ({ ...answer[name], name }));
  const columns = [{ label: "", cell: (row) => words[row.name] }, period, ...numbers, { label: words.expected, isNumber: true, cell: number("expected") }];
  return html`
    <p>${words.wouldHold(formatDay(answer.target.versions.at(-1).holds_from))}</p>
    ${rows.length > 0 && html`<${Table} columns=${columns} rows=${rows} caption=${words.after} keyOf=${(row) => row.name} isRunning=${() => false} />`}
    ${answer.periods.length > 0 && html`<h3>${words.wouldBe}</h3><${Table} columns=${[period, ...numbers]} rows=${answer.periods} caption=${words.wouldBe} keyOf=${(row) => row.start} />`}
  `;
}
