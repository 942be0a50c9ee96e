// The controls of the views. Each shows a parameter of the address, and changes it.
import { html, useEffect, useId, useRef } from "./vendor/preact.js";
import { address, change } from "./address.js";
import { useKept } from "./answers.js";
import { formatDay } from "./format.js";
import { texts } from "./texts.js";

/** How long somebody may pause while typing before the search begins, in milliseconds. */
const PAUSE = 250;

/** The controls of a view. @param {{ children: any }} props */
export function Controls({ children }) {
  return html`<form class="controls" aria-label=${texts.controls.label} onSubmit=${(event) => event.preventDefault()}>${children}</form>`;
}

/** A control with its label. @param {{ label: string, children: (id: string) => any }} props */
export function Labeled({ label, children }) {
  const id = useId();
  return html`<div class="control"><label for=${id}>${label}</label>${children(id)}</div>`;
}

/**
 * @param {object} props
 * @param {string} props.name of the parameter
 * @param {string} props.label
 * @param {[value: string, text: string][]} props.options
 * @param {string} [props.fallback] what holds without the parameter
 * @param {import("./address.js").Params} [props.others] parameters that change with it
 */
export function Select({ name, label, options, fallback = "", others = {} }) {
  const value = address.value.params[name] ?? fallback;
  const known = options.some(([own]) => own === value);
  return html`<${Labeled} label=${label}>
    ${(id) => html`<select id=${id} value=${value} onChange=${(event) => change({ ...others, [name]: event.target.value === fallback ? null : event.target.value })}>
      ${!known && html`<option value=${value}>${value}</option>`}
      ${options.map(([own, text]) => html`<option value=${own}>${text}</option>`)}
    </select>`}
  <//>`;
}

/** The options of a Select from a block of texts. @param {Record<string, string>} words @returns {[string, string][]} */
export const optionsOf = (words) => Object.entries(words);

/**
 * The range: a named period, or two dates.
 * @param {{ fallback?: string }} props fallback: what holds without the parameters
 */
export function PeriodControl({ fallback = "last_12_months" }) {
  const { params } = address.value;
  const isCustom = Boolean(params.start || params.end);
  const value = isCustom ? "custom" : (params.period ?? fallback);
  const words = texts.controls.periods;
  const choose = (chosen) => {
    if (chosen === "custom") change({ period: null, start: yearBefore(), end: today() });
    else change({ start: null, end: null, period: chosen === fallback ? null : chosen });
  };
  return html`<${Labeled} label=${texts.controls.period}>
      ${(id) => html`<select id=${id} value=${value} onChange=${(event) => choose(event.target.value)}>
        ${!(value in words) && html`<option value=${value}>${value}</option>`}
        ${optionsOf(words).map(([own, text]) => html`<option value=${own}>${text}</option>`)}
      </select>`}
    <//>
    ${isCustom && html`<${DateControl} name="start" label=${texts.controls.from} /><${DateControl} name="end" label=${texts.controls.until} />`}`;
}

/** A day. @param {{ name: string, label: string, max?: string }} props */
export function DateControl({ name, label, max }) {
  const value = address.value.params[name] ?? "";
  return html`<${Labeled} label=${label}>
    ${(id) => html`<input id=${id} type="date" value=${value} max=${max} onChange=${(event) => event.target.validity.valid && change({ [name]: event.target.value })} />`}
  <//>`;
}

/** Answers as they were known at the end of a day. */
export function AsOfControl() {
  return html`<${DateControl} name="as_of" label=${texts.controls.asOf} max=${today()} />`;
}

/** The same with a slider over all days on which something became known; the last is today, which is no parameter. */
export function AsOfSlider() {
  const books = useKept("/v1/books");
  const [first, last] = [books?.first_recorded_on, books?.today];
  const id = useId();
  if (!first) return html`<${AsOfControl} />`;
  const count = dayNumber(last) - dayNumber(first);
  const value = address.value.params.as_of;
  const position = value ? dayNumber(value) - dayNumber(first) : count;
  const choose = (event) => change({ as_of: Number(event.target.value) === count ? null : dayOf(dayNumber(first) + Number(event.target.value)) });
  return html`<${AsOfControl} />
    <div class="control slider">
      <label for=${id}>${texts.controls.known(formatDay(first))}</label>
      <input id=${id} type="range" min="0" max=${count} value=${position} aria-valuetext=${value ? formatDay(value) : texts.controls.today} onChange=${choose} />
    </div>`;
}

const DAY = 86_400_000;
/** @param {string} day @returns {number} days since 1970 */
const dayNumber = (day) => Date.parse(`${day}T00:00:00Z`) / DAY;
/** @param {number} number of days since 1970 @returns {string} */
const dayOf = (number) => new Date(number * DAY).toISOString().slice(0, 10);

export function GranularityControl({ fallback = "month" }) {
  return html`<${Select} name="granularity" label=${texts.controls.granularity} options=${optionsOf(texts.controls.granularities)} fallback=${fallback} />`;
}

export function CompareControl() {
  return html`<${Select} name="compare" label=${texts.controls.compare} options=${optionsOf(texts.controls.comparisons)} />`;
}

/** One of the stored segments. */
export function SegmentControl() {
  const segments = useKept("/v1/segments")?.segments ?? [];
  const options = [["", texts.controls.allAccounts], ...segments.map((own) => [own.name, own.name.replaceAll("_", " ")])];
  return html`<${Select} name="segment" label=${texts.controls.segment} options=${options} />`;
}

/**
 * A text that is searched for while somebody types; back goes to the view before.
 * @param {{ name: string, label: string, placeholder?: string }} props
 */
export function SearchControl({ name, label, placeholder }) {
  const value = address.value.params[name] ?? "";
  const field = useRef(/** @type {any} */ (null));
  const timer = useRef(0);
  // What is typed stays until the address has it; an address of elsewhere (back, a link) shows in the field.
  useEffect(() => {
    if (field.current && document.activeElement !== field.current) field.current.value = value;
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const search = (event) => {
    clearTimeout(timer.current);
    const text = event.target.value.trim();
    timer.current = window.setTimeout(() => change({ [name]: text, cursor: null }, { isStep: false }), PAUSE);
  };
  return html`<${Labeled} label=${label}>
    ${(id) => html`<input id=${id} ref=${field} type="search" defaultValue=${value} placeholder=${placeholder} onInput=${search} />`}
  <//>`;
}

/** Accounts by a filter, which is asked with Enter or when the field is left. */
export function FilterControl({ label = texts.controls.filter }) {
  const value = address.value.params.filter ?? "";
  return html`<${Labeled} label=${label}>
    ${(id) => html`<input id=${id} key=${value} class="filter" type="text" defaultValue=${value} placeholder=${texts.controls.filterExample} spellcheck=${false}
      onChange=${(event) => change({ filter: event.target.value.trim() })} />`}
  <//>`;
}

/** The parameters of the address that a question takes. @param {string[]} names @returns {Record<string, any>} lists split */
export function paramsOf(names) {
  const { params } = address.value;
  return Object.fromEntries(names.filter((name) => params[name] !== undefined).map((name) => [name, params[name]]));
}

/** @returns {string} YYYY-MM-DD of the reader; the service says what today is for the books */
function today() {
  return new Date().toISOString().slice(0, 10);
}

function yearBefore() {
  const day = new Date();
  day.setUTCFullYear(day.getUTCFullYear() - 1);
  return day.toISOString().slice(0, 10);
}
