// The answers that a view shows: asked for in one request when the view appears, and again when its address changes.
import { signal, useEffect, useMemo, useState } from "./vendor/preact.js";
import { askAll, isWaiting, Problem, send } from "./api.js";
import { session } from "./session.js";

/** @typedef {{ body?: any, problem?: any, isSlow: boolean, isOld: boolean, retry: () => void }} Answer
 * body: of the last answer; isOld: a newer one is awaited; isSlow: for longer than PATIENCE; retry: asks again */

/** How long a request may take before its progress is shown, in milliseconds. */
const PATIENCE = 300;

/** Goes up when something was stored: what is shown is asked for again. */
export const revision = signal(0);

addEventListener("online", () => revision.value++);

/**
 * Ask for what a view shows. While new answers are awaited, those of before can be shown.
 * @param {string[]} paths those of GET requests with their queries
 * @returns {(path: string) => Answer} what there is for a path
 */
export function useAnswers(paths) {
  const asked = [...new Set(paths)];
  const key = asked.join("\n");
  const [attempt, setAttempt] = useState(0);
  const known = useMemo(() => signal(/** @type {Map<string, any>} */ (new Map())), []);
  const awaited = useMemo(() => signal({ paths: new Set(asked), isSlow: false }), []);
  const retry = () => setAttempt(attempt + 1);
  const current = revision.value;
  useEffect(() => {
    const abort = new AbortController();
    awaited.value = { paths: new Set(asked), isSlow: false };
    const timer = setTimeout(() => {
      awaited.value = { ...awaited.value, isSlow: true };
      isWaiting.value = true;
    }, PATIENCE);
    const keep = (path, answer) => {
      known.value = new Map(known.value).set(path, answer);
      const rest = new Set(awaited.value.paths);
      rest.delete(path);
      awaited.value = { ...awaited.value, paths: rest };
    };
    const end = () => {
      clearTimeout(timer);
      isWaiting.value = false;
    };
    askAll(asked, keep, abort.signal)
      .catch((problem) => {
        if (abort.signal.aborted) return;
        if (problem instanceof Problem && problem.status === 401) session.value = null;
        for (const path of awaited.value.paths) keep(path, { ...known.value.get(path), problem });
      })
      .finally(() => abort.signal.aborted || end());
    return () => {
      abort.abort();
      end();
    };
  }, [key, attempt, current]);
  return (path) => ({
    ...known.value.get(path),
    isOld: awaited.value.paths.has(path),
    isSlow: awaited.value.isSlow && awaited.value.paths.has(path),
    retry,
  });
}

/** @type {Map<string, any>} */
const kept = new Map();

/**
 * Return an answer that hardly changes, such as the catalogue of the metrics: asked for once while the page is open.
 * @param {string} path @returns {any} undefined while it is awaited
 */
export function useKept(path) {
  if (!kept.has(path)) kept.set(path, signal(undefined));
  const own = kept.get(path);
  useEffect(() => {
    if (own.value !== undefined || own.isAsked) return;
    own.isAsked = true;
    send(path.slice(1))
      .then((response) => response.json())
      .then((body) => (own.value = body))
      .catch(() => (own.isAsked = false));
  }, [path]);
  return own.value;
}

/** @returns {Map<string, any> | undefined} the definitions of the metrics by their names; undefined while they are awaited */
export function useMetrics() {
  const body = useKept("/v1/metrics");
  return useMemo(() => body && new Map(body.metrics.map((metric) => [metric.name, metric])), [body]);
}
