// All accounts with their health: searched, sorted and narrowed; further pages come while somebody scrolls.
import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { address, change, href, queryOf } from "../address.js";
import { useAnswers } from "../answers.js";
import { Card, ProblemText } from "../card.js";
import { AsOfControl, Controls, FilterControl, optionsOf, SearchControl, SegmentControl, Select } from "../controls.js";
import { formatAmount, formatDay, formatNumber } from "../format.js";
import { AccountLink, Band, Change, reasonOf } from "../health.js";
import { texts } from "../texts.js";

const PAGE = 100;
const words = texts.accounts;

/** The request of the first page. */
function usePath() {
  const { q, order, band, segment, filter, accounts, as_of } = address.value.params;
  return `/v1/health${queryOf({ q, order, band, segment, filter, accounts, as_of, include: "change,activity", limit: PAGE })}`;
}

export function View({ session }) {
  const path = usePath();
  const answer = useAnswers([path])(path);
  return html`
    <${Controls}>
      <${SearchControl} name="q" label=${words.search} placeholder=${words.searchExample} />
      <${Select} name="order" label=${words.order} options=${optionsOf(words.orders)} fallback="score" />
      <${Select} name="band" label=${words.band} options=${optionsOf(words.bands)} />
      <${Select} name="accounts" label=${words.which} options=${optionsOf(words.whiches)} fallback="customers" />
      <${SegmentControl} /><${FilterControl} /><${AsOfControl} />
    <//>
    <${Card} path=${path} answer=${answer} title=${words.title} lead=${words.lead}>
      ${(body) => html`<${Bands} bands=${body.bands} session=${session} /><${Accounts} key=${path} path=${path} body=${body} session=${session} />`}
    <//>
  `;
}

/** How many accounts each band has, and their MRR. Each narrows the list to it. */
function Bands({ bands, session }) {
  const current = address.value.params.band;
  return html`<ul class="bands" aria-label=${words.bandsLabel}>
    ${bands.map((own) => {
      const name = own.band ?? "none";
      return html`<li key=${name}>
        <a data-view href=${href("accounts", { ...address.value.params, band: current === name ? null : name })} aria-current=${current === name ? "true" : undefined}>
          <${Band} band=${own.band} />
        </a>
        <span class="number"><strong>${formatNumber(own.accounts)}</strong> <span class="quiet">${formatAmount(own.mrr, session.currency)}</span></span>
      </li>`;
    })}
  </ul>`;
}

/** The columns that can be sorted by, with the order that a click asks for first. */
const COLUMNS = [
  { name: "name", first: "name" },
  { name: "score", first: "score", isNumber: true },
  { name: "score_change", first: "score_change", isNumber: true },
  { name: "mrr", first: "-mrr", isNumber: true },
  { name: "mrr_change", first: "mrr_change", isNumber: true },
  { name: "active_users", isNumber: true },
  { name: "last_active_on" },
  { name: "reason" },
];

function Accounts({ path, body, session }) {
  const [cursors, setCursors] = useState(/** @type {string[]} */ ([]));
  const [next, setNext] = useState(body.next);
  const { as_of } = address.value.params;
  const more = () => {
    if (!next) return;
    setCursors([...cursors, next]);
    setNext(null);
  };
  // Pages that are there already are not compared again when another one comes.
  const first = useMemo(() => html`<${Rows} accounts=${body.accounts} session=${session} asOf=${as_of} />`, [body]);
  const pages = useRef(/** @type {Map<string, any>} */ (new Map()));
  const page = (cursor) => {
    if (!pages.current.has(cursor))
      pages.current.set(cursor, html`<${NextRows} key=${cursor} path=${path + "&cursor=" + encodeURIComponent(cursor)} session=${session} asOf=${as_of} onNext=${setNext} />`);
    return pages.current.get(cursor);
  };
  if (!body.accounts.length) return html`<p class="quiet">${words.none}</p>`;
  return html`<div class="scroll whole" tabindex="0" role="region" aria-label=${words.title}>
      <table class="accounts">
        <caption class="sr">${words.title}</caption>
        <thead><tr>${COLUMNS.map((column) => html`<${Heading} key=${column.name} ...${column} />`)}</tr></thead>
        ${first} ${cursors.map(page)}
      </table>
    </div>
    ${next && html`<${More} key=${next} onMore=${more} />`}`;
}

function Heading({ name, first, isNumber }) {
  const order = address.value.params.order ?? "score";
  const isSorted = first && order.replace("-", "") === name;
  const kind = isNumber ? "number" : undefined;
  if (!first) return html`<th scope="col" class=${kind}>${words.columns[name]}</th>`;
  const other = order.startsWith("-") ? name : `-${name}`;
  const sort = () => change({ order: isSorted ? (other === "score" ? null : other) : first === "score" ? null : first });
  return html`<th scope="col" class=${kind} aria-sort=${isSorted ? (order.startsWith("-") ? "descending" : "ascending") : undefined}>
    <button type="button" class="link" onClick=${sort}>${words.columns[name]}${isSorted && html`<span aria-hidden="true"> ${order.startsWith("-") ? "↓" : "↑"}</span>`}</button>
  </th>`;
}

/** A page that is asked for when it is reached. */
function NextRows({ path, session, asOf, onNext }) {
  const answer = useAnswers([path])(path);
  const body = answer.body;
  useEffect(() => {
    if (body) onNext(body.next);
  }, [body]);
  if (answer.problem) return html`<tbody><tr><td colspan=${COLUMNS.length}><${ProblemText} problem=${answer.problem} retry=${answer.retry} /></td></tr></tbody>`;
  if (!body) return html`<tbody aria-busy="true"><tr><td class="quiet" colspan=${COLUMNS.length}>${texts.card.loading}</td></tr></tbody>`;
  return html`<${Rows} accounts=${body.accounts} session=${session} asOf=${asOf} />`;
}

function Rows({ accounts, session, asOf }) {
  const { currency } = session;
  return html`<tbody>
    ${accounts.map(
      (own) => html`<tr key=${own.account}>
        <th scope="row"><${AccountLink} id=${own.account} name=${own.name} params=${{ as_of: asOf }} />${own.name && html`<br /><small class="quiet"><bdi>${own.account}</bdi></small>`}</th>
        <td class="number">${own.score === null ? "" : formatNumber(Math.round(own.score))} <${Band} band=${own.band} /></td>
        <td class="number"><${Change} value=${own.score_change} unit="count" currency=${currency} /></td>
        <td class="number">${formatAmount(own.mrr, currency)}</td>
        <td class="number"><${Change} value=${Number(own.mrr_change)} unit="money" currency=${currency} /></td>
        <td class="number">${formatNumber(own.active_users)}</td>
        <td>${formatDay(own.last_active_on)}</td>
        <td class="reason"><bdi>${reasonOf(own, currency)}</bdi></td>
      </tr>`,
    )}
  </tbody>`;
}

/** The next page: it comes when somebody scrolls to here, or asks for it. */
function More({ onMore }) {
  const element = useRef(/** @type {any} */ (null));
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => entries.some((own) => own.isIntersecting) && onMore(), { rootMargin: "600px" });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return html`<p ref=${element}><button type="button" onClick=${onMore}>${words.more}</button></p>`;
}
