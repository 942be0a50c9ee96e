// The modules of the views, each loaded once.
import { useEffect, useState } from "./vendor/preact.js";

/** @type {Map<any, Promise<any>>} */
const loading = new Map();

/** Begin to load a module. @param {() => Promise<{ View: any }>} load @returns {Promise<{ View: any }>} */
export function loadModule(load) {
  const promise = loading.get(load) ?? load();
  loading.set(load, promise);
  return promise;
}

/**
 * @param {() => Promise<{ View: any }>} load
 * @returns {{ View?: any, problem?: Error }} empty while the module is loaded
 */
export function useModule(load) {
  const [module, setModule] = useState(/** @type {any} */ ({}));
  useEffect(() => {
    loadModule(load).then(setModule, (problem) => {
      loading.delete(load);
      setModule({ problem });
    });
  }, [load]);
  return module;
}
