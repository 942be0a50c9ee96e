// Draw the Vega-Lite specification that the service has answered: no `eval`, no network, as SVG, which screen readers can read.
import { html, useEffect, useRef } from "./vendor/preact.js";

/** @type {Promise<any> | undefined} */
let library;
const loadLibrary = () => (library ??= import("./vendor/vega.js"));

const noLoader = { load: () => Promise.reject(new Error("off")), sanitize: () => Promise.reject(new Error("off")) };

/**
 * @param {object} props
 * @param {any} props.spec
 * @param {(datum: any) => void} [props.onPoint] called with the datum of a mark that was clicked
 */
export function Chart({ spec, onPoint }) {
  const box = useRef(null);
  const click = useRef(onPoint);
  click.current = onPoint;
  useEffect(() => {
    const element = box.current;
    let view;
    let isGone = false;
    const draw = async () => {
      const { View, parse, compile, expressionInterpreter } = await loadLibrary();
      if (isGone) return;
      // The heading of the card has the title.
      const { title, ...own } = spec;
      const width = Math.max(240, Math.floor(element.clientWidth));
      const { spec: runtime } = compile({ ...own, width });
      view?.finalize();
      view = new View(parse(runtime, null, { ast: true }), {
        renderer: "svg",
        loader: noLoader,
        expr: expressionInterpreter,
        container: element,
        hover: true,
        tooltip: showTooltip,
        logLevel: 1,
      });
      view.addEventListener("click", (_event, item) => item?.datum && click.current?.(item.datum));
      await view.runAsync();
      if (isGone) return;
      describe(element, spec.description);
    };
    draw();
    let width = element.clientWidth;
    const observer = new ResizeObserver(() => {
      if (Math.abs(element.clientWidth - width) < 8) return;
      width = element.clientWidth;
      draw();
    });
    observer.observe(element);
    return () => {
      isGone = true;
      observer.disconnect();
      view?.finalize();
    };
  }, [spec]);
  return html`<div class=${onPoint ? "chart clickable" : "chart"} ref=${box}></div>`;
}

/** Let the picture itself say what it shows. Vega says it of the box around it, which screen readers pass over. */
function describe(element, description) {
  for (const name of ["role", "aria-label", "aria-roledescription"]) element.removeAttribute(name);
  const picture = /** @type {SVGElement} */ (element.querySelector("svg"));
  picture.setAttribute("role", "graphics-document document");
  picture.setAttribute("aria-roledescription", "chart");
  picture.setAttribute("aria-label", description);
}

/** Show what Vega says of a mark beside the pointer, as text. */
function showTooltip(_handler, event, _item, value) {
  const box = document.getElementById("tooltip");
  // Who signs out while a chart is drawn leaves no box.
  if (!box) return;
  if (value === null || value === undefined || value === "") {
    box.hidden = true;
    return;
  }
  box.textContent = typeof value === "object" ? Object.entries(value).map(([name, own]) => `${name}: ${own}`).join("\n") : String(value);
  box.hidden = false;
  box.style.left = `${Math.min(event.clientX + 12, innerWidth - box.offsetWidth - 8)}px`;
  box.style.top = `${Math.min(event.clientY + 12, innerHeight - box.offsetHeight - 8)}px`;
}
