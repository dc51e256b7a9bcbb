/**
 * What people who watched the same also watched: a complete recommender that learns from feedback.
 *
 *     node clients/typescript/dist/examples/co-occurrence.js --server 127.0.0.1:7788
 *
 * The same recommender stands in Python, Go and Java beside the other SDKs. They do the same
 * arithmetic in the same order, so that all four give the same lists to the same users:
 *
 * - An item counts as watched when it was viewed, liked, disliked, rated or shared; once for a
 *   user.
 * - pairs(i, j) is how many users watched both, counted when the later of the two is watched, and
 *   only against the 100 items that the user watched last before it.
 * - score(user, j) = the sum, over the 50 items i that the user watched last, in the order in which
 *   they were watched, of pairs(i, j) / sqrt(watches(i) * watches(j)).
 * - Items that the user has not watched come first; then the higher score, the more watches, the
 *   earlier place in the catalogue.
 * - Items that were withdrawn are in no list; those that are new are in all of them.
 * - A search finds items whose titles have words of the query: more of them first, then more
 *   watches, then the earlier place.
 * - An explanation names the watched item that adds most to the score; of equals, the one watched
 *   first. Where nothing adds, there is none.
 */

import { parseArgs } from "node:util";

import {
  Capability,
  ClientError,
  Evidence_Kind,
  ExplanationMode,
  type FeedbackBatch,
  Interaction_Type,
  type Item,
  type ListedItem,
  type RankQuery,
  type Recommender,
  type RunInfo,
  type SearchQuery,
  serve,
  tls,
} from "@recarena/client";

const WATCHED = new Set([
  Interaction_Type.VIEW_ITEM, Interaction_Type.LIKE, Interaction_Type.DISLIKE,
  Interaction_Type.RATE, Interaction_Type.SHARE,
]);
const PAIRED = 100;
const SCORED = 50;
const EXPLAINED = new Set([ExplanationMode.TEXT, ExplanationMode.STRUCTURED]);
const METHOD = "co-occurrence-template";

/** Runs of ASCII letters and digits, in lower case. */
function words(text: string): Set<string> {
  return new Set(text.toLowerCase().match(/[a-z0-9]+/g));
}

/** Counts pairs as feedback comes; ranks and searches with the counts. */
class CoOccurrence implements Recommender {
  private items: readonly Item[] = [];
  private numberOf: ReadonlyMap<string, number> = new Map();
  private available: number[] = [];
  private titles: Set<string>[] = [];
  private watches: number[] = [];
  private pairs: Map<number, number>[] = [];
  /** By user; in the order in which they were watched. */
  private readonly watched = new Map<string, Set<number>>();
  /** By user; forgotten when feedback comes. */
  private readonly orders = new Map<string, number[]>();
  /** All that was watched, in order. */
  private past: { userId: string; itemId: string }[] = [];

  start(run: RunInfo): void {
    this.items = run.catalog.items;
    this.numberOf = run.catalog.numberOf;
    this.available = run.catalog.availableIds.map((id) => run.catalog.numberOf.get(id)!);
    this.titles = this.items.map((item) => words(item.title));
    this.watches = this.items.map(() => 0);
    this.pairs = this.items.map(() => new Map());
    this.watched.clear();
    this.orders.clear();
    this.past = [];
  }

  /** Everything is counted anew, with the items that there are now. */
  catalogChanged(run: RunInfo): void {
    const past = this.past;
    this.start(run);
    for (const { userId, itemId } of past) {
      this.watch(userId, itemId);
    }
  }

  feedback(batch: FeedbackBatch): void {
    this.orders.clear();
    for (const { userId, itemId, type } of batch.interactions) {
      if (WATCHED.has(type)) {
        this.watch(userId, itemId);
      }
    }
  }

  private watch(userId: string, itemId: string): void {
    this.past.push({ userId, itemId });
    const item = this.numberOf.get(itemId);
    const watched = this.watchedBy(userId);
    if (item === undefined || watched.has(item)) {
      return;
    }
    for (const other of [...watched].slice(-PAIRED)) {
      this.count(item, other);
      this.count(other, item);
    }
    watched.add(item);
    this.watches[item]++;
  }

  private watchedBy(userId: string): Set<number> {
    let watched = this.watched.get(userId);
    if (!watched) {
      this.watched.set(userId, (watched = new Set()));
    }
    return watched;
  }

  private count(one: number, other: number): void {
    this.pairs[one].set(other, (this.pairs[one].get(other) ?? 0) + 1);
  }

  // ---------------------------------------------------------------------------- lists
  rank(queries: readonly RankQuery[]): ListedItem[][] {
    return queries.map((query) => this.page(query, this.order(query.user?.userId ?? "")));
  }

