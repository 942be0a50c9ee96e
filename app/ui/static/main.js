// The frame of the page: navigation, the session, and the view of the address.
import { html, render, useEffect, useErrorBoundary, useRef } from "./vendor/preact.js";
import { address, href } from "./address.js";
import { isOnline, isWaiting } from "./api.js";
import { ProblemText } from "./card.js";
import { loadSession, session, signOut } from "./session.js";
import { texts } from "./texts.js";
import { choice } from "./theme.js";
import { loadModule, useModule } from "./views.js";
import { SignIn } from "./views/sign-in.js";

// The views in the order of the navigation. Each module is loaded when its view is opened, and exports `View`.
const VIEWS = {
  overview: () => import("./views/overview.js"),
  explore: () => import("./views/explore.js"),
  retention: () => import("./views/retention.js"),
  accounts: () => import("./views/accounts.js"),
  voice: () => import("./views/voice.js"),
  scorecard: () => import("./views/scorecard.js"),
  "health-model": () => import("./views/health-model.js"),
};

// The views of one thing, whose id is the second part of the address. They are no entries of the navigation.
const DETAILS = {
  accounts: () => import("./views/account.js"),
};

/** @param {string} name of a view @param {string | null} id */
const moduleOf = (name, id) => (id !== null && DETAILS[name]) || VIEWS[name] || VIEWS.overview;

/** @type {any} */
let firstProblem = null;

function Page() {
  if (session.value === undefined) return null;
  if (session.value === null) return html`<${SignIn} problem=${firstProblem} />`;
  const { view, id } = address.value;
  const name = view in VIEWS ? view : "overview";
  return html`
    <a class="skip" href="#content" onClick=${skip}>${texts.skip}</a>
    <header class="bar">
      <div class="progress" role="progressbar" aria-label=${texts.card.loading} hidden=${!isWaiting.value}></div>
      <strong>${texts.product}</strong>
      <nav aria-label=${texts.navigation}>
        ${Object.keys(VIEWS).map(
          (own) => html`<a data-view href=${href(own)} aria-current=${own === name ? "page" : undefined}>${texts.views[own]}</a>`,
        )}
      </nav>
      <span class="quiet">${texts.books(session.value.currency, session.value.timezone)}</span>
      <select aria-label=${texts.theme.label} value=${choice.value} onChange=${(event) => (choice.value = event.target.value)}>
        ${["system", "light", "dark"].map((own) => html`<option value=${own}>${texts.theme[own]}</option>`)}
      </select>
      <button class="link" onClick=${signOut}>${texts.signIn.signOut}</button>
    </header>
    ${!isOnline.value && html`<p class="offline" role="status">${texts.problem.offline}</p>`}
    <${Content} key=${`${name}/${id ?? ""}`} name=${name} id=${id} />
    <div id="tooltip" role="presentation" hidden></div>
  `;
}

/** Go on in the content. The address of the link is relative to the base of the page, which is another view. */
function skip(event) {
  event.preventDefault();
  document.getElementById("content")?.focus();
}

/** The view of the address. The keyboard and screen readers go on here when the reader has followed a link to it. */
function Content({ name, id }) {
  const main = useRef(null);
  const isDetail = id !== null && name in DETAILS;
  const module = useModule(moduleOf(name, id));
  const [fault] = useErrorBoundary((error) => console.error(error));
  useEffect(() => {
    document.title = `${id ?? texts.views[name]} · ${texts.product}`;
    if (hasNavigated) main.current.focus({ preventScroll: true });
    hasNavigated = true;
  }, []);
  const problem = fault ?? module.problem;
  return html`<main id="content" tabindex="-1" ref=${main} aria-busy=${!module.View && !problem}>
    ${isDetail || html`<h1 class="sr">${texts.views[name]}</h1>`}
    ${problem ? html`<${ProblemText} problem=${problem} />` : module.View && html`<${module.View} session=${session.value} id=${id} />`}
  </main>`;
}

let hasNavigated = false;

// Both take a moment. What fails here fails again when the view is shown, which says so.
loadModule(moduleOf(address.value.view, address.value.id)).catch(() => {});
loadSession()
  .catch((problem) => (firstProblem = problem))
  .finally(() => render(html`<${Page} />`, /** @type {HTMLElement} */ (document.getElementById("page"))));
