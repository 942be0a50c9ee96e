// The types of preact.js for `make types`; browsers do not get this.
import { h } from "preact";

export { Fragment, h, render } from "preact";
export { useEffect, useErrorBoundary, useId, useLayoutEffect, useMemo, useState } from "preact/hooks";
export { batch, computed, effect, signal, Signal, untracked, useComputed, useSignal } from "@preact/signals";
/** A ref of an element has it whenever effects and events run. */
export function useRef(initial?: any): { current: any };
export const html: (strings: TemplateStringsArray, ...values: unknown[]) => ReturnType<typeof h>;
