// The frame of the page: navigation, the session, and the view of the address.
import { html, render } from "./vendor/preact.js";
import { address, href } from "./address.js";
import { isOnline } from "./api.js";
import { loadSession, session, signOut } from "./session.js";
import { texts } from "./texts.js";
import { choice } from "./theme.js";
import { Overview } from "./views/overview.js";
import { SignIn } from "./views/sign-in.js";

const VIEWS = { overview: Overview };

let firstProblem = null;

function Page() {
  if (session.value === undefined) return null;
  if (session.value === null) return html`<${SignIn} problem=${firstProblem} />`;
  const { view, id } = address.value;
  const View = VIEWS[view] ?? Overview;
  return html`
    <a class="skip" href="#content">${texts.skip}</a>
    <header class="bar">
      <strong>${texts.product}</strong>
      <nav aria-label="Views">
        ${Object.keys(VIEWS).map(
          (name) => html`<a data-view href=${href(name)} aria-current=${name === view ? "page" : undefined}>${texts.views[name]}</a>`,
        )}
      </nav>
      <span class="quiet">${texts.books(session.value.currency, session.value.timezone)}</span>
      <select aria-label=${texts.theme.label} value=${choice.value} onChange=${(event) => (choice.value = event.target.value)}>
        ${["system", "light", "dark"].map((name) => html`<option value=${name}>${texts.theme[name]}</option>`)}
      </select>
      <button class="link" onClick=${signOut}>${texts.signIn.signOut}</button>
    </header>
    ${!isOnline.value && html`<p class="offline" role="status">${texts.problem.offline}</p>`}
    <main id="content" tabindex="-1"><${View} session=${session.value} id=${id} /></main>
    <div id="tooltip" role="presentation" hidden></div>
  `;
}

loadSession()
  .catch((problem) => (firstProblem = problem))
  .finally(() => render(html`<${Page} />`, document.getElementById("page")));
