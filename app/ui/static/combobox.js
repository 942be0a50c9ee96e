// A text field that offers how it may go on: the pattern "combobox with list" of WAI-ARIA.
import { html, useEffect, useId, useRef, useState } from "./vendor/preact.js";
import { texts } from "./texts.js";

/** @typedef {{ text: string, hint?: string, value: string }} Offer value: the whole text of the field when it is chosen */

/** How many offers are shown. */
const MAX_OFFERS = 60;

/**
 * @param {object} props
 * @param {string} props.label
 * @param {string} props.value what the field shows while nobody types
 * @param {(text: string) => Offer[]} props.offersOf what is offered for the text before the cursor
 * @param {(value: string) => void} props.onCommit called with the text of an offer that was chosen or, with `isFree`, that was typed
 * @param {boolean} [props.isFree] whether other texts than the offered ones are allowed; then an offer only continues the text
 * @param {string} [props.placeholder]
 * @param {string} [props.kind] class of the field
 */
export function Combobox({ label, value, offersOf, onCommit, isFree = false, placeholder, kind }) {
  const id = useId();
  const field = useRef(/** @type {any} */ (null));
  const [text, setText] = useState(value);
  const [isOpen, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  useEffect(() => setText(value), [value]);
  const offers = isOpen ? offersOf(text).slice(0, MAX_OFFERS) : [];
  const close = () => {
    setOpen(false);
    setActive(-1);
  };
  const commit = (own) => {
    close();
    if (own !== value) onCommit(own);
  };
  const choose = (offer) => {
    setText(offer.value);
    if (!isFree) return commit(offer.value);
    setActive(-1);
    field.current.focus();
  };
  const leave = () => {
    if (isFree) commit(text.trim());
    else {
      close();
      setText(value);
    }
  };
  const press = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setOpen(true);
      setActive(offers.length ? (active + step + offers.length) % offers.length : -1);
    } else if (event.key === "Escape") {
      close();
      if (!isFree) setText(value);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (active >= 0) choose(offers[active]);
      else if (isFree) commit(text.trim());
      else if (offers.length) choose(offers[0]);
    }
  };
  useEffect(() => {
    if (active >= 0) document.getElementById(`${id}-${active}`)?.scrollIntoView({ block: "nearest" });
  }, [active]);
  const isShown = isOpen && offers.length > 0;
  return html`<div class="control combobox">
    <label for=${id}>${label}</label>
    <input id=${id} ref=${field} class=${kind} type="text" role="combobox" autocomplete="off" spellcheck=${false} placeholder=${placeholder}
      aria-expanded=${isShown} aria-controls=${isShown ? `${id}-list` : undefined} aria-autocomplete="list"
      aria-activedescendant=${active >= 0 && isShown ? `${id}-${active}` : undefined} value=${text}
      onInput=${(event) => {
        setText(event.target.value);
        setOpen(true);
        setActive(-1);
      }}
      onFocus=${(event) => {
        setOpen(true);
        if (!isFree) event.target.select();
      }}
      onBlur=${leave} onKeyDown=${press} />
    ${isShown &&
    html`<ul id=${`${id}-list`} class="offers" role="listbox" tabindex="-1" aria-label=${label}>
      ${offers.map(
        (offer, index) => html`<li key=${offer.value} id=${`${id}-${index}`} role="option" aria-selected=${index === active}
          onMouseDown=${(event) => {
            event.preventDefault();
            choose(offer);
          }}>
          <bdi>${offer.text}</bdi>${offer.hint && html` <small class="quiet"><bdi>${offer.hint}</bdi></small>`}
        </li>`,
      )}
    </ul>`}
    <span class="sr" role="status">${isOpen ? texts.controls.offers(offers.length) : ""}</span>
  </div>`;
}
