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
      const { spec: runtime } = compile(fit(spec, Math.floor(element.clientWidth)));
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
      // The keyboard scrolls what is wider than its card.
      if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
      else element.removeAttribute("tabindex");
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

/** Below which width, in pixels, a chart is scrolled instead of drawn narrower; by the chart. */
const LEAST = { retention_triangle: 520 };
/** Below this width, in pixels, the entries of a legend stand below each other. */
const NARROW = 480;
/** What the labels of the y axis take beside each of several plots, in pixels. */
const AXIS = 90;

/** Return a specification of a width, without the title, which the heading of the card has. */
function fit({ title, ...spec }, available) {
  const width = Math.max(LEAST[spec.usermeta?.chart] ?? 240, available);
  const config = { ...spec.config, legend: { ...spec.config?.legend, labelLimit: width - AXIS } };
  const own = { ...(width < NARROW ? stackLegends(spec) : spec), config };
  if (own.vconcat) return { ...own, vconcat: own.vconcat.map((plot) => ({ ...plot, width: width - AXIS })) };
  return { ...own, width };
}

/** @param {any} part of a specification @returns {any} the same with all legends in one column */
function stackLegends(part) {
  if (Array.isArray(part)) return part.map(stackLegends);
  if (part === null || typeof part !== "object") return part;
  const own = Object.entries(part).map(([name, value]) => [name, name === "values" ? value : stackLegends(value)]);
  return { ...Object.fromEntries(own), ...("columns" in part && "orient" in part && { columns: 1 }) };
}

/** Let the picture itself say what it shows. Vega says it of the box around it, which screen readers pass over. */
function describe(element, description) {
  for (const name of ["role", "aria-label", "aria-roledescription"]) element.removeAttribute(name);
  const picture = /** @type {SVGElement} */ (element.querySelector("svg"));
  picture.setAttribute("role", "graphics-document document");
  picture.setAttribute("aria-roledescription", "chart");
  picture.setAttribute("aria-label", description);
  // Vega gives a role to every group of marks, also to those of which it has nothing to say.
  for (const part of picture.querySelectorAll("[aria-roledescription]:not([aria-label])")) {
    part.removeAttribute("role");
    part.removeAttribute("aria-roledescription");
  }
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
