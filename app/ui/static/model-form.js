// The form of the health model: bands, components and their weights, and how many accounts that would move.
import { html, useState } from "./vendor/preact.js";
import { href } from "./address.js";
import { useMetrics } from "./answers.js";
import { sendJson } from "./api.js";
import { Field, PreviewedForm } from "./form.js";
import { formatDay, formatNumber } from "./format.js";
import { measureOf } from "./model-words.js";
import { Table } from "./table.js";
import { texts } from "./texts.js";

const words = texts.healthModel;

/** @param {string} text @returns {any} the number that was typed; what is none stays as it is, so that the service can say so */
const numberOf = (text) => (text.trim() === "" || Number.isNaN(Number(text)) ? text : Number(text));

/** @param {{ model: any, close: (text?: string) => void }} props close: called with what was stored */
export function ModelForm({ model, close }) {
  const [draft, setDraft] = useState(model);
  const [day, setDay] = useState("");
  const [added, setAdded] = useState("");
  const metrics = useMetrics();
  const body = { ...draft, ...(day && { effective_from: day }) };
  const store = async () => {
    const version = await sendJson("v1/health-model", "PUT", body);
    close(words.stored(version.version, formatDay(version.effective_from)));
  };
  const setComponent = (number, values) =>
    setDraft({ ...draft, components: draft.components.map((own, index) => (index === number ? { ...own, ...values } : own)) });
  const remove = (number) => {
    const { id } = draft.components[number];
    const segment_weights = draft.segment_weights.map((own) => ({ ...own, weights: Object.fromEntries(Object.entries(own.weights).filter(([name]) => name !== id)) }));
    setDraft({ ...draft, components: draft.components.filter((_, index) => index !== number), segment_weights });
  };
  const add = () => {
    const ids = draft.components.map((own) => own.id);
    const id = ids.includes(added) ? `${added}_${ids.length + 1}` : added;
    const isUp = metrics?.get(added)?.better !== "down";
    const component = { id, kind: "value", title: metrics?.get(added)?.title, metric: added, poor: isUp ? 0 : 1, good: isUp ? 1 : 0, weight: 10 };
    setDraft({ ...draft, components: [...draft.components, component] });
    setAdded("");
  };
  const leaves = draft.components.flatMap((_, number) => ["title", "weight", "poor", "good"].map((name) => `components/${number}/${name}`));
  return html`<${PreviewedForm} title=${words.change} names=${["description", "window_days", "min_coverage", "bands/at_risk", "bands/healthy", "effective_from", ...leaves]}
    body=${body} preview=${() => sendJson("v1/health-model/preview", "POST", body)} store=${store} cancel=${close} result=${(answer) => html`<${Moves} answer=${answer} />`}>
    ${(problem) => {
      const field = (name, label, value, set, more = {}) => html`<${Field} label=${label} name=${name} problem=${problem} hint=${more.hint}>
        ${(attributes) => html`<input ...${attributes} type=${more.type ?? "text"} inputmode=${more.inputmode} value=${value ?? ""} autocomplete="off" onInput=${(event) => set(event.target.value)} />`}
      <//>`;
      const number = (name, label, value, set) => field(name, label, value, (text) => set(numberOf(text)), { inputmode: "decimal" });
      return html`
        <fieldset>
          <legend>${words.formBands}</legend>
          <div class="fields">
            ${number("bands/at_risk", words.atRisk, draft.bands.at_risk, (value) => setDraft({ ...draft, bands: { ...draft.bands, at_risk: value } }))}
            ${number("bands/healthy", words.healthy, draft.bands.healthy, (value) => setDraft({ ...draft, bands: { ...draft.bands, healthy: value } }))}
            ${number("window_days", words.windowDays, draft.window_days, (value) => setDraft({ ...draft, window_days: value }))}
            ${number("min_coverage", words.minCoverage, draft.min_coverage, (value) => setDraft({ ...draft, min_coverage: value }))}
          </div>
        </fieldset>
        ${draft.components.map((own, index) => html`<fieldset key=${own.id}>
          <legend><bdi>${own.title ?? own.id}</bdi> <small class="quiet">${measureOf(own, metrics)}</small></legend>
          <div class="fields">
            ${number(`components/${index}/weight`, words.weight, own.weight, (weight) => setComponent(index, { weight }))}
            ${number(`components/${index}/poor`, words.poor, own.poor, (poor) => setComponent(index, { poor }))}
            ${number(`components/${index}/good`, words.good, own.good, (good) => setComponent(index, { good }))}
            ${field(`components/${index}/title`, words.name, own.title, (title) => setComponent(index, { title: title || undefined }))}
          </div>
          <button type="button" class="link" onClick=${() => remove(index)}><bdi>${words.remove(own.title ?? own.id)}</bdi></button>
        </fieldset>`)}
        <fieldset>
          <legend>${words.add}</legend>
          <p class="buttons">
            <select aria-label=${words.addMetric} value=${added} onChange=${(event) => setAdded(event.target.value)}>
              <option value="">${texts.scorecard.choose}</option>
              ${[...(metrics?.values() ?? [])].map((own) => html`<option value=${own.name}>${own.title}</option>`)}
            </select>
            <button type="button" disabled=${!added} onClick=${add}>${words.add}</button>
          </p>
        </fieldset>
        <div class="fields">
          <${Field} label=${words.description} name="description" problem=${problem}>
            ${(attributes) => html`<textarea ...${attributes} rows="3" value=${draft.description ?? ""} onInput=${(event) => setDraft({ ...draft, description: event.target.value || undefined })}></textarea>`}
          <//>
          ${field("effective_from", words.effectiveFrom, day, setDay, { type: "date", hint: words.effectiveHint })}
        </div>`;
    }}
  <//>`;
}

/** How accounts would move between the bands, and which. */
function Moves({ answer }) {
  const band = (name) => (name ? words.bandNames[name] : words.noScore);
  const counts = [
    { label: words.fromBand, cell: (row) => band(row.from) },
    { label: words.toBand, cell: (row) => band(row.to) },
    { label: words.accounts, isNumber: true, cell: (row) => formatNumber(row.accounts) },
  ];
  const columns = [
    { label: words.account, isHeading: true, cell: (row) => html`<a data-view href=${href("accounts", {}, row.account)}><bdi>${row.account}</bdi></a>` },
    { label: words.fromBand, cell: (row) => `${formatNumber(row.from.score)} ${band(row.from.band)}` },
    { label: words.toBand, cell: (row) => `${formatNumber(row.to.score)} ${band(row.to.band)}` },
  ];
  return html`
    <p><strong>${words.moved(formatNumber(answer.changed), formatNumber(answer.accounts))}</strong></p>
    <${Table} columns=${counts} rows=${answer.bands} caption=${words.accounts} />
    ${answer.moves.length > 0 && html`<h3>${words.moves}</h3><${Table} columns=${columns} rows=${answer.moves} caption=${words.moves} keyOf=${(row) => row.account} />`}
  `;
}
