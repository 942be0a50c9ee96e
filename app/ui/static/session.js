// Who is signed in. Only the service can read the cookie; this knows what the service says of it.
import { signal } from "./vendor/preact.js";
import { Problem, sendJson } from "./api.js";

/** @type {import("./vendor/preact.js").Signal<any>} undefined: not known yet; null: nobody. */
export const session = signal(undefined);

/** Sign in with the code of the link, if the address has one, and find out who is signed in. */
export async function loadSession() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  // A code works once. It is no part of the address that somebody may share.
  if (code) history.replaceState(null, "", location.pathname + location.search);
  try {
    if (code) await sendJson("session", "POST", { code });
    session.value = await sendJson("session", "GET");
  } catch (error) {
    session.value = null;
    if (code || !(error instanceof Problem)) throw error;
  }
}

/** @param {string} key Raises Problem. */
export async function signIn(key) {
  await sendJson("session", "POST", { key });
  session.value = await sendJson("session", "GET");
}

export async function signOut() {
  await sendJson("session", "DELETE");
  session.value = null;
}
