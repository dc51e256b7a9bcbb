// An HTTP recommender that learns from feedback, for trying recarena-bridge against a program of
// another language. It needs node alone.
//
//   node recommender.mjs [--api-key KEY] [--database NAME --token TOKEN]
//
// It listens on a free port of 127.0.0.1, says so on its first line, and ends with its stdin.
// One memory is behind three shapes: /v1 (its own, that of the mapping `generic`), /api (Gorse's)
// and /NAME (Recombee's, whose signatures it checks). /_state tells what it was told; /_faults
// takes a list of faults: {path: prefix, times, status, retry_after, delay_ms, text, after}. With
// `after` a request is obeyed first and then answered wrongly, as if its answer were lost.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    "api-key": { type: "string", default: "" },
    database: { type: "string", default: "" },
    token: { type: "string", default: "" },
  },
});

// ---------------------------------------------------------------- the memory
let items, users, likes, seen, events, keys, trained, resets, lists;

function forget() {
  items = new Map(); // id -> title
  users = new Set();
  likes = new Map(); // id -> number
  seen = new Map(); // user -> Set of ids
  events = []; // as they came, one after another
  keys = new Set(); // idempotency keys
  trained = 0;
  lists = 0;
}
forget();
resets = 0;
const requests = new Map(); // "METHOD /path" -> number
let faults = [];
let training = 0; // how many questions until it is done

function addItem(id, title) {
  items.set(id, title ?? id);
}

function learn(event) {
  const { user, item, good } = event;
  events.push(event);
  if (user === undefined || item === undefined) throw new Refused(400, "user and item are needed");
  if (!items.has(item)) addItem(item);
  if (!seen.has(user)) seen.set(user, new Set());
  if (event.kind === "shown") return;
  seen.get(user).add(item);
  if (good) likes.set(item, (likes.get(item) ?? 0) + 1);
}

// Most liked first; what a user has seen comes last.
function ranked(user) {
  const known = seen.get(user) ?? new Set();
  const order = [...items.keys()].map((id) => ({ id, score: likes.get(id) ?? 0 }));
  return order.sort(
    (a, b) => known.has(a.id) - known.has(b.id) || b.score - a.score || (a.id < b.id ? -1 : 1),
  );
}

function list(user, count) {
  lists += 1;
  const best = ranked(user).slice(0, count);
  return {
    request_id: `list-${lists}`,
    items: best.map((one) => ({ ...one, reason: `Liked ${one.score} times.` })),
  };
}

function matching(words, user, count) {
  const wanted = words.toLowerCase();
  const fits = (id) => items.get(id).toLowerCase().includes(wanted);
  return ranked(user).filter((one) => fits(one.id)).slice(0, count);
}

// ---------------------------------------------------------------- the shapes
class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

const own = {
  "POST /v1/recommendations": ({ body }) => list(body.user, body.n),
  "POST /v1/recommendations/batch": ({ body }) => ({
    // In another order than asked for: who is who is told by `user`.
    results: body.queries.map((one) => ({ user: one.user, ...list(one.user, one.n) })).reverse(),
  }),
  "GET /v1/search": ({ query }) => ({
    items: matching(query.get("q"), query.get("user"), Number(query.get("n"))),
  }),
  "POST /v1/events": ({ body }) => {
    for (const one of body.events ?? [body]) learn({ ...one, good: one.stars >= 4 });
    return undefined;
  },
  "POST /v1/items": ({ body }) => {
    for (const one of body) addItem(one.id, one.title);
    return { added: body.length };
  },
  "POST /v1/users": ({ body }) => {
    for (const one of body) users.add(one.id);
    return {};
  },
  "POST /v1/reset": () => {
    forget();
    resets += 1;
    return {};
  },
  "POST /v1/train": () => {
    trained += 1;
    training = 2;
    return {};
  },
  "GET /v1/status": () => ({ state: training-- > 0 ? "training" : "ready" }),
};

function gorse({ method, path, query, body, headers }) {
  if (options["api-key"] && headers["x-api-key"] !== options["api-key"]) {
    throw new Refused(401, "unauthorized");
  }
  const [, user] = /^\/api\/recommend\/([^/]+)$/.exec(path) ?? [];
  if (method === "GET" && user) {
    const known = seen.get(decodeURIComponent(user)) ?? new Set();
    const fresh = ranked(decodeURIComponent(user)).filter((one) => !known.has(one.id));
    const from = Number(query.get("offset") ?? 0);
    return fresh.slice(from, from + Number(query.get("n"))).map((one) => one.id);
  }
  if (path === "/api/feedback" && ["POST", "PUT"].includes(method)) {
    for (const one of body) {
      if (!one.FeedbackType || !one.UserId || !one.ItemId) throw new Refused(400, "bad feedback");
      learn({ ...one, user: one.UserId, item: one.ItemId, good: one.FeedbackType === "star" });
    }
    return { RowAffected: body.length };
  }
  if (method === "POST" && path === "/api/items") {
    for (const one of body) addItem(one.ItemId, one.Comment);
    return { RowAffected: body.length };
  }
  if (method === "POST" && path === "/api/users") {
    for (const one of body) users.add(one.UserId);
    return { RowAffected: body.length };
  }
  throw new Refused(404, "no such place");
}

