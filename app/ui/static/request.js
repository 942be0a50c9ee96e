// A request of the API in the forms in which others can use it.
import { html, useState } from "./vendor/preact.js";
import { queryOf } from "./address.js";
import { texts } from "./texts.js";

/**
 * @param {string} path of a GET request with its query
 * @param {string | null} format null: as JSON
 * @returns {string} the same question in another format
 */
export function withFormat(path, format) {
  const [before, query = ""] = path.split("?");
  /** @type {Record<string, string[]>} */
  const params = {};
  for (const [name, value] of new URLSearchParams(query)) (params[name] ??= []).push(value);
  for (const name of ["format", "theme"]) delete params[name];
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

/** What a reader can do with the request of a card. @param {{ path: string, isChart: boolean, hasFiles: boolean }} props */
export function Copy({ path, isChart, hasFiles }) {
  const link = (format) => withFormat(path, format).slice(1);
  return html`<span class="actions">
    <${CopyButton} text=${curlOf(path)} label="curl" title=${texts.card.copy} />
    ${hasFiles && ["csv", "xlsx"].map((format) => html`<a href=${link(format)} download>${format.toUpperCase()}</a>`)}
    ${isChart && html`<a href=${link("svg")} target="_blank">SVG</a>`}
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
