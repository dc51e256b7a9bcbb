/** The recommender that the script of conformance talks to; the README of the script says how. */

import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

import {
  Capability,
  type Catalog,
  ClientError,
  type ConverseWork,
  Evidence_Kind,
  ExplanationMode,
  type FeedbackBatch,
  type FeedbackColumns,
  type ItemColumns,
  type ListedItem,
  type RankBatch,
  type Ranked,
  type RankQuery,
  type Recommender,
  type Reply,
  type RunInfo,
  type SearchBatch,
  type SearchQuery,
  serve,
} from "@recarena/client";

const WANTED = new Set([ExplanationMode.TEXT, ExplanationMode.STRUCTURED]);
const FIRST_LONG_ROUND = 100;

const lines = createInterface({ input: process.stdin });

/** The next line of stdin. Whoever asked first is given it. */
function line(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    give();
  });
}

const waiting: (() => void)[] = [];
let unread = 0;
function give(): void {
  while (unread && waiting.length) {
    unread--;
    waiting.shift()!();
  }
}
lines.on("line", () => {
  unread++;
  give();
});

/** Throws where the catalogue is one to refuse. */
function refuse({ version }: Catalog): void {
  if (version === "unusable") {
    throw new Error("told to refuse");
  }
}

/** Lists by item number, and tells what it was told when it is talked to. */
class Conforming implements Recommender {
  static made = 0;
  static closed = 0;
  private readonly instance = ++Conforming.made;
  private readonly calls: string[] = [];
  private ids: readonly string[] = [];

  start({ runId, catalog }: RunInfo): void {
    this.ids = catalog.itemIds;
    this.calls.push(`start ${runId} ${catalog.version} ${catalog.size}`);
    refuse(catalog);
  }

  catalogChanged({ catalog }: RunInfo): void {
    this.ids = catalog.itemIds;
    this.calls.push(`catalogue ${catalog.version} ${catalog.size}`);
    refuse(catalog);
  }

  feedback({ round, cursor, interactions }: FeedbackBatch): void {
    this.calls.push(`feedback ${round} ${cursor} ${interactions.length}`);
  }

  feedbackColumns({ round, cursor, userNumbers }: FeedbackColumns): void {
    this.calls.push(`feedback ${round} ${cursor} ${userNumbers.length}`);
  }

  async ready(round: number): Promise<void> {
    if (round >= FIRST_LONG_ROUND) {
      await line();
    }
    this.calls.push(`ready ${round}`);
  }

  // ---------------------------------------------------------------------------- works
  rank(queries: readonly RankQuery[]): Ranked[] {
    return queries.map((query) => this.listed(query));
  }

  async search(queries: readonly SearchQuery[]): Promise<Ranked[]> {
    await obey(queries.map((query) => query.text));
    return queries.map((query) =>
      query.text === "nothing" ? { items: [] } : this.listed(query),
    );
  }

  rankColumns(batch: RankBatch): ItemColumns {
    return this.columns(batch, () => false);
  }

  async searchColumns(batch: SearchBatch): Promise<ItemColumns> {
    const { texts, textNumbers } = batch;
    await obey(texts);
    return this.columns(batch, (row) => texts[textNumbers[row]] === "nothing");
  }

  converse({ resultCount }: ConverseWork): Reply {
    const { instance, calls } = this;
    const text = JSON.stringify({ instance, closed: Conforming.closed, calls });
    return { text, items: this.ids.slice(0, resultCount), token: "talk" };
  }

  close(): void {
    Conforming.closed++;
  }

  // ---------------------------------------------------------------------------- lists
  /** Rank r of user u is item (u + r) mod size. */
  private listed(query: RankQuery | SearchQuery): Ranked {
    const user = query.user?.userNumber ?? 0;
    const excluded = new Set(query.candidates?.excludedItemIds);
    const page: ListedItem[] = [];
    const { length } = this.ids;
    let skip = query.offset;
    for (let rank = 0; rank < length && page.length < query.resultCount; rank++) {
      const id = this.ids[(user + rank) % length];
      if (!excluded.has(id) && skip-- <= 0) {
        page.push(WANTED.has(query.explanationMode) ? explained(id) : id);
      }
    }
    return { items: page, token: `user ${user}` };
  }

  private columns(
    { userNumbers, offsets, resultCount }: RankBatch | SearchBatch,
    nothing: (row: number) => boolean,
  ): ItemColumns {
    const { length } = this.ids;
    const itemNumbers = new Uint32Array(userNumbers.length * Math.min(resultCount, length));
    const listLengths = new Uint32Array(userNumbers.length);
    let at = 0;
    for (let row = 0; row < userNumbers.length; row++) {
      const first = offsets.length ? offsets[row] : 0;
      const end = nothing(row) ? 0 : Math.min(first + resultCount, length);
      for (let rank = first; rank < end; rank++) {
        itemNumbers[at++] = (userNumbers[row] + rank) % length;
      }
      listLengths[row] = Math.max(0, end - first);
    }
    return { itemNumbers: itemNumbers.subarray(0, at), listLengths };
  }
}

function explained(itemId: string): ListedItem {
  const evidence = [{ kind: Evidence_Kind.ITEM, reference: itemId }];
  return { itemId, explanation: { text: `because of ${itemId}`, evidence } };
}

/** Does what searches ask for. */
async function obey(texts: readonly string[]): Promise<void> {
  if (texts.includes("fail")) {
    throw new Error("told to fail");
  }
  if (texts.includes("wait")) {
    await line();
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      server: { type: "string" },
      token: { type: "string" },
      columnar: { type: "boolean", default: false },
    },
  });
  const offered = [Capability.SEARCH, Capability.CONVERSE, Capability.EXPLAIN];
  try {
    await serve(() => new Conforming(), "conformance", {
      server: values.server,
      token: values.token,
      capabilities: values.columnar ? [...offered, Capability.COLUMNAR] : offered,
    });
    return 0;
  } catch (error) {
    if (error instanceof ClientError) {
      process.stderr.write(`${error.message}\n`);
      return 1;
    }
    throw error;
  } finally {
    lines.close(); // or it would wait for lines for ever
    process.stdin.destroy();
  }
}

process.exitCode = await main();
