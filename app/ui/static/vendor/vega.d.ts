// The types of vega.js for `make types`, as far as they matter here; browsers do not get this.
export class View {
  constructor(runtime: unknown, options: Record<string, unknown>);
  runAsync(): Promise<View>;
  finalize(): View;
}
export function parse(spec: unknown, config: unknown, options: { ast: boolean }): unknown;
export function compile(spec: unknown): { spec: unknown };
export const expressionInterpreter: unknown;
