// What the views show of the health of accounts: bands as text and sign, changes, and links to accounts.
import { html } from "./vendor/preact.js";
import { href } from "./address.js";
import { formatChange, formatShort } from "./format.js";
import { texts } from "./texts.js";

/** The class and the sign of each band. @type {Record<string, [kind: string, sign: string]>} */
export const SIGNS = { critical: ["bad", "✗"], at_risk: ["warn", "!"], healthy: ["good", "✓"], none: ["quiet", "·"] };

/** A band with its sign. @param {{ band: string | null }} props null: without a score */
export function Band({ band }) {
  const name = band ?? "none";
  const [kind, sign] = SIGNS[name];
  return html`<span class=${`badge ${kind}`}><span aria-hidden="true">${sign}</span> ${texts.bands[name]}</span>`;
}

/**
 * A change with its direction.
 * @param {{ value: number | null | undefined, unit: string, currency: string }} props
 */
export function Change({ value, unit, currency }) {
  if (value === null || value === undefined) return "–";
  const kind = value > 0 ? "good" : value < 0 ? "bad" : "quiet";
  const sign = value > 0 ? "▲" : value < 0 ? "▼" : "";
  return html`<span class=${kind}><span aria-hidden="true">${sign}</span> ${formatChange(value, unit, currency)}</span>`;
}

/** @param {{ id: string, name?: string | null, params?: import("./address.js").Params }} props */
export function AccountLink({ id, name, params = {} }) {
  return html`<a data-view href=${href("accounts", params, id)}><bdi>${name ?? id}</bdi></a>`;
}

/** Why an account's health is what it is: what a person says, or what costs most points. @param {any} own @param {string} currency */
export function reasonOf(own, currency) {
  if (own.override) return own.override.reason;
  if (own.weakest) return `${own.weakest.title}: ${formatShort(own.weakest.value, own.weakest.unit, currency)}`;
  return own.reason ? texts.bands.none : "";
}
