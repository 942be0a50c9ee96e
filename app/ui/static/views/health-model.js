// The health model: what holds in plain words, its versions, whether its scores told who leaves, and the form that changes it.
import { html, useState } from "../vendor/preact.js";
import { address, change, href, queryOf } from "../address.js";
import { useAnswers, useMetrics } from "../answers.js";
import { Card } from "../card.js";
import { AsOfControl, Controls, optionsOf, paramsOf, PeriodControl, Select } from "../controls.js";
import { isAdmin, NoAdmin } from "../form.js";
import { formatDay, formatInterval, formatNumber, formatValue } from "../format.js";
import { ModelForm } from "../model-form.js";
import { measureOf, unitOf } from "../model-words.js";
import { session } from "../session.js";
import { Table } from "../table.js";
import { texts } from "../texts.js";
import { theme } from "../theme.js";

const words = texts.healthModel;
const PAGE = 50;

/** The requests of the view, by card. */
function usePaths() {
  const { as_of, cursor } = address.value.params;
  const question = paramsOf(["period", "start", "end", "horizon_days", "outcome", "model", "as_of"]);
  const chart = (name) => `/v1/health-model/backtest${queryOf({ ...question, chart: name, format: "vega", theme: theme() })}`;
  return {
    model: `/v1/health-model${queryOf({ as_of })}`,
    backtest: `/v1/health-model/backtest${queryOf(question)}`,
    roc: chart("roc"),
    calibration: chart("calibration"),
    scores: `/v1/health-model/backtest/scores${queryOf({ ...question, limit: PAGE, cursor })}`,
    versions: "/v1/health-model/versions",
  };
}

export function View() {
  const paths = usePaths();
  const answer = useAnswers(Object.values(paths));
  const of = (name) => ({ path: paths[name], answer: answer(paths[name]) });
  const [stored, setStored] = useState("");
  const isForm = address.value.params.form === "edit";
  const model = answer(paths.model).body;
  const close = (text) => {
    if (typeof text === "string") setStored(text);
    change({ form: null });
  };
  const others = { cursor: null };
  return html`
    <${Controls}>
      <${PeriodControl} fallback="last_24_months" />
      <${Select} name="horizon_days" label=${words.horizon} options=${optionsOf(words.horizons)} fallback="90" others=${others} />
      <${Select} name="outcome" label=${words.outcome} options=${optionsOf(words.outcomes)} fallback="churned" others=${others} />
      <${Select} name="model" label=${words.model} options=${optionsOf(words.models)} fallback="then" others=${others} />
      <${AsOfControl} />
      ${isAdmin() && !isForm && html`<button type="button" onClick=${() => change({ form: "edit" })}>${words.change}</button>`}
    <//>
    ${!isAdmin() && html`<div class="stored"><${NoAdmin} what=${words.changeModel} /></div>`}
    <p class=${stored ? "stored good" : "sr"} role="status">${stored && `✓ ${stored}`}</p>
    <div class="cards">
      ${isAdmin() && isForm && model && html`<div class="all"><${ModelForm} model=${model.model} close=${close} /></div>`}
      <${Card} ...${of("model")} all hasFiles=${false} title=${words.title}>${(body) => html`<${Model} version=${body} />`}<//>
      <${Card} ...${of("backtest")} half title=${words.backtest}>${(body) => html`<${Verdict} body=${body} />`}<//>
      <${Card} ...${of("roc")} half table=${(_, body) => html`<${RocTable} rows=${body.roc} />`} />
      <${Card} ...${of("calibration")} half table=${(_, body) => html`<${CalibrationTable} rows=${body.calibration} />`} />
      <${Card} ...${of("versions")} half hasFiles=${false} title=${words.versions}>${(body) => html`<${Versions} versions=${body.versions} />`}<//>
      <${Card} ...${of("scores")} all title=${words.scoresTitle} lead=${words.scoresLead}>${(body) => html`<${Scores} body=${body} />`}<//>
    </div>
  `;
}

function Model({ version }) {
  const { model } = version;
  const metrics = useMetrics();
  const isUp = (row) => row.good > row.poor;
  const value = (row, number) => `${formatNumber(number)}${words.units[unitOf(row, metrics)] ?? ""}`;
  const columns = [
    { label: words.component, isHeading: true, cell: (row) => html`<bdi>${row.title ?? row.id}</bdi>` },
    { label: words.weight, isNumber: true, cell: (row) => formatNumber(row.weight) },
    { label: words.measures, cell: (row) => measureOf(row, metrics) },
    { label: words.scores, cell: (row) => words.anchors(value(row, row.poor), value(row, row.good), isUp(row)) },
    { label: words.why, cell: (row) => html`<bdi>${row.argument ?? ""}</bdi>` },
  ];
  const caps = Object.entries(model.categories ?? {});
  return html`
    <p>
      <strong>${words.version(version.version)}.</strong> ${version.effective_from ? words.since(formatDay(version.effective_from)) : words.builtIn}
      ${version.author && html` <bdi>${words.by(version.author)}</bdi>`}
    </p>
    ${model.description && html`<p class="lead"><bdi>${model.description}</bdi></p>`}
    <ul class="plain">
      <li>${words.bands(formatNumber(model.bands.at_risk), formatNumber(model.bands.healthy))}</li>
      <li>${words.window(formatNumber(model.window_days))}</li>
      <li>${words.coverage(formatNumber(model.min_coverage))}</li>
    </ul>
    <${Table} columns=${columns} rows=${model.components} caption=${words.title} keyOf=${(row) => row.id} />
    ${caps.length > 0 && html`<h3>${words.caps}</h3><ul class="plain">${caps.map(([name, own]) => html`<li key=${name}><bdi>${words.cap(name, formatNumber(own.cap))}</bdi></li>`)}</ul>`}
    ${(model.segment_weights ?? []).map((own) => html`<h3><bdi>${words.segmentWeights(own.segment)}</bdi></h3>
      <ul class="plain">${Object.entries(own.weights).map(([name, weight]) => html`<li key=${name}><bdi>${name}</bdi>: ${formatNumber(weight)}</li>`)}</ul>`)}
  `;
}

