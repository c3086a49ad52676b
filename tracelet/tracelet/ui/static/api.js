// The JSON API (docs/ui.md), and the stream of what is new.

import { parseExact } from "./exact_json.js";

const BASE = "/api/v1";

export class ApiError extends Error {}

/** Fetch JSON. `query` maps names to a value or a list of values. Throws ApiError with the server's reason. */
export async function get(path, query = {}, signal = undefined) {
  return read(await send(address(path, query), { signal }));
}

/** Change something. Throws ApiError with the server's reason. */
export async function post(path, data) {
  const headers = { "content-type": "application/json" };
  return read(await send(address(path), { method: "POST", headers, body: JSON.stringify(data) }));
}

export function address(path, query = {}) {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) words.append(name, one);
  }
  const text = words.toString();
  return BASE + path + (text ? `?${text}` : "");
}

async function send(url, options) {
  try {
    return await fetch(url, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("the server does not answer; is 'tracelet ui' still running?");
  }
}

async function read(response) {
  const type = response.headers.get("content-type") || "";
  if (!type.startsWith("application/json")) throw new ApiError((await response.text()).trim() || response.statusText);
  const isSeries = new URL(response.url).pathname === `${BASE}/series`; // charts draw doubles
  const data = isSeries ? await response.json() : parseExact(await response.text());
  if (!response.ok) throw new ApiError(data.error || response.statusText);
  return data;
}

/**
 * Listen to what is new. `cursors` maps runs to names of metrics to cursors; `on` maps events to functions.
 * Returns a function that ends it. After a lost connection the stream starts again from the newest cursors.
 */
export function follow({ cursors = {}, table = false, on }) {
  let source = null;
  let timer = 0;
  let ended = false;
  const held = structuredClone(cursors);
  const open = () => {
    source = new EventSource(address("/live", { cursors: JSON.stringify(held), table: table ? 1 : "" }));
    for (const name of ["points", "run", "runs", "gone"]) {
      source.addEventListener(name, (event) => {
        const data = JSON.parse(event.data);
        if (name === "points") for (const one of data.series) held[data.run][one.name] = one.cursor;
        on[name]?.(data);
      });
    }
    source.onerror = () => {
      source.close();
      if (!ended) timer = setTimeout(open, 1500);
    };
  };
  open();
  return () => {
    ended = true;
    clearTimeout(timer);
    source.close();
  };
}
