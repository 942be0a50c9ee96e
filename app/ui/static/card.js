// A card: what the service answered to one request, with a heading, a sentence, and the request itself.
import { html, useState } from "./vendor/preact.js";
import { Chart } from "./chart.js";
import { texts } from "./texts.js";

/**
 * @param {{ path: string, answer: any, title?: string, lead?: any, wide?: boolean, more?: any, children?: (body: any) => any }} props
 * children: makes the content of the answer; without, the answer is a chart
 */
export function Card({ path, answer, title, lead, wide, more, children }) {
  const spec = !children && answer.body;
  const heading = title ?? spec?.title?.text?.join(" ") ?? "";
  const sentence = lead ?? spec?.title?.subtitle?.join(" ");
  return html`<section class=${wide ? "card wide" : "card"} aria-busy=${!answer.body && !answer.problem}>
    <header>
      <h2>${heading}</h2>
      ${more}
    </header>
    ${sentence && html`<p class="lead">${sentence}</p>`}
    <div class="content"><${Content} answer=${answer} children=${children} /></div>
    <${RequestLine} path=${path} isChart=${Boolean(spec)} />
  </section>`;
}

function Content({ answer, children }) {
  if (answer.problem) return html`<${ProblemText} problem=${answer.problem} />`;
  if (!answer.body) return html`<p class="quiet">${answer.isSlow ? texts.card.loading : ""}</p>`;
  return children ? children(answer.body) : html`<${Chart} spec=${answer.body} />`;
}

/** @param {{ problem: any }} props */
export function ProblemText({ problem }) {
  return html`<p class="problem" role="alert">
    ${problem.status ? problem.message : texts.problem.failed}
    ${problem.requestId && html` <small>${texts.problem.requestId(problem.requestId)}</small>`}
  </p>`;
}

/** The request that gives these numbers, to copy. @param {{ path: string, isChart: boolean }} props */
function RequestLine({ path, isChart }) {
  const [isCopied, setCopied] = useState(false);
  const plain = withFormat(path, null);
  const copy = async () => {
    await navigator.clipboard.writeText(`curl -H "Authorization: Bearer $KEY" '${new URL(plain.slice(1), document.baseURI)}'`);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return html`<footer>
    <code title=${texts.card.request}>GET ${plain}</code>
    <span class="actions">
      <button class="link" onClick=${copy} title=${texts.card.copy}>${isCopied ? texts.card.copied : "curl"}</button>
      ${["csv", "xlsx"].map((format) => html`<a href=${withFormat(path, format).slice(1)} download>${format.toUpperCase()}</a>`)}
      ${isChart && html`<a href=${withFormat(path, "svg").slice(1)} target="_blank">SVG</a>`}
    </span>
  </footer>`;
}

/** @param {string} path @param {string | null} format */
function withFormat(path, format) {
  const [before, query = ""] = path.split("?");
  const params = new URLSearchParams(query);
  params.delete("format");
  params.delete("theme");
  if (format) params.set("format", format);
  const text = params.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  return before + (text ? `?${text}` : "");
}
