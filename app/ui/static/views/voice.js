// Voice: what customers answer and say, and what has been done about it.
import { html, useState } from "../vendor/preact.js";
import { address, change, href, queryOf } from "../address.js";
import { revision, useAnswers, useKept } from "../answers.js";
import { sendJson } from "../api.js";
import { Card, ProblemText } from "../card.js";
import { Controls, FilterControl, Labeled, optionsOf, PeriodControl, SearchControl, Select } from "../controls.js";
import { formatChange, formatDay, formatNumber } from "../format.js";
import { Table } from "../table.js";
import { texts } from "../texts.js";
import { theme } from "../theme.js";

const YEAR = "last_12_months";
/** Comments on a page. */
const LIMIT = 20;
/** Themes of each class. */
const THEMES = 5;
const METRICS = { nps: "nps", csat: "csat", ces: "ces" };
const FIRST_PAGE = { cursor: null };
const words = texts.voice;

/** The requests of the view, by card. @param {any} survey the one whose answers are shown, if there is one */
function usePaths(survey) {
  const { period, start, end, filter, q, tag, status, channel, cursor, class: scoreClass, only } = address.value.params;
  const range = period || start || end ? { period, start, end } : { period: YEAR };
  const chart = { format: "vega", theme: theme() };
  const comments = { ...range, class: scoreClass, tag, channel, status, survey: only, filter };
  const metric = survey && METRICS[survey.kind];
  const own = { ...range, filter };
  return {
    ...(metric && {
      value: `/v1/metrics/${metric}${queryOf({ ...own, granularity: "quarter", subject: survey.id, ...chart })}`,
      classes: `/v1/surveys/${encodeURIComponent(survey.id)}/distribution${queryOf({ ...own, granularity: "total", by: "class", ...chart })}`,
      scores: `/v1/surveys/${encodeURIComponent(survey.id)}/distribution${queryOf({ ...own, granularity: "total", ...chart })}`,
    }),
    comments: `/v1/feedback${queryOf({ ...comments, q, limit: LIMIT, cursor })}`,
    themes: `/v1/feedback/themes${queryOf({ ...comments, limit: THEMES })}`,
  };
}

export function View({ session }) {
  const surveys = useKept("/v1/surveys")?.surveys ?? [];
  const chosen = address.value.params.survey;
  const survey = surveys.find((own) => own.id === chosen) ?? surveys.find((own) => own.kind === "nps") ?? surveys[0];
  const paths = usePaths(survey);
  const answer = useAnswers(Object.values(paths));
  const of = (name) => ({ path: paths[name], answer: answer(paths[name]) });
  const names = surveys.map((own) => /** @type {[string, string]} */ ([own.id, own.id]));
  const canWrite = ["ingest", "read"].every((scope) => session.scopes.includes(scope) || session.scopes.includes("admin"));
  const choose = (datum) => datum.class && change({ class: datum.class, only: survey.id, ...FIRST_PAGE });
  return html`
    <${Controls}>
      <${Select} name="survey" label=${words.survey} options=${names} fallback=${survey?.id ?? ""} />
      <${PeriodControl} fallback=${YEAR} /><${FilterControl} />
      <${SearchControl} name="q" label=${words.search} placeholder=${words.searchExample} />
      <${Select} name="class" label=${words.class} options=${optionsOf(words.classes)} others=${FIRST_PAGE} />
      <${Select} name="status" label=${words.status} options=${optionsOf(words.statuses)} others=${FIRST_PAGE} />
      <${Select} name="only" label=${words.only} options=${[["", words.all], ...names]} others=${FIRST_PAGE} />
      <${TextControl} name="tag" label=${words.tag} /><${TextControl} name="channel" label=${words.channel} />
    <//>
    <div class="cards">
      ${paths.value && html`<${Card} ...${of("value")} /><${Card} ...${of("classes")} onPoint=${choose} /><${Card} ...${of("scores")} onPoint=${choose} />`}
      <${Card} ...${of("comments")} wide title=${words.comments} lead=${canWrite ? undefined : words.readOnly}>
        ${(body) => html`<${Comments} body=${body} canWrite=${canWrite} />`}
      <//>
      <${Card} ...${of("themes")} title=${words.themes}>${(body) => html`<${Themes} body=${body} />`}<//>
    </div>
  `;
}

