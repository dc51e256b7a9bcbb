import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import {
  BadCredentials, BadOption, Capability, Fenced, type Recommender, RecommenderFailed, Refused,
  serve, tls, Unreachable,
} from "../src/index.js";
import { oneLine, refusal } from "../src/errors.js";
import { features, type Offer } from "../src/offer.js";
import { backoffMs } from "../src/serving.js";

const quiet = { log: () => {} };
const ranks: Recommender = { rank: () => [] };
const offer: Offer = {
  recommenderId: "r", encoding: "auto", softwareVersion: "", maxUsersPerWork: 0,
  maxOutstandingWork: 0, capabilities: undefined,
};

/** A port on which nobody listens. */
async function nowhere(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  assert(address && typeof address === "object");
  return `127.0.0.1:${address.port}`;
}

test("pauses double from a tenth of a second to five, with jitter", () => {
  for (const [attempt, longest] of [[0, 100], [1, 200], [5, 3_200], [6, 5_000], [2_000, 5_000]]) {
    const pauses = Array.from({ length: 200 }, () => backoffMs(attempt));
    assert(Math.min(...pauses) >= longest / 2 && Math.max(...pauses) <= longest);
    assert(new Set(pauses).size > 1);
  }
});

test("five statuses are final, each with an error of its own, and the others are not", () => {
  const kinds = Array.from({ length: 17 }, (_, code) => refusal({ code, details: "no\nway" }));
  const names = kinds.map((kind, code) => kind && `${code} ${kind.name}`).filter(Boolean);
  assert.deepEqual(names, [
    "3 InvalidRegister", "7 NotPermitted", "9 PreconditionFailed", "10 Fenced",
    "16 NotAuthenticated",
  ]);
  assert(kinds[10] instanceof Fenced && kinds[10] instanceof Refused);
  assert.equal(kinds[10].message, "the server refused: no way (ABORTED)");
});

test("a line has no control characters and no more than its limit", () => {
  assert.equal(oneLine("\x1b[31mred\n\u2028next\u202e line"), "[31mred next line");
  assert.equal(Array.from(oneLine("🎬".repeat(400))).length, 300);
});

test("who is not there within retryFor seconds is told with address and cause", async () => {
  const server = await nowhere();
  await assert.rejects(serve(() => ranks, "r", { ...quiet, server, retryFor: 0 }), (error) => {
    assert(error instanceof Unreachable);
    assert(error.message.startsWith(`no session at ${server} (unencrypted): `), error.message);
    assert.match(error.message, /ECONNREFUSED.*\(UNAVAILABLE\)/);
    return true;
  });
});

test("an abort ends serve in good order while no server is there", async () => {
  const closed: string[] = [];
  const leaving = new AbortController();
  const log = () => leaving.abort(); // at the first line: there is no server
  const server = await nowhere();
  const factory = () => ({ ...ranks, close: () => void closed.push("closed") });
  await serve(factory, "r", { server, log, signal: leaving.signal });
  assert.deepEqual(closed, ["closed"]);
});

test("options that cannot be meant are told before anything is dialled", async () => {
  const given = (options: object, own: Recommender = ranks) =>
    serve(() => own, "r", { ...quiet, ...options });
  await assert.rejects(given({ server: "nonsense" }), /server: "nonsense": HOST:PORT is needed/);
  await assert.rejects(given({ server: "host:99999" }), BadOption);
  await assert.rejects(given({ sessions: 0 }), /sessions: 0/);
  await assert.rejects(given({ encoding: "odd" }), /auto, rich or columnar/);
  await assert.rejects(given({ retryFor: NaN }), /retryFor: NaN/);
  await assert.rejects(given({ token: "rct_1\n" }), /token: it has a space, a line break/);
  await assert.rejects(given({}, {}), /no rank, and for columnar no rankColumns/);
  await assert.rejects(given({ encoding: "columnar" }), /has no rankColumns/);
});

test("a factory that throws ends serve with its error as the cause", async () => {
  const cause = new Error("no model");
  const factory = () => {
    throw cause;
  };
  await assert.rejects(serve(factory, "r", quiet), (error) => {
    assert(error instanceof RecommenderFailed);
    assert.deepEqual([error.message, error.cause], ["the factory threw Error: no model", cause]);
    return true;
  });
});

test("the methods tell what is offered, and capabilities replace it", () => {
  const told = (own: Recommender, more: Partial<Offer> = {}) =>
    [...features({ ...offer, ...more }, own)].sort();
  const columns = { itemNumbers: [] };
  const { RANK, SEARCH, CONVERSE, COLUMNAR, EXPLAIN } = Capability;
  assert.deepEqual(told(ranks), [RANK]);
  assert.deepEqual(told({ ...ranks, search: () => [], converse: () => ({ text: "" }) }),
    [RANK, SEARCH, CONVERSE]);
  const both = { ...ranks, rankColumns: () => columns };
  assert.deepEqual(told(both), [RANK, COLUMNAR]);
  assert.deepEqual(told(both, { encoding: "rich" }), [RANK]);
  assert.deepEqual(told({ ...both, feedback: () => {} }), [RANK]); // it would miss feedback
  assert.deepEqual(told(ranks, { capabilities: [EXPLAIN] }), [RANK, EXPLAIN]);
});

test("files for TLS that cannot be used are named with what to do", () => {
  const folder = mkdtempSync(join(tmpdir(), "recarena-"));
  const odd = join(folder, "odd.pem");
  writeFileSync(odd, "this is no certificate");
  const refused = (files: Parameters<typeof tls>[0], text: RegExp) =>
    assert.throws(() => tls(files), (error) =>
      error instanceof BadCredentials && text.test(error.message));
  refused({ ca: join(folder, "missing.pem") }, /missing.pem cannot be read: no such file/);
  refused({ ca: odd }, /odd.pem holds no certificate in PEM form: openssl/);
  refused({ certificate: odd }, /the key is missing/);
  refused({ key: odd }, /the certificate is missing/);
  refused({ certificate: odd, key: odd }, /no certificate and its key/);
  assert.deepEqual(tls(), {});
});
