// The one place that talks to the observatory's server, or to a bundle's data in its stead.

const known = new Map(); // path -> {etag, value}: answers that the server may say "unchanged" of
const KEPT = 200;

/** What the server refused or could not do, in its own words. */
export class ApiError extends Error {
  /** @param {number} status @param {{message?: string, field?: string, remedy?: string, code?: string}} said */
  constructor(status, said) {
    super(said.message || `The server answered ${status}.`);
    this.status = status;
    this.field = said.field || "";
    this.remedy = said.remedy || "";
    this.code = said.code || "";
  }
  /** Message and remedy as one text. */
  get text() {
    return this.remedy ? `${this.message} ${this.remedy}` : this.message;
  }
}

/** Whether the page is a bundle: replay alone, no server. */
export const inBundle = () => Boolean(window.RECARENA_BUNDLE);

async function refusal(response) {
  let said = {};
  try {
    said = (await response.json()).error ?? {};
  } catch (_) {
    said = response.status === 401
      ? { message: "This page is not signed in.", remedy: "Open the address that `recarena observatory` printed." }
      : {};
  }
  return new ApiError(response.status, said);
}

const unreachable = () => new ApiError(0, {
  message: "The observatory cannot be reached.",
  remedy: "See whether `recarena observatory` is still running.", code: "UNAVAILABLE",
});

/**
 * Reads a path of API.md. Throws ApiError.
 * @param {string} path such as "/api/runs" @param {{signal?: AbortSignal}} [options]
 */
export async function get(path, options = {}) {
  if (inBundle()) {
    const value = await bundled(path);
    if (value === undefined) throw new ApiError(404, { message: "The bundle does not hold this.", code: "NOT_FOUND" });
    return value;
  }
  const before = known.get(path);
  let response;
  try {
    response = await fetch(path, {
      signal: options.signal, credentials: "same-origin",
      headers: before ? { "If-None-Match": before.etag } : {},
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unreachable();
  }
  if (response.status === 304 && before) return before.value;
  if (!response.ok) throw await refusal(response);
  const value = await response.json();
  const etag = response.headers.get("ETag");
  if (etag) {
    if (known.size >= KEPT) known.delete(known.keys().next().value);
    known.set(path, { etag, value });
  }
  return value;
}

/** Data of a bundle; a script file is asked for where the path's data comes in a file of its own. */
async function bundled(path) {
  const data = (window.RECARENA_DATA ??= {});
  const bare = path.split("?")[0];
  if (path in data) return data[path];
  const file = data.files?.[path] ?? data.files?.[bare];
  if (file && !data[path] && !data[bare]) {
    await new Promise((done) => {
      const script = document.createElement("script");
      script.src = file;
      script.onload = script.onerror = done;
      document.head.append(script);
    });
  }
  return data[path] ?? data[bare];
}

/** POSTs a body. Throws ApiError. @param {string} path @param {object} body */
export async function post(path, body) {
  if (inBundle()) throw new ApiError(403, { message: "A bundle shows a run; it cannot change one." });
  let response;
  try {
    response = await fetch(path, {
      method: "POST", credentials: "same-origin", body: JSON.stringify(body),
      headers: { "Content-Type": "application/json", "X-RecArena": "1" },
    });
  } catch (_) {
    throw unreachable();
  }
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/** A new idempotency key. */
export function newKey() {
  return crypto.randomUUID
    ? crypto.randomUUID()
    : "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (c) =>
      (c ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (c / 4)))).toString(16));
}

/** Path of a run's API. @param {string} run @param {string} [rest] */
export const runPath = (run, rest = "") => `/api/runs/${encodeURIComponent(run)}${rest ? `/${rest}` : ""}`;

/** Whether the observatory says that it does not know this browser; false where it says nothing. */
async function isStranger() {
  try {
    await get("/api/me");
  } catch (error) {
    return error.status === 401;
  }
  return false;
}

/**
 * The live socket of a run. It comes back by itself, waiting from 0.25 s to 8 s, and asks for what it missed.
 * @param {string} run
 * @param {{resume: () => {epoch: number, since: number, play: string}, message: (m: object) => void,
 *   state: (s: "connecting"|"live"|"offline") => void, stranger: (is: boolean) => void}} on `stranger`: after a refusal
 * @returns {{close: () => void, again: () => void}} `again` opens a new one with what `resume` says now
 */
export function live(run, on) {
  let socket = null, timer = 0, pinging = 0, wait = 250, closed = false, heard = 0;
  const open = () => {
    if (closed) return;
    on.state("connecting");
    const { epoch, since, play } = on.resume();
    const query = new URLSearchParams({ epoch: String(epoch), since: String(since), ...(play ? { play } : {}) });
    const mine = (socket = new WebSocket(
      `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${runPath(run, "live")}?${query}`));
    let opened = false;
    mine.onopen = () => {
      opened = true;
      heard = Date.now();
      clearInterval(pinging);
      pinging = setInterval(() => {
        if (Date.now() - heard > 40000) return mine.close();
        if (mine.readyState === WebSocket.OPEN) mine.send('{"type":"ping"}');
      }, 15000);
    };
    mine.onmessage = (event) => {
      if (mine !== socket) return;
      heard = Date.now();
      wait = 250;
      on.state("live");
      on.message(JSON.parse(event.data));
    };
    mine.onclose = () => {
      if (mine !== socket || closed) return;
      clearInterval(pinging);
      on.state("offline");
      // A browser does not tell why a socket was refused.
      if (!opened) isStranger().then((is) => { if (!closed) on.stranger(is); });
      timer = setTimeout(open, wait * (0.8 + 0.4 * Math.random()));
      wait = Math.min(8000, wait * 2);
    };
  };
  const back = () => {
    if (closed || !socket || socket.readyState <= WebSocket.OPEN) return;
    clearTimeout(timer);
    wait = 250;
    open();
  };
  window.addEventListener("online", back);
  open();
  return {
    close() {
      closed = true;
      clearTimeout(timer);
      clearInterval(pinging);
      window.removeEventListener("online", back);
      socket?.close();
    },
    again() {
      clearTimeout(timer);
      const old = socket;
      socket = null;
      old?.close();
      open();
    },
  };
}
