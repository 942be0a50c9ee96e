// A card: what the service answered to one request, with a heading, a sentence, and the request itself.
import { html, useState } from "./vendor/preact.js";
import { useAnswers } from "./answers.js";
import { Chart } from "./chart.js";
import { Copy, withFormat } from "./request.js";
import { RowsTable } from "./table.js";
import { texts } from "./texts.js";

/** @typedef {import("./answers.js").Answer} Answer */

/**
 * @param {object} props
 * @param {string} props.path the request, as it was asked
 * @param {Answer} props.answer
 * @param {any} [props.title] otherwise that of the chart
 * @param {any} [props.lead] a sentence below the heading; otherwise that of the chart
 * @param {boolean} [props.wide]
 * @param {boolean} [props.half] half as wide as the view
 * @param {boolean} [props.all] as wide as the view
 * @param {any} [props.more] beside the heading
 * @param {(datum: any) => void} [props.onPoint] called with the datum of a mark of the chart that was clicked
 * @param {(rows: any[], body: any) => any} [props.table] makes the table twin of a chart from the rows of the answer, or from the whole answer; otherwise all their columns
 * @param {boolean} [props.hasFiles] whether the answer has the formats of tables
 * @param {(body: any) => any} [props.children] makes the content of the answer; without, the answer is a chart with a table twin
 */
export function Card({ path, answer, title, lead, wide, half, all, more, onPoint, table, hasFiles = true, children }) {
  const [isTable, setTable] = useState(false);
  const isChart = !children;
  const spec = isChart && answer.body;
  const heading = title ?? spec?.title?.text?.join(" ") ?? "";
  const sentence = lead ?? spec?.title?.subtitle?.join(" ");
  return html`<section class=${`card${all ? " all" : half ? " half" : wide ? " wide" : ""}`} aria-busy=${answer.isOld || (!answer.body && !answer.problem)}>
    <header>
      <h2>${heading}</h2>
      ${more}
      ${spec && html`<button class="link" aria-pressed=${isTable} onClick=${() => setTable(!isTable)}>${texts.card.table}</button>`}
    </header>
    ${sentence && html`<p class="lead">${sentence}</p>`}
    <div class="content">
      ${spec && isTable
        ? html`<${TableTwin} path=${withFormat(path, null)} table=${table} />`
        : html`<${Content} answer=${answer} children=${children} onPoint=${onPoint} />`}
    </div>
    <${RequestLine} path=${path} isChart=${isChart} hasFiles=${hasFiles} />
  </section>`;
}

function Content({ answer, children, onPoint }) {
  if (answer.problem) return html`<${ProblemText} problem=${answer.problem} retry=${answer.retry} />`;
  if (!answer.body) return html`<p class="quiet">${answer.isSlow ? texts.card.loading : ""}</p>`;
  return children ? children(answer.body) : html`<${Chart} spec=${answer.body} onPoint=${onPoint} />`;
}

/** @param {any} body @returns {any[]} what the chart of an answer shows */
const rowsOf = (body) => body.rows ?? body.history;

/** The rows of a chart, asked for when somebody wants them. */
function TableTwin({ path, table }) {
  const answer = useAnswers([path])(path);
  return html`<${Content} answer=${answer}>${(body) => (table ? table(rowsOf(body), body) : html`<${RowsTable} rows=${rowsOf(body)} />`)}<//>`;
}

/** @param {{ problem: any, retry?: () => void }} props */
export function ProblemText({ problem, retry }) {
  return html`<div class="problem" role="alert">
    <p>${problem.status ? problem.message : texts.problem.failed}</p>
    ${problem.errors?.length > 0 &&
    html`<ul>
      ${problem.errors.map((own) => html`<li><code>${own.pointer}</code> ${own.detail}</li>`)}
    </ul>`}
    ${problem.requestId && html`<p><small>${texts.problem.requestId(problem.requestId)}</small></p>`}
    ${retry && html`<button onClick=${retry}>${texts.card.retry}</button>`}
  </div>`;
}

/** The request that gives these numbers, to read and to copy. @param {{ path: string, isChart?: boolean, hasFiles?: boolean }} props */
export function RequestLine({ path, isChart = false, hasFiles = true }) {
  return html`<footer>
    <code title=${texts.card.request}>GET ${withFormat(path, null)}</code>
    <${Copy} path=${path} isChart=${isChart} hasFiles=${hasFiles} />
  </footer>`;
}
