// How near a target is: the status as text and sign, and the shape of the last periods.
import { html } from "./vendor/preact.js";
import { texts } from "./texts.js";

const STATUS = { met: ["good", "✓"], on_track: ["good", "↗"], behind: ["bad", "↘"], missed: ["bad", "✗"], no_data: ["quiet", "·"] };

/** @param {{ status: string }} props */
export function StatusText({ status }) {
  const [kind, sign] = STATUS[status];
  return html`<span class=${kind}>${sign} ${texts.status[status]}</span>`;
}

/**
 * The shape of the last periods; the running one is dashed. It is silent, as the numbers beside it say the same.
 * @param {{ points: { value: number | null, complete: boolean }[] }} props
 */
export function Sparkline({ points }) {
  const values = /** @type {number[]} */ (points.map((point) => point.value).filter((value) => value !== null));
  if (values.length < 2) return html`<svg class="sparkline" viewBox="0 0 100 24" aria-hidden="true"></svg>`;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (index) => (100 * index) / (points.length - 1);
  const y = (value) => 22 - (20 * (value - low)) / (high - low || 1);
  const line = (from, to) =>
    points.slice(from, to).flatMap((point, index) => (point.value === null ? [] : [`${x(from + index)},${y(point.value)}`])).join(" ");
  const running = points.findIndex((point) => !point.complete);
  const end = running < 0 ? points.length : running;
  return html`<svg class="sparkline" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
    <polyline points=${line(0, end)} />
    ${running > 0 && html`<polyline class="running" points=${line(running - 1, points.length)} />`}
  </svg>`;
}