function signed(target) {
  const [, unsigned, stamp, sign] = /^(.*[?&]hmac_timestamp=(\d+))&hmac_sign=(\w+)$/.exec(target) ?? [];
  if (!sign) return false;
  const right = createHmac("sha1", options.token).update(unsigned).digest("hex");
  const fresh = Math.abs(Date.now() / 1000 - Number(stamp)) <= 30;
  return fresh && right.length === sign.length && timingSafeEqual(Buffer.from(right), Buffer.from(sign));
}

function recombee(request) {
  if (!signed(request.target)) throw new Refused(401, "the signature is wrong");
  return recombeeCall(request.method, request.path.slice(options.database.length + 1), request.body);
}

function recombeeCall(method, path, body) {
  const [, where, user] = /^\/(recomms|search)\/users\/([^/]+)\/items\/$/.exec(path) ?? [];
  if (method === "POST" && where) {
    const name = decodeURIComponent(user);
    lists += 1;
    const found =
      where === "search"
        ? matching(body.searchQuery, name, body.count)
        : ranked(name).slice(0, body.count);
    return { recommId: `recomm-${lists}`, recomms: found.map(({ id }) => ({ id })) };
  }
  if (method === "POST" && (path === "/detailviews/" || path === "/ratings/")) {
    if (!body.userId || !body.itemId) throw new Refused(400, "userId and itemId are needed");
    const rating = path === "/ratings/" ? body.rating : undefined;
    if (path === "/ratings/" && !(rating >= -1 && rating <= 1)) throw new Refused(400, "rating");
    learn({ ...body, kind: path, user: body.userId, item: body.itemId, good: rating > 0 });
    return "ok";
  }
  const [, id] = /^\/items\/([^/]+)$/.exec(path) ?? [];
  if (method === "POST" && id) {
    addItem(id, body.title);
    return "ok";
  }
  if (method === "POST" && path === "/batch/") {
    return body.requests.map((one) => {
      try {
        return { code: 200, json: recombeeCall(one.method, one.path, one.params) };
      } catch (error) {
        return { code: error.status ?? 500, json: { message: error.message } };
      }
    });
  }
  throw new Refused(404, "no such place");
}

// ---------------------------------------------------------------- serving
function state() {
  return {
    requests: Object.fromEntries(requests),
    items: items.size,
    users: [...users],
    events,
    trained,
    resets,
  };
}

function answered(request) {
  const { method, path } = request;
  if (path === "/_state") return state();
  if (path === "/_faults") {
    faults = request.body;
    return {};
  }
  const key = request.headers["idempotency-key"];
  if (key !== undefined) {
    if (keys.has(key)) return undefined; // obeyed before
    keys.add(key);
  }
  if (path.startsWith("/api/")) return gorse(request);
  if (options.database && path.startsWith(`/${options.database}/`)) return recombee(request);
  const place = own[`${method} ${path}`];
  if (place === undefined) throw new Refused(404, "no such place");
  return place(request);
}

async function serve(incoming, response) {
  const parts = [];
  for await (const part of incoming) parts.push(part);
  const text = Buffer.concat(parts).toString();
  const url = new URL(incoming.url, "http://here");
  const path = url.pathname;
  if (!path.startsWith("/_")) {
    const name = `${incoming.method} ${path}`;
    requests.set(name, (requests.get(name) ?? 0) + 1);
  }
  const fault = faults.find((one) => one.times > 0 && path.startsWith(one.path));
  let status = 200;
  let answer;
  try {
    if (fault === undefined || fault.after) {
      answer = answered({
        method: incoming.method,
        target: incoming.url,
        path,
        query: url.searchParams,
        headers: incoming.headers,
        body: text ? JSON.parse(text) : undefined,
      });
    }
  } catch (error) {
    status = error.status ?? 400;
    answer = { message: error.message };
  }
  let payload = answer === undefined ? "" : JSON.stringify(answer);
  const headers = { "content-type": "application/json" };
  if (fault !== undefined) {
    fault.times -= 1;
    if (fault.delay_ms) await new Promise((done) => setTimeout(done, fault.delay_ms));
    if (fault.retry_after !== undefined) headers["retry-after"] = String(fault.retry_after);
    status = fault.status ?? 200;
    payload = fault.text ?? "{}";
    if (fault.text !== undefined) headers["content-type"] = "text/html";
  }
  response.writeHead(status, headers);
  response.end(payload);
}

const server = createServer((incoming, response) => {
  serve(incoming, response).catch((error) => {
    console.error(error);
    response.destroy();
  });
});
server.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ listening: server.address().port }));
});
process.stdin.resume().on("end", () => process.exit(0));
