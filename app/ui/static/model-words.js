// The components of a health model in plain words.
import { texts } from "./texts.js";

/** @param {any} component @param {Map<string, any> | undefined} metrics @returns {string} what its value is */
export function measureOf(component, metrics) {
  return texts.healthModel.kinds[component.kind](metrics?.get(component.metric)?.title ?? component.metric);
}

/** @param {any} component @param {Map<string, any> | undefined} metrics @returns {string | undefined} the unit of its value */
export function unitOf(component, metrics) {
  if (component.kind === "days_since") return "days";
  if (component.kind === "last_response") return "points";
  if (component.kind === "baseline" || component.change_in === "percent") return "percent";
  return metrics?.get(component.metric)?.unit;
}