  search(queries: readonly SearchQuery[]): ListedItem[][] {
    return queries.map((query) => this.page(query, this.found(words(query.text))));
  }

  private page(query: RankQuery | SearchQuery, order: number[]): ListedItem[] {
    const excluded = new Set(query.candidates?.excludedItemIds);
    const fresh = order.filter((item) => !excluded.has(this.items[item].itemId));
    const page = fresh.slice(query.offset, query.offset + query.resultCount);
    if (!EXPLAINED.has(query.explanationMode)) {
      return page.map((item) => this.items[item].itemId);
    }
    return page.map((item) => this.explained(query.user?.userId ?? "", item));
  }

  /** All that may be shown, best first; worked out once until feedback comes again. */
  private order(userId: string): number[] {
    let order = this.orders.get(userId);
    if (!order) {
      const watched = this.watchedBy(userId);
      const scores = this.scores(userId);
      order = [...this.available].sort(
        (a, b) =>
          Number(watched.has(a)) - Number(watched.has(b)) ||
          scores[b] - scores[a] ||
          this.watches[b] - this.watches[a] ||
          a - b,
      );
      this.orders.set(userId, order);
    }
    return order;
  }

  private scores(userId: string): Float64Array {
    const scores = new Float64Array(this.items.length);
    for (const one of this.recent(userId)) {
      for (const [item, pairs] of this.pairs[one]) {
        scores[item] += this.adds(one, item, pairs);
      }
    }
    return scores;
  }

  private adds(one: number, item: number, pairs: number): number {
    return pairs / Math.sqrt(this.watches[one] * this.watches[item]);
  }

  private recent(userId: string): number[] {
    return [...this.watchedBy(userId)].slice(-SCORED);
  }

  private found(wanted: Set<string>): number[] {
    const hits = this.titles.map((title) => [...wanted].filter((word) => title.has(word)).length);
    return this.available
      .filter((item) => hits[item] > 0)
      .sort((a, b) => hits[b] - hits[a] || this.watches[b] - this.watches[a] || a - b);
  }

  // ---------------------------------------------------------------------------- reasons
  private explained(userId: string, item: number): ListedItem {
    const { itemId } = this.items[item];
    let because: Item | undefined;
    let most = 0;
    for (const one of this.recent(userId)) {
      const pairs = this.pairs[one].get(item);
      const adds = pairs ? this.adds(one, item, pairs) : 0;
      if (adds > most) {
        because = this.items[one];
        most = adds;
      }
    }
    if (!because) {
      return itemId;
    }
    const evidence = [{ kind: Evidence_Kind.ITEM, reference: because.itemId }];
    const text = `Because you watched ${because.title}.`;
    return { itemId, explanation: { text, locale: "en", evidence, method: METHOD } };
  }
}

const USAGE = `usage: co-occurrence [OPTION...]

  --server HOST:PORT   where RecArena listens (127.0.0.1:7788)
  --id NAME            the name that arms ask for (co-occurrence)
  --retry-for SECONDS  give up after so long without a session (never)
  --tls                encrypt, and trust the authorities that Node trusts
  --tls-ca FILE        encrypt, and trust this authority
  --tls-cert FILE      with a certificate to show
  --tls-key FILE       and its key

A token is taken from the environment variable RECARENA_TOKEN.
`;

async function main(): Promise<number> {
  try {
    const { values } = parseArgs({
      options: {
        server: { type: "string", default: "127.0.0.1:7788" },
        id: { type: "string", default: "co-occurrence" },
        "retry-for": { type: "string" },
        tls: { type: "boolean", default: false },
        "tls-ca": { type: "string" },
        "tls-cert": { type: "string" },
        "tls-key": { type: "string" },
        help: { type: "boolean" },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      return 0;
    }
    const patience = values["retry-for"];
    const files = {
      ca: values["tls-ca"], certificate: values["tls-cert"], key: values["tls-key"],
    };
    const encrypted = values.tls || Object.values(files).some((file) => file !== undefined);
    await serve(() => new CoOccurrence(), values.id, {
      server: values.server,
      credentials: encrypted ? tls(files) : undefined,
      token: process.env.RECARENA_TOKEN || undefined,
      capabilities: [Capability.RANK, Capability.SEARCH, Capability.EXPLAIN],
      retryFor: patience === undefined ? undefined : Number(patience),
    });
    return 0;
  } catch (error) {
    if (error instanceof ClientError) {
      process.stderr.write(`${error.message}\n`);
      return 1;
    }
    if (error instanceof TypeError && "code" in error) { // of parseArgs
      process.stderr.write(`${error.message.split("\n")[0]} (--help lists the options)\n`);
      return 2;
    }
    throw error;
  }
}

process.exitCode = await main();