/** What the back-test found, in a sentence, and by band. */
function Verdict({ body }) {
  const [kind, sign, sentence] = words.verdict[body.verdict];
  const currency = session.value.currency;
  const percent = (value) => formatValue(value, "percent", currency);
  const columns = [
    { label: words.band, isHeading: true, cell: (row) => words.bandNames[row.band] },
    { label: words.observations, isNumber: true, cell: (row) => formatNumber(row.observations) },
    { label: words.churned, isNumber: true, cell: (row) => formatNumber(row.churned) },
    { label: words.rate, isNumber: true, cell: (row) => percent(row.churn_rate) },
    { label: words.interval, isNumber: true, cell: (row) => formatInterval(row.interval, "percent", currency) },
  ];
  return html`
    <p><strong class=${kind}>${sign} ${sentence}</strong></p>
    <p>${body.detail}</p>
    ${body.auc !== null && html`<dl class="facts">
      <div><dt>${words.auc}</dt><dd>${formatNumber(body.auc)} <small class="quiet">(${formatInterval(body.auc_interval, "", currency)})</small></dd></div>
    </dl>`}
    ${body.warnings.map((own) => html`<p key=${own.code} class="warn">! ${own.detail}</p>`)}
    <${Table} columns=${columns} rows=${body.bands} caption=${words.backtest} keyOf=${(row) => row.band} />
  `;
}

function RocTable({ rows }) {
  const percent = (value) => formatValue(value, "percent", session.value.currency);
  const columns = [
    { label: words.below, isHeading: true, cell: (row) => formatNumber(row.score_below) },
    { label: words.observations, isNumber: true, cell: (row) => formatNumber(row.observations) },
    { label: words.churned, isNumber: true, cell: (row) => formatNumber(row.churned) },
    { label: words.found, isNumber: true, cell: (row) => percent(row.found_percent) },
    { label: words.falseAlarms, isNumber: true, cell: (row) => percent(row.false_alarm_percent) },
  ];
  return html`<${Table} columns=${columns} rows=${rows} caption=${texts.table.rows} keyOf=${(row) => row.score_below} />`;
}

function CalibrationTable({ rows }) {
  const currency = session.value.currency;
  const columns = [
    { label: words.from, isHeading: true, cell: (row) => formatNumber(row.score_from) },
    { label: words.to, isNumber: true, cell: (row) => formatNumber(row.score_to) },
    { label: words.observations, isNumber: true, cell: (row) => formatNumber(row.observations) },
    { label: words.churned, isNumber: true, cell: (row) => formatNumber(row.churned) },
    { label: words.rate, isNumber: true, cell: (row) => formatValue(row.churn_rate, "percent", currency) },
    { label: words.interval, isNumber: true, cell: (row) => formatInterval(row.interval, "percent", currency) },
  ];
  return html`<${Table} columns=${columns} rows=${rows} caption=${texts.table.rows} keyOf=${(row) => row.score_from} />`;
}

function Versions({ versions }) {
  const columns = [
    { label: words.number, isHeading: true, cell: (row) => formatNumber(row.version) },
    { label: words.holdsFrom, cell: (row) => (row.effective_from ? formatDay(row.effective_from) : words.always) },
    { label: words.recordedOn, cell: (row) => formatDay(row.recorded_on) },
    { label: words.author, cell: (row) => html`<bdi>${row.author ?? ""}</bdi>` },
    { label: words.description, cell: (row) => html`<bdi>${row.model.description ?? ""}</bdi>` },
  ];
  return html`<${Table} columns=${columns} rows=${versions} caption=${words.versions} keyOf=${(row) => row.version} />`;
}

function Scores({ body }) {
  const columns = [
    { label: words.account, isHeading: true, cell: (row) => html`<a data-view href=${href("accounts", {}, row.account)}><bdi>${row.account}</bdi></a>` },
    { label: words.cutOff, cell: (row) => formatDay(row.cut_off) },
    { label: words.score, isNumber: true, cell: (row) => formatNumber(row.score) },
    { label: words.band, cell: (row) => (row.band ? words.bandNames[row.band] : words.noScore) },
    { label: words.coverage2, isNumber: true, cell: (row) => formatNumber(row.coverage) },
    { label: words.left, cell: (row) => (row.churned ? texts.table.yes : texts.table.no) },
    { label: words.leftOut, cell: (row) => row.left_out?.replaceAll("_", " ") ?? "" },
  ];
  return html`
    <${Table} columns=${columns} rows=${body.rows} caption=${words.scoresTitle} keyOf=${(row) => `${row.cut_off} ${row.account}`} />
    <p class="buttons">
      ${address.value.params.cursor && html`<button class="link" onClick=${() => change({ cursor: null })}>${words.first}</button>`}
      ${body.next && html`<button class="link" onClick=${() => change({ cursor: body.next })}>${words.next}</button>`}
    </p>
  `;
}
