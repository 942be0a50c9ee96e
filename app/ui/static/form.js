// Forms that store something: fields with their labels, and what the service finds wrong beside them.
import { html, useEffect, useId, useRef, useState } from "./vendor/preact.js";
import { revision } from "./answers.js";
import { ProblemText } from "./card.js";
import { session } from "./session.js";
import { texts } from "./texts.js";

/** @typedef {{ pointer: string, code: string, detail: string }} Fault */

/** @returns {boolean} whether the session may change things */
export const isAdmin = () => session.value.scopes.includes("admin");

/** Why there is no form for who may only read. @param {{ what: string }} props */
export function NoAdmin({ what }) {
  return html`<p class="quiet">${texts.form.noAdmin(what)}</p>`;
}

/** @param {any} problem @param {string} name the pointer of a field without its first slash @returns {Fault[]} those of the field and of what is in it */
export function faultsOf(problem, name) {
  return (problem?.errors ?? []).filter(({ pointer }) => pointer === `/${name}` || pointer.startsWith(`/${name}/`));
}

/**
 * A field with its label, a hint, and its faults.
 * @param {object} props
 * @param {string} props.label
 * @param {string} props.name the pointer of the field in the body, without its first slash
 * @param {any} [props.problem] what the service has answered to the form
 * @param {string} [props.hint]
 * @param {(attributes: any) => any} props.children makes the control from the attributes that tie it to the rest
 */
export function Field({ label, name, problem, hint, children }) {
  const id = useId();
  const faults = faultsOf(problem, name);
  const described = [hint && `${id}-hint`, faults.length && `${id}-fault`].filter(Boolean).join(" ");
  const attributes = { id, name, "aria-describedby": described || undefined, "aria-invalid": faults.length ? "true" : undefined };
  return html`<div class="control field">
    <label for=${id}>${label}</label>
    ${children(attributes)}
    ${hint && html`<small id=${`${id}-hint`} class="quiet">${hint}</small>`}
    ${faults.length > 0 && html`<small id=${`${id}-fault`} class="bad">✗ ${faults.map((fault) => fault.detail).join(" ")}</small>`}
  </div>`;
}

/**
 * A form that shows what it would change before it can be stored.
 * @param {object} props
 * @param {string} props.title
 * @param {string[]} props.names the pointers of its fields, without their first slashes; other faults are shown above them
 * @param {any} props.body what would be sent; when it changes, what was shown is no longer true
 * @param {() => Promise<any>} props.preview @param {() => Promise<any>} props.store @param {() => void} props.cancel
 * @param {(result: any) => any} props.result shows a preview
 * @param {(result: any) => boolean} [props.canStore] whether the preview would store anything
 * @param {(problem: any) => any} props.children makes the fields from the last problem
 */
export function PreviewedForm({ title, names, body, preview, store, cancel, result, canStore = () => true, children }) {
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [shown, setShown] = useState(/** @type {{ of: string, answer: any } | null} */ (null));
  const [isBusy, setBusy] = useState(false);
  const form = useRef(/** @type {any} */ (null));
  const heading = useRef(/** @type {any} */ (null));
  const titleId = useId();
  const key = JSON.stringify(body);
  const current = shown?.of === key ? shown.answer : null;
  useEffect(() => heading.current.focus(), []);
  useEffect(() => {
    if (!problem) return;
    const first = form.current.querySelector("[aria-invalid=true]");
    first?.closest("details")?.setAttribute("open", "");
    (first ?? form.current.querySelector(".problem"))?.focus();
  }, [problem]);
  const attempt = async (act) => {
    setBusy(true);
    setProblem(null);
    try {
      return await act();
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  const submit = (event) => {
    event.preventDefault();
    attempt(async () => setShown({ of: key, answer: await preview() }));
  };
  const save = () =>
    attempt(async () => {
      await store();
      revision.value++;
    });
  const others = problem && unplaced(problem, names);
  return html`<section class="card panel">
    <form ref=${form} aria-labelledby=${titleId} onSubmit=${submit} noValidate>
      <h2 id=${titleId} tabindex="-1" ref=${heading}>${title}</h2>
      ${others && html`<div class="problem" tabindex="-1"><${ProblemText} problem=${others} /></div>`}
      ${children(problem)}
      <p class="buttons">
        <button class=${current ? undefined : "primary"} disabled=${isBusy}>${texts.form.preview}</button>
        <button type="button" onClick=${cancel}>${texts.form.cancel}</button>
      </p>
      <div role="status">${current && result(current)}</div>
      ${current && canStore(current) && html`<p class="buttons"><button type="button" class="primary" disabled=${isBusy} onClick=${save}>${texts.form.store}</button></p>`}
    </form>
  </section>`;
}

/** @param {any} problem @param {string[]} names @returns {any} the problem with the faults that no field shows; null if the fields show them all */
function unplaced(problem, names) {
  const rest = problem.errors?.filter((fault) => !names.some((name) => faultsOf({ errors: [fault] }, name).length)) ?? [];
  return problem.errors?.length && !rest.length ? null : { ...problem, status: problem.status, message: problem.message, errors: rest };
}
