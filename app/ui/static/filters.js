// The filter language, as far as the page writes it: offers how a filter may go on, and makes filters of groups.
// docs/reference/filters.md describes the language.

/** @typedef {{ key: string, values: { value: any, accounts: number }[] }} Attribute */
/** @typedef {import("./combobox.js").Offer} Offer */

const PLAIN_KEY = /^[A-Za-z_][A-Za-z0-9_.-]*$/;
const KEYWORDS = new Set(["and", "or", "not", "in", "is", "null", "true", "false"]);
const TOKEN = /`(?:\\.|[^`\\])*`?|"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|[<>!]=|[=<>(),]|[^\s=<>!(),"'`]+|\S/g;
const SIGNS = ["=", "!=", "<", "<=", ">", ">="];

/** @param {string} key of an attribute @returns {string} as a filter names it */
export function writeKey(key) {
  return PLAIN_KEY.test(key) && !KEYWORDS.has(key.toLowerCase()) ? key : `\`${escape(key, "`")}\``;
}

/** @param {string | number | boolean} value @returns {string} as a filter compares with it */
export function writeValue(value) {
  return typeof value === "string" ? `"${escape(value, '"')}"` : String(value);
}

/** @param {string} text @param {string} quote */
function escape(text, quote) {
  return [...text]
    .map((mark) => (mark === quote || mark === "\\" ? `\\${mark}` : mark < " " ? `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}` : mark))
    .join("");
}

/** @param {string[]} parts @returns {string} a filter of accounts that all of them select */
export function joinFilters(parts) {
  const own = parts.filter(Boolean);
  return own.length > 1 ? own.map((part) => `(${part})`).join(" and ") : (own[0] ?? "");
}

/**
 * @param {string} text a filter that somebody is writing
 * @param {Attribute[]} attributes
 * @returns {Offer[]} how it may go on: keys, signs, values or words, whatever may stand there
 */
export function offersOfFilter(text, attributes) {
  const tokens = text.match(TOKEN) ?? [];
  const isWithin = tokens.length > 0 && !/[\s(),]$/.test(text) && !SIGNS.includes(tokens[tokens.length - 1]);
  const part = isWithin ? /** @type {string} */ (tokens.pop()) : "";
  const before = text.slice(0, text.length - part.length);
  const offer = (own, hint = "") => ({ text: own, hint, value: `${before}${before && !/[\s(]$/.test(before) ? " " : ""}${own} ` });
  const starts = (own) => own.toLowerCase().startsWith(part.toLowerCase()) || own.slice(1).toLowerCase().startsWith(part.toLowerCase());
  const last = tokens[tokens.length - 1] ?? "";
  const attribute = attributeBefore(tokens, attributes);
  if (SIGNS.includes(last) || (attribute && ["(", ","].includes(last)))
    return (attribute?.values ?? []).map(({ value, accounts }) => offer(writeValue(value), String(accounts))).filter((own) => starts(own.text));
  if (!last || ["(", "and", "or", "not"].includes(last.toLowerCase()))
    return [...attributes.map(({ key }) => offer(writeKey(key))), ...(last.toLowerCase() === "not" ? [] : [offer("not")])].filter((own) => starts(own.text));
  if (attributes.some(({ key }) => writeKey(key) === last)) return [...SIGNS, "in (", "is null", "is not null"].filter(starts).map((own) => offer(own));
  return ["and", "or"].filter(starts).map((own) => offer(own));
}

/** The attribute with which the next value is compared, also within a list. @param {string[]} tokens @param {Attribute[]} attributes */
function attributeBefore(tokens, attributes) {
  const find = (name) => attributes.find(({ key }) => writeKey(key) === name);
  if (SIGNS.includes(tokens[tokens.length - 1])) return find(tokens[tokens.length - 2]);
  const open = tokens.lastIndexOf("(");
  return open > 1 && tokens[open - 1].toLowerCase() === "in" && !tokens.slice(open).includes(")") ? find(tokens.slice(0, open - 1).filter((own) => own.toLowerCase() !== "not").pop()) : undefined;
}

/**
 * @param {Record<string, any>} group of a row
 * @param {Record<string, any>} params those of the question that has the row
 * @returns {Record<string, any>} the parameters that select what the row is about
 */
export function paramsOfGroup(group, params) {
  const named = ["segment", "account", "subject", "channel"];
  const conditions = Object.entries(group)
    .filter(([key]) => !named.includes(key))
    .map(([key, value]) => (value === null ? `${writeKey(key)} is null` : `${writeKey(key)} = ${writeValue(value)}`));
  const own = Object.fromEntries(named.filter((name) => group[name] !== null && group[name] !== undefined).map((name) => [name, group[name]]));
  return { ...own, filter: joinFilters([params.filter ?? "", ...conditions]) };
}
