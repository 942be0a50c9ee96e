// The scorecard: how near every target is, its history, and the form that changes it.
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { address, change, href, queryOf } from "../address.js";
import { revision, useAnswers, useMetrics } from "../answers.js";
import { sendJson } from "../api.js";
import { Card, ProblemText } from "../card.js";
import { AsOfControl, Controls, optionsOf, paramsOf, Select } from "../controls.js";
import { isAdmin, NoAdmin } from "../form.js";
import { formatDay, formatPeriod, formatValue } from "../format.js";
import { session } from "../session.js";
import { Sparkline, StatusText } from "../standing.js";
import { Table } from "../table.js";
import { TargetForm } from "../target-form.js";
import { texts } from "../texts.js";
import { theme } from "../theme.js";

const words = texts.scorecard;

/** The requests of the view, by card. */
function usePaths() {
  const { target, as_of } = address.value.params;
  const own = target && `/v1/targets/${encodeURIComponent(target)}`;
  /** @type {Record<string, string>} */
  const paths = {
    scorecard: `/v1/scorecard${queryOf({ ...paramsOf(["period", "start", "end", "as_of", "status"]), limit: 200 })}`,
    targets: `/v1/targets${queryOf({ as_of })}`,
  };
  if (own) {
    paths.history = `${own}/history${queryOf({ as_of, format: "vega", theme: theme() })}`;
    paths.target = own + queryOf({ as_of });
  }
  return paths;
}

export function View() {
  const paths = usePaths();
  const answer = useAnswers(Object.values(paths));
  const of = (name) => ({ path: paths[name], answer: answer(paths[name]) });
  const [stored, setStored] = useState("");
  const { target: id, form } = address.value.params;
  const target = paths.target && answer(paths.target).body;
  const titles = new Map((answer(paths.scorecard).body?.rows ?? []).map((row) => [row.id, row.title]));
  const metrics = useMetrics();
  const titleOf = (own) => titles.get(own.id) ?? metrics?.get(own.metric)?.title ?? own.metric;
  const close = (text) => {
    if (typeof text === "string") setStored(text);
    change({ form: null });
  };
  return html`
    <${Controls}>
      <${Select} name="period" label=${texts.controls.period} options=${optionsOf(words.periods)} />
      <${Select} name="status" label=${words.status} options=${[["", words.anyStatus], ...optionsOf(texts.status)]} />
      <${AsOfControl} />
      ${isAdmin() && form !== "new" && html`<button type="button" onClick=${() => change({ form: "new", target: null })}>${words.create}</button>`}
    <//>
    ${!isAdmin() && html`<div class="stored"><${NoAdmin} what=${words.changeTargets} /></div>`}
    <p class=${stored ? "stored good" : "sr"} role="status">${stored && `✓ ${stored}`}</p>
    <div class="cards">
      ${isAdmin() && form === "new" && html`<div class="all"><${TargetForm} key="new" close=${close} /></div>`}
      <${Card} ...${of("scorecard")} all title=${words.title} lead=${words.lead}>${(body) => html`<${Standings} body=${body} chosen=${id} />`}<//>
      ${id && html`<${Target} key=${id} id=${id} form=${form} target=${target} of=${of} title=${target ? titleOf(target) : id} close=${close} />`}
      <${Ahead} ...${of("targets")} titleOf=${titleOf} />
    </div>
  `;
}

function Standings({ body, chosen }) {
  const currency = session.value.currency;
  const number = (name) => (row) => formatValue(row[name], row.unit, currency);
  const counts = Object.entries(body.summary).filter(([, count]) => count > 0);
  const columns = [
    { label: words.target, isHeading: true, cell: (row) => html`<${TargetLink} id=${row.id} title=${row.title} isChosen=${row.id === chosen} />` },
    { label: words.status, cell: (row) => html`<${StatusText} status=${row.status} />` },
    { label: words.period, cell: formatPeriod },
    { label: words.value, isNumber: true, cell: number("value") },
    { label: words.goal, isNumber: true, cell: number("target") },
    { label: words.attainment, isNumber: true, cell: (row) => formatValue(row.attainment, "percent", currency) },
    { label: words.expected, isNumber: true, cell: number("expected") },
    { label: words.projection, isNumber: true, cell: (row) => html`<span title=${row.projection_rule}>${number("projection")(row)}</span>` },
    { label: words.trend, cell: (row) => html`<${Sparkline} points=${row.trend} />` },
  ];
  return html`
    <ul class="summary">${counts.map(([status, count]) => html`<li key=${status}><${StatusText} status=${status} /> ${count}</li>`)}</ul>
    ${body.rows.length ? html`<${Table} columns=${columns} rows=${body.rows} caption=${words.title} keyOf=${(row) => row.id} isRunning=${() => false} />` : html`<p class="quiet">${words.none}</p>`}
  `;
}

