// The address of the page holds the whole state of the view: the path names the view, the query its controls.
import { signal } from "./vendor/preact.js";

const base = new URL(document.baseURI).pathname;

function read() {
  const path = location.pathname.slice(base.length).split("/").map(decodeURIComponent);
  return { view: path[0] || "overview", id: path[1] || null, params: Object.fromEntries(new URLSearchParams(location.search)) };
}

export const address = signal(read());

/** @param {string} view @param {Record<string, string | null | undefined>} [params] @param {string | null} [id] */
export function href(view, params = {}, id = null) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value !== null && value !== undefined && value !== "") query.set(name, value);
  const path = (view === "overview" ? "" : view) + (id === null ? "" : `/${encodeURIComponent(id)}`);
  const text = query.toString();
  return base + path + (text ? `?${text}` : "");
}

/** @param {string} to an address of the page, as `href` returns it */
export function go(to) {
  history.pushState(null, "", to);
  address.value = read();
  scrollTo(0, 0);
}

/** Change some controls of this view. @param {Record<string, string | null>} params */
export function change(params) {
  const { view, id, params: current } = address.value;
  go(href(view, { ...current, ...params }, id));
}

addEventListener("popstate", () => (address.value = read()));

// Links of the page change the address without loading it again, unless the reader wants another tab.
addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[data-view]") : null;
  if (!(link instanceof HTMLAnchorElement) || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
