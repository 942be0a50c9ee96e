// The module static/vendor/vega.js: what draws a Vega-Lite specification without `eval`. It is loaded when a chart is shown.
export { View, parse } from "vega";
export { compile } from "vega-lite";
export { expressionInterpreter } from "vega-interpreter";
