// Requests to the service. The cookie of the session goes with each of them.
import { signal } from "./vendor/preact.js";

/** Whether the last request reached the service. */
export const isOnline = signal(true);

/** Whether a request has taken so long that its progress is shown. */
export const isWaiting = signal(false);

/** An error that the service has answered, with the members of its problem+json. */
export class Problem extends Error {
  /** @param {number} status @param {any} body */
  constructor(status, body) {
    super((body && body.detail) || `Status ${status}`);
    this.status = status;
    this.code = body && body.code;
    this.requestId = body && body.request_id;
    /** @type {{ pointer: string, code: string, detail: string }[]} */
    this.errors = (body && body.errors) || [];
  }
}

/** @param {string} path @param {RequestInit} [options] @returns {Promise<Response>} Raises Problem. */
export async function send(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (!options.signal?.aborted) isOnline.value = false;
    throw error;
  }
  isOnline.value = true;
  if (!response.ok) throw new Problem(response.status, await response.json().catch(() => null));
  return response;
}

/** @param {string} path @param {string} method @param {any} [body] @returns {Promise<any>} */
export async function sendJson(path, method, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await send(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  return response.status === 204 ? null : response.json();
}

/**
 * Ask several questions in one request.
 * @param {string[]} paths those of GET requests, such as `/v1/scorecard`
 * @param {(path: string, answer: { body?: any, problem?: Problem }) => void} onAnswer called for each answer when it has come
 * @param {AbortSignal} abort
 */
export async function askAll(paths, onAnswer, abort) {
  const headers = { "Content-Type": "application/json" };
  const relative = { paths };
  const response = await send("answers", { method: "POST", headers, body: JSON.stringify(relative), signal: abort });
  const stream = /** @type {ReadableStream<BufferSource>} */ (response.body);
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const { number, status, body } = JSON.parse(line);
      onAnswer(paths[number], status < 400 ? { body } : { problem: new Problem(status, body) });
    }
  }
}
