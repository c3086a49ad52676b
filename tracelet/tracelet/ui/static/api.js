// The JSON API (docs/ui.md), and the stream of what is new.

import { parseExact } from "./exact_json.js";

const BASE = "/api/v1";

export class ApiError extends Error {}

/** The server does not answer. The page asks again until it does. */
export class LostError extends ApiError {}

/** Fetch JSON. `query` maps names to a value or a list of values. Throws ApiError with the server's reason. */
export async function get(path, query = {}, signal = undefined) {
  underWay += 1;
  try {
    return await read(await send(address(path, query), { signal }));
  } finally {
    underWay -= 1;
    lastAnswer = performance.now();
  }
}

let underWay = 0;
let lastAnswer = 0;

/** Wait until nothing has been asked for during so many milliseconds: for what takes the server long and can wait. */
export async function whenQuiet(milliseconds) {
  while (underWay || performance.now() - lastAnswer < milliseconds) await new Promise((go) => setTimeout(go, milliseconds / 3));
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
    const response = await fetch(url, { credentials: "same-origin", ...options });
    connection.note(false);
    return response;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    connection.note(true);
    throw new LostError("the server does not answer; is 'tracelet ui' still running?");
  }
}

const AGAIN = 1500; // ms between two attempts to reach a server that is gone
const LOOK = 4000; // ms between two looks at a server of which nothing was heard otherwise
const PATIENCE = 10000; // ms after which an answer is no longer waited for

/** Whether the server answers. A stream that is open shows it; without one, the page asks now and then. */
const connection = {
  isLost: false,
  open: 0, // streams
  listeners: new Set(),
  timer: 0,
  note(isLost) {
    if (isLost === this.isLost) return;
    this.isLost = isLost;
    for (const listener of this.listeners) listener(isLost);
    this.later();
  },
  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), this.isLost ? AGAIN : LOOK);
  },
  async look() {
    clearTimeout(this.timer);
    if (this.isLost || (!this.open && !document.hidden)) {
      try {
        await fetch(address("/"), { credentials: "same-origin", signal: AbortSignal.timeout(PATIENCE) });
        this.note(false);
      } catch {
        this.note(true);
      }
    }
    this.later();
  },
};

/** Call a function with true when the server is gone, and with false when it is back. */
export function watchConnection(listener) {
  connection.listeners.add(listener);
  connection.later();
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
 * Listen to what is new. `cursors` maps runs to names of metrics to cursors; `table` is null or returns the version of the
 * list of runs that is known; `on` maps events to functions.
 * Returns a function that ends it. After a lost connection the stream starts again from the newest cursors, and calls
 * `on.again`.
 */
export function follow({ cursors = {}, table = null, on }) {
  let source = null;
  let timer = 0;
  let ended = false;
  let isOpen = false;
  let wasOpen = false;
  const held = structuredClone(cursors);
  const note = (now) => {
    connection.open += now - isOpen;
    isOpen = now;
  };
  const open = () => {
    source = new EventSource(address("/live", { cursors: JSON.stringify(held), table: table ? 1 : "", version: table ? table() : "" }));
    for (const name of ["points", "run", "runs", "gone"]) {
      source.addEventListener(name, (event) => {
        const data = JSON.parse(event.data);
        if (name === "points") for (const one of data.series) held[data.run][one.name] = one.cursor;
        on[name]?.(data);
      });
    }
    source.onopen = () => {
      if (ended) return;
      note(true);
      connection.note(false);
      if (wasOpen) on.again?.();
      wasOpen = true;
    };
    source.onerror = () => {
      source.close();
      note(false);
      if (ended) return;
      connection.look();
      timer = setTimeout(open, AGAIN);
    };
  };
  open();
  return () => {
    ended = true;
    clearTimeout(timer);
    source.close();
    note(false);
  };
}
