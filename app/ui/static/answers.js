// The answers that a view shows: asked for in one request when the view appears, and again when its address changes.
import { signal, useEffect, useMemo } from "./vendor/preact.js";
import { askAll, Problem } from "./api.js";
import { session } from "./session.js";

/** How long a request may take before its progress is shown, in milliseconds. */
const PATIENCE = 300;

/**
 * @param {string[]} paths
 * @returns {(path: string) => { body?: any, problem?: Error, isSlow: boolean }} what there is for a path; empty while it is awaited
 */
export function useAnswers(paths) {
  const key = paths.join("\n");
  const answers = useMemo(() => signal(new Map()), []);
  const isSlow = useMemo(() => signal(false), []);
  useEffect(() => {
    const abort = new AbortController();
    const timer = setTimeout(() => (isSlow.value = true), PATIENCE);
    const keep = (path, answer) => (answers.value = new Map(answers.value).set(path, answer));
    askAll(paths, keep, abort.signal)
      .catch((problem) => {
        if (abort.signal.aborted) return;
        if (problem instanceof Problem && problem.status === 401) session.value = null;
        for (const path of paths) if (!answers.value.has(path)) keep(path, { problem });
      })
      .finally(() => clearTimeout(timer));
    return () => abort.abort();
  }, [key]);
  return (path) => ({ isSlow: isSlow.value, ...answers.value.get(path) });
}
