// The state of the view is in the address: whoever opens the same address sees the same view.

const listeners = new Set();

let parsed = { search: null, query: null }; // of the address as it is: hundreds of charts ask for their options

export function current() {
  if (parsed.search !== location.search) parsed = { search: location.search, query: new URLSearchParams(location.search) };
  return { path: location.pathname, query: parsed.query };
}

/** One value of the address, with a default. */
export function param(name, fallback = "") {
  return current().query.get(name) ?? fallback;
}

export function params(name) {
  return current().query.getAll(name);
}

/** Change values of the address without a new entry in the history. null removes one. */
export function setParams(changes, { push = false } = {}) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    query.delete(name);
    if (value === null || value === undefined || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, one);
  }
  const text = query.toString();
  history[push ? "pushState" : "replaceState"](null, "", location.pathname + (text ? `?${text}` : ""));
  noteTable();
}

/** Keep the address of the table, if it is shown, for the way back to it. */
export function noteTable() {
  if (location.pathname === "/") keep("table", location.search);
}

/** The table of runs as it was last seen: filter, order, groups, columns and selection, but for a run that is gone. */
export function runsAddress(gone = null) {
  const query = new URLSearchParams(kept("table", ""));
  const chosen = query.getAll("run").filter((id) => id !== gone);
  query.delete("run");
  for (const id of chosen) query.append("run", id);
  const text = query.toString();
  return text ? `/?${text}` : "/";
}

/** Go to another view. */
export function go(path) {
  history.pushState(null, "", path);
  for (const listener of listeners) listener();
}

export function onNavigate(listener) {
  listeners.add(listener);
  addEventListener("popstate", listener);
}

/** Let plain clicks on links of this page change the view without loading it again. */
export function catchLinks() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const to = new URL(link.href);
    const isFile = to.pathname.startsWith("/api/") || to.pathname.startsWith("/static/");
    if (to.origin !== location.origin || link.target || link.hasAttribute("download") || isFile) return;
    if (to.hash && to.pathname === location.pathname) return;
    event.preventDefault();
    go(to.pathname + to.search);
  });
}

const STORE = "tracelet.ui.";

/** What a person prefers in this browser (theme, columns, saved views). */
export function recall(name, fallback) {
  return read("localStorage", name, fallback);
}

export function remember(name, value) {
  write("localStorage", name, value);
}

/** What holds for this tab, also when it is loaded again. */
export function kept(name, fallback) {
  return read("sessionStorage", name, fallback);
}

export function keep(name, value) {
  write("sessionStorage", name, value);
}

function read(storage, name, fallback) {
  try {
    return JSON.parse(window[storage].getItem(STORE + name)) ?? fallback;
  } catch {
    return fallback;
  }
}

function write(storage, name, value) {
  try {
    window[storage].setItem(STORE + name, JSON.stringify(value));
  } catch {
    // Private windows may have no storage; the address still has the view.
  }
}
