// Numbers and dates in the reader's locale; amounts in the currency of the books, days as the books have them.

const locale = navigator.language || "en";
const cache = new Map();

function formatter(options) {
  const key = JSON.stringify(options);
  if (!cache.has(key)) cache.set(key, new Intl.NumberFormat(locale, options));
  return cache.get(key);
}

/** @param {number | null} value @param {string} unit of the metric @param {string} currency @returns {string} short, for a tile */
export function formatShort(value, unit, currency) {
  if (value === null || value === undefined) return "–";
  if (unit === "percent") return `${formatter({ maximumFractionDigits: 1 }).format(value)} %`;
  if (unit === "money") return formatter({ style: "currency", currency, notation: "compact", maximumSignificantDigits: 4 }).format(value);
  const large = Math.abs(value) >= 10_000;
  return formatter(large ? { notation: "compact", maximumSignificantDigits: 4 } : { maximumFractionDigits: 2 }).format(value);
}

/** @param {string} amount a decimal string @param {string} currency @returns {string} */
export function formatAmount(amount, currency) {
  return formatter({ style: "currency", currency, maximumFractionDigits: 0 }).format(Number(amount));
}

/** @param {string} day YYYY-MM-DD @returns {string} */
export function formatDay(day) {
  const date = new Date(`${day.slice(0, 10)}T00:00:00Z`);
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeZone: "UTC" }).format(date);
}