function TargetLink({ id, title, isChosen }) {
  const { params } = address.value;
  return html`<a data-view href=${href("scorecard", { ...params, target: id, form: null })} aria-current=${isChosen ? "true" : undefined}><bdi>${title}</bdi></a>`;
}

/** What is known of one target: history, versions, and the forms. */
function Target({ id, form, target, of, title, close }) {
  const top = useRef(/** @type {any} */ (null));
  useEffect(() => top.current.scrollIntoView({ block: "nearest" }), []);
  const actions = isAdmin() && target && target.state !== "ended" && !form;
  return html`
    <div class="all" ref=${top}>
      ${isAdmin() && form === "edit" && target && html`<${TargetForm} target=${target} title=${title} close=${close} />`}
      ${isAdmin() && form === "end" && target && html`<${EndForm} id=${id} title=${title} close=${close} />`}
    </div>
    <${Card} ...${of("history")} wide title=${html`${words.history}: <bdi>${title}</bdi>`} table=${(rows) => html`<${Periods} rows=${rows} />`} />
    <${Card} ...${of("target")} hasFiles=${false} title=${words.versions} lead=${words.versionsLead}
      more=${actions && html`<span class="buttons">
        <button class="link" onClick=${() => change({ form: "edit" })}>${words.edit}</button>
        <button class="link" onClick=${() => change({ form: "end" })}>${words.end}</button>
      </span>`}>${(body) => html`<${Versions} versions=${body.versions} />`}<//>
  `;
}

/** The twin of the history: each period as it was known at its end, and as it is known now. */
function Periods({ rows }) {
  const currency = session.value.currency;
  const at = (time, name) => ({
    label: `${words[name]}, ${words[time === "now" ? "now" : "atEnd"]}`,
    isNumber: true,
    cell: (row) => formatValue(row[time][{ value: "value", goal: "target", attainment: "attainment" }[name]], name === "attainment" ? "percent" : row.unit, currency),
  });
  const status = (time) => ({ label: `${words.status}, ${words[time === "now" ? "now" : "atEnd"]}`, cell: (row) => html`<${StatusText} status=${row[time].status} />` });
  const columns = [
    { label: words.period, isHeading: true, cell: formatPeriod },
    ...["at_end", "now"].flatMap((time) => [at(time, "value"), at(time, "goal"), at(time, "attainment"), status(time)]),
    { label: words.changed, cell: (row) => (row.changed ? texts.table.yes : texts.table.no) },
  ];
  return html`<${Table} columns=${columns} rows=${rows} caption=${words.history} keyOf=${(row) => row.start} isRunning=${() => false} />`;
}

function Versions({ versions }) {
  const metrics = useMetrics();
  const columns = [
    { label: words.holdsFrom, isHeading: true, cell: (row) => formatDay(row.holds_from) },
    { label: words.holdsUntil, cell: (row) => (row.holds_until ? formatDay(row.holds_until) : words.openEnd) },
    { label: words.goal, isNumber: true, cell: (row) => formatValue(Number(row.value), metrics?.get(row.metric)?.unit, session.value.currency) },
    { label: words.recordedOn, cell: (row) => formatDay(row.recorded_on) },
  ];
  return html`<${Table} columns=${columns} rows=${versions} caption=${words.versions} keyOf=${(row) => row.version} />`;
}

function Ahead({ path, answer, titleOf }) {
  const rows = (answer.body?.targets ?? []).filter((own) => own.state === "ahead");
  const columns = [
    { label: words.target, isHeading: true, cell: (row) => html`<${TargetLink} id=${row.id} title=${titleOf(row)} />` },
    { label: words.holdsFrom, cell: (row) => formatDay(row.holds_from) },
  ];
  return rows.length > 0 && html`<${Card} path=${path} answer=${answer} hasFiles=${false} title=${words.ahead} lead=${words.aheadLead}>
    ${() => html`<${Table} columns=${columns} rows=${rows} caption=${words.ahead} keyOf=${(row) => row.id} />`}
  <//>`;
}

function EndForm({ id, title, close }) {
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [isBusy, setBusy] = useState(false);
  const heading = useRef(/** @type {any} */ (null));
  useEffect(() => heading.current.focus(), []);
  const end = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await sendJson(`v1/targets/${encodeURIComponent(id)}`, "DELETE");
      revision.value++;
      close(words.ended(title));
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  return html`<section class="card panel"><form onSubmit=${end} aria-label=${words.endTitle(title)}>
    <h2 tabindex="-1" ref=${heading}><bdi>${words.endTitle(title)}</bdi></h2>
    <p>${words.endLead}</p>
    ${problem && html`<${ProblemText} problem=${problem} />`}
    <p class="buttons"><button class="primary" disabled=${isBusy}>${words.confirmEnd}</button><button type="button" onClick=${close}>${texts.form.cancel}</button></p>
  </form></section>`;
}
