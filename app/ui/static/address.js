// The address of the page holds the whole state of the view: the path names the view, the query its controls.
import { signal } from "./vendor/preact.js";

/** @typedef {Record<string, string | string[] | number | null | undefined>} Params null, undefined and "" leave a parameter out */

const base = new URL(document.baseURI).pathname;

function read() {
  const path = location.pathname.slice(base.length).split("/").map(decode);
  /** @type {Record<string, string>} */
  const params = {};
  // A parameter that is there several times is a list, written with commas.
  for (const [name, value] of new URLSearchParams(location.search)) params[name] = name in params ? `${params[name]},${value}` : value;
  return { view: path[0] || "overview", id: path[1] || null, params };
}

/** @param {string} part @returns {string} as it is if it is no encoded text, since somebody has written it by hand */
function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address: view, id (of the one thing that the view is about, or null) and parameters. */
export const address = signal(read());

/**
 * Return the query of an address or of a request, with its question mark, or nothing. Commas and colons stay readable.
 * @param {Params} params
 */
export function queryOf(params) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params))
    for (const own of [value].flat()) if (own !== null && own !== undefined && own !== "") query.append(name, String(own));
  const text = query.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  return text ? `?${text}` : "";
}

/** @param {string} view @param {Params} [params] @param {string | null} [id] @returns {string} the address of a view */
export function href(view, params = {}, id = null) {
  const path = (view === "overview" ? "" : view) + (id === null ? "" : `/${encodeURIComponent(id)}`);
  return base + path + queryOf(params);
}

/** @param {string} to an address of the page, as `href` returns it */
export function go(to) {
  const { view, id } = address.value;
  history.pushState(null, "", to);
  address.value = read();
  if (view !== address.value.view || id !== address.value.id) scrollTo(0, 0);
}

/**
 * Change some controls of this view.
 * @param {Params} params
 * @param {{ isStep?: boolean }} [options] isStep: whether the browser's back goes to the state before; not while somebody types
 */
export function change(params, { isStep = true } = {}) {
  const { view, id, params: current } = address.value;
  const to = href(view, { ...current, ...params }, id);
  if (to === location.pathname + location.search) return;
  if (isStep) go(to);
  else {
    history.replaceState(null, "", to);
    address.value = read();
  }
}

addEventListener("popstate", () => (address.value = read()));

// Links of the page change the address without loading it again, unless the reader wants another tab.
addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[data-view]") : null;
  if (!(link instanceof HTMLAnchorElement) || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  go(link.getAttribute("href") ?? "");
});