/** A tag or a channel by its exact name. @param {{ name: string, label: string }} props */
function TextControl({ name, label }) {
  const value = address.value.params[name] ?? "";
  return html`<${Labeled} label=${label}>
    ${(id) => html`<input id=${id} key=${value} type="text" defaultValue=${value} onChange=${(event) => change({ [name]: event.target.value.trim(), ...FIRST_PAGE })} />`}
  <//>`;
}

function Comments({ body, canWrite }) {
  if (!body.feedback.length) return html`<p class="quiet">${words.noComment}</p>`;
  return html`
    <ul class="list">
      ${body.feedback.map((row) => html`<${Comment} key=${`${row.id} ${row.updated_at}`} row=${row} canWrite=${canWrite} />`)}
    </ul>
    ${body.next && html`<p><button type="button" onClick=${() => change({ cursor: body.next })}>${words.next}</button></p>`}
  `;
}

function Comment({ row, canWrite }) {
  return html`<li>
    <p>${row.score !== null && html`<strong>${formatNumber(row.score)}</strong> `}${row.comment === null ? html`<em>${words.erased}</em>` : html`“<bdi>${row.comment}</bdi>”`}</p>
    <p class="quiet">
      <a data-view href=${href("accounts", {}, row.account_id)}><bdi>${row.account_id}</bdi></a> · ${formatDay(row.occurred_at)}
      ${row.class && ` · ${words.classes[row.class]}`}${row.channel && html` · <bdi>${row.channel}</bdi>`}
      ${row.tags.map((tag) => html` <button class="link" type="button" aria-label=${words.byTag(tag)} onClick=${() => change({ tag, ...FIRST_PAGE })}>#<bdi>${tag}</bdi></button>`)}
    </p>
    ${canWrite ? html`<${Answering} row=${row} />` : html`<p class="quiet">${words.statuses[row.status]}${row.note && html`: <bdi>${row.note}</bdi>`}</p>`}
  </li>`;
}

/** The status and the note of a comment, which are stored together. */
function Answering({ row }) {
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [isBusy, setBusy] = useState(false);
  const store = async (event) => {
    event.preventDefault();
    const fields = new FormData(event.target);
    setBusy(true);
    setProblem(null);
    try {
      await sendJson(`v1/feedback/${encodeURIComponent(row.id)}`, "PATCH", { status: fields.get("status"), note: fields.get("note") });
      revision.value++;
    } catch (error) {
      setProblem(error);
    }
    setBusy(false);
  };
  return html`<form class="status-form" onSubmit=${store}>
    <${Labeled} label=${words.status}>
      ${(id) => html`<select id=${id} name="status" defaultValue=${row.status}>
        ${optionsOf(words.statuses).filter(([own]) => own).map(([own, text]) => html`<option value=${own} selected=${own === row.status}>${text}</option>`)}
      </select>`}
    <//>
    <${Labeled} label=${words.note}>${(id) => html`<input id=${id} name="note" type="text" dir="auto" defaultValue=${row.note ?? ""} />`}<//>
    <button disabled=${isBusy}>${words.store}</button>
    ${problem && html`<${ProblemText} problem=${problem} />`}
  </form>`;
}

/** Tags and words of the comments; each shows the comments that have it. */
function Themes({ body }) {
  const lead = words.compared(formatDay(body.period.start), formatDay(body.period.end), formatDay(body.previous.start), formatDay(body.previous.end));
  return html`<p class="lead">${lead}</p>
    <h3>${words.tags}</h3>
    <${ThemeTable} rows=${body.tags} name="tag" caption=${words.tags} find=${(tag) => ({ tag })} />
    <h3>${words.words}</h3>
    <${ThemeTable} rows=${body.words} name="word" caption=${words.words} find=${(word) => ({ q: word })} />`;
}

function ThemeTable({ rows, name, caption, find }) {
  const columns = [
    {
      label: words.theme,
      isHeading: true,
      cell: (row) => html`<button class="link" type="button" onClick=${() => change({ ...find(row[name]), class: row.class, ...FIRST_PAGE })}><bdi>${row[name]}</bdi></button>`,
    },
    { label: words.class, cell: (row) => (row.class ? words.classes[row.class] : words.noClass) },
    { label: words.comments, isNumber: true, cell: (row) => formatNumber(row.comments) },
    { label: texts.table.change, isNumber: true, cell: (row) => formatChange(row.change, "count", "") },
  ];
  return html`<${Table} columns=${columns} rows=${rows.filter((row) => row[name] !== null)} caption=${caption} />`;
}
