// Sign in with a key.
import { html, useState } from "../vendor/preact.js";
import { ProblemText } from "../card.js";
import { signIn } from "../session.js";
import { texts } from "../texts.js";

export function SignIn({ problem: before }) {
  const [problem, setProblem] = useState(before);
  const [isBusy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await signIn(String(new FormData(event.target).get("key")).trim());
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  return html`<main id="content" class="sign-in">
    <form class="card" onSubmit=${submit}>
      <h1>${texts.signIn.title}</h1>
      <p class="lead">${texts.signIn.lead}</p>
      <label>${texts.signIn.key} <input name="key" type="password" autocomplete="current-password" required autofocus /></label>
      ${problem && html`<${ProblemText} problem=${problem} />`}
      <button disabled=${isBusy}>${texts.signIn.submit}</button>
      <p class="quiet">${texts.signIn.hint}</p>
    </form>
  </main>`;
}
