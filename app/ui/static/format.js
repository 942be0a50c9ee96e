// Numbers and dates in the reader's locale; amounts in the currency of the books, days as the books have them.

const locale = navigator.language || "en";
/** @type {Map<string, any>} */
const cache = new Map();
const NONE = "–";

/** @param {Intl.NumberFormatOptions} options @returns {Intl.NumberFormat} */
function numbers(options) {
  const key = JSON.stringify(options);
  if (!cache.has(key)) cache.set(key, new Intl.NumberFormat(locale, options));
  return cache.get(key);
}

/** @param {Intl.DateTimeFormatOptions} options @returns {Intl.DateTimeFormat} */
function dates(options) {
  const key = `date ${JSON.stringify(options)}`;
  if (!cache.has(key)) cache.set(key, new Intl.DateTimeFormat(locale, options));
  return cache.get(key);
}

/**
 * Return a value as short as a tile or the label of a point needs it.
 * @param {number | null | undefined} value @param {string} unit of the metric @param {string} currency
 */
export function formatShort(value, unit, currency) {
  if (value === null || value === undefined) return NONE;
  if (unit === "percent") return `${numbers({ maximumFractionDigits: 1 }).format(value)} %`;
  if (unit === "money") return numbers({ style: "currency", currency, notation: "compact", maximumSignificantDigits: 4 }).format(value);
  const large = Math.abs(value) >= 10_000;
  return numbers(large ? { notation: "compact", maximumSignificantDigits: 4 } : { maximumFractionDigits: 2 }).format(value);
}

/**
 * Return a value with all the digits that mean something, for tables.
 * @param {number | null | undefined} value @param {string} unit of the metric @param {string} currency
 */
export function formatValue(value, unit, currency) {
  if (value === null || value === undefined) return NONE;
  if (unit === "money") return numbers({ style: "currency", currency }).format(value);
  const text = numbers({ maximumFractionDigits: 2 }).format(value);
  return unit === "percent" ? `${text} %` : text;
}

/** @param {string | number} amount a decimal string @param {string} currency @returns {string} without cents */
export function formatAmount(amount, currency) {
  return numbers({ style: "currency", currency, maximumFractionDigits: 0 }).format(Number(amount));
}

/** @param {number | null | undefined} value @param {string} unit @param {string} currency @returns {string} with its sign, a percentage in points */
export function formatChange(value, unit, currency) {
  if (value === null || value === undefined) return NONE;
  /** @type {Intl.NumberFormatOptions} */
  const signed = { signDisplay: "exceptZero" };
  if (unit === "money") return numbers({ ...signed, style: "currency", currency, maximumFractionDigits: 0 }).format(value);
  return numbers({ ...signed, maximumFractionDigits: 1 }).format(value);
}

/** @param {[number, number] | null | undefined} interval @param {string} unit @param {string} currency @returns {string} */
export function formatInterval(interval, unit, currency) {
  return interval ? interval.map((value) => formatValue(value, unit, currency)).join(" – ") : NONE;
}

/** @param {number | null | undefined} value @returns {string} */
export function formatNumber(value) {
  return value === null || value === undefined ? NONE : numbers({ maximumFractionDigits: 2 }).format(value);
}

/** @param {string | null | undefined} day YYYY-MM-DD, or a time whose date is meant @returns {string} */
export function formatDay(day) {
  return day ? dates({ dateStyle: "medium", timeZone: "UTC" }).format(new Date(`${day.slice(0, 10)}T00:00:00Z`)) : NONE;
}

/** @param {string | null | undefined} time with an offset @param {string} timeZone that of the books @returns {string} */
export function formatTime(time, timeZone) {
  return time ? dates({ dateStyle: "medium", timeStyle: "short", timeZone }).format(new Date(time)) : NONE;
}

/** @param {{ period: string, start?: string }} row @returns {string} such as "Nov 2026"; weeks and quarters as the API names them */
export function formatPeriod({ period }) {
  if (/^\d{4}-\d{2}$/.test(period)) return dates({ month: "short", year: "numeric", timeZone: "UTC" }).format(new Date(`${period}-01T00:00:00Z`));
  return /^\d{4}-\d{2}-\d{2}$/.test(period) ? formatDay(period) : period.replace(/^(\d{4})-(Q\d)$/, "$2 $1");
}
