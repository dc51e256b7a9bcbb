/** The works of a session: set going, answered, withdrawn. */

import type { Duration } from "@bufbuild/protobuf/wkt";

import { converseResult, rankBatchResult, rankResult, requestBytes } from "./answers.js";
import { call, type Engagement } from "./engagement.js";
import { described, INTERNAL, oneLine, RecommenderFailed, WrongAnswer } from "./errors.js";
import type { Work } from "./incoming.js";
import type { Log } from "./log.js";
import type { Recommender } from "./recommender.js";
import { turn } from "./time.js";

const DEFAULT_MESSAGE_BYTES = 4 * 2 ** 20;
/** Characters of WorkFailed.status.message that the server keeps. */
const REASON_CHARS = 500;
/** Longest time that a timer of Node takes; what is longer is left to the server. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A work that has arrived. */
export class Asked {
  readonly workId: string;
  readonly #withdrawn = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #due: number;

  constructor(
    readonly work: Work,
    readonly seq: bigint,
  ) {
    const header = work.value.header;
    this.workId = header?.workId ?? "";
    const ms = milliseconds(header?.timeout);
    this.#due = ms ? performance.now() + ms : Infinity;
    if (ms && ms <= LONGEST_TIMER_MS) {
      this.#timer = setTimeout(() => this.withdraw(), ms);
    }
  }

  /** Aborted when no answer is wanted any more. */
  get signal(): AbortSignal {
    return this.#withdrawn.signal;
  }

  /** Whether an answer is still wanted, by the clock too: timers wait for whoever computes. */
  get wanted(): boolean {
    return !this.signal.aborted && performance.now() < this.#due;
  }

  withdraw(): void {
    this.over();
    this.#withdrawn.abort();
  }

  over(): void {
    clearTimeout(this.#timer);
  }
}

/** Sets works going, at most `atOnce` of them, and sends what they come to. */
export class Works {
  /** Largest message that may be sent. */
  maxBytes = DEFAULT_MESSAGE_BYTES;
  readonly #send: (payload: Uint8Array) => void;
  readonly #log: Log;
  readonly #asked = new Map<string, Asked>();
  #free: number;
  /** Whoever waits for a place, first come first served. */
  readonly #waiting: (() => void)[] = [];
  /** Sequence numbers of the works under way, lowest first. */
  readonly #open = new Set<bigint>();
  #dispatched = 0n;
  /** Errors whose stack was logged. */
  readonly #told = new Set<string>();

  constructor(send: (payload: Uint8Array) => void, atOnce: number, log: Log) {
    this.#send = send;
    this.#free = atOnce;
    this.#log = log;
  }

  /** ConnectRequest.ack_seq: everything up to it is handled. */
  get acknowledged(): bigint {
    for (const first of this.#open) {
      return first ? first - 1n : first;
    }
    return this.#dispatched;
  }

  /** Notes a work that will be begun in its turn, so that it can be withdrawn before. */
  arrived(work: Work, seq: bigint): Asked {
    const asked = new Asked(work, seq);
    this.#asked.set(asked.workId, asked);
    return asked;
  }

  /** Withdraws a work: it is not begun, or its answer is not sent. */
  cancel(workId: string): void {
    this.#asked.get(workId)?.withdraw();
    this.#asked.delete(workId);
  }

  cancelAll(): void {
    for (const workId of [...this.#asked.keys()]) {
      this.cancel(workId);
    }
  }

  /** Notes that everything up to a message that is no work was dispatched. */
  handled(seq: bigint): void {
    this.#dispatched = seq;
  }

  /** Sets a work going as soon as fewer than `atOnce` are; one that was withdrawn is left. */
  async begin(asked: Asked, engagement: Engagement): Promise<void> {
    if (!this.#free) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#free--;
    }
    await turn(); // it may be withdrawn by a message that waits while others compute
    this.#dispatched = asked.seq;
    if (!asked.wanted) {
      this.#release();
      return;
    }
    this.#open.add(asked.seq);
    engagement.began(this.#answer(asked, engagement.recommender));
  }

  async #answer(asked: Asked, recommender: Recommender): Promise<void> {
    const { workId } = asked;
    try {
      const payload = await this.#payload(asked, recommender);
      await turn(); // see to what came while it was computed: it may be withdrawn
      if (asked.wanted) {
        this.#send(payload);
      }
    } catch (error) {
      const reason = this.#tell(error, asked);
      if (asked.wanted) {
        const status = { code: INTERNAL, message: oneLine(reason, REASON_CHARS) };
        this.#send(
          requestBytes({ case: "workFailed", value: { workId, status } }, this.acknowledged),
        );
      }
    } finally {
      asked.over();
      if (this.#asked.get(workId) === asked) {
        this.#asked.delete(workId);
      }
      this.#open.delete(asked.seq);
      this.#release();
    }
  }

  async #payload(asked: Asked, recommender: Recommender): Promise<Uint8Array> {
    const payload = await this.#answered(asked, recommender);
    if (payload.length > this.maxBytes) {
      throw new WrongAnswer(
        `the answer has ${payload.length} bytes, ${this.maxBytes} are allowed:` +
          " take fewer users in one work (maxUsersPerWork)",
      );
    }
    return payload;
  }

  async #answered({ work, workId, signal }: Asked, own: Recommender): Promise<Uint8Array> {
    const ask = <A extends unknown[], T>(
      method: keyof Recommender, of: ((...given: A) => T | Promise<T>) | undefined, ...given: A
    ): Promise<T> =>
      call(method, () => {
        if (!of) {
          throw new Error(`the recommender has no ${method}`);
        }
        return of.apply(own, given);
      });
    switch (work.case) {
      case "rankWork": {
        const { queries } = work.value;
        const lists = await ask("rank", own.rank, queries, signal);
        return rankResult(workId, "rank", lists, queries.length, this.acknowledged);
      }
      case "searchWork": {
        const { queries } = work.value;
        const lists = await ask("search", own.search, queries, signal);
        return rankResult(workId, "search", lists, queries.length, this.acknowledged);
      }
      case "rankBatch": {
        const { userNumbers, resultCount } = work.value;
        const columns = await ask("rankColumns", own.rankColumns, work.value, signal);
        return rankBatchResult(
          workId, "rankColumns", columns, userNumbers.length, resultCount, this.acknowledged,
        );
      }
      case "searchBatch": {
        const { userNumbers, resultCount } = work.value;
        const columns = await ask("searchColumns", own.searchColumns, work.value, signal);
        return rankBatchResult(
          workId, "searchColumns", columns, userNumbers.length, resultCount, this.acknowledged,
        );
      }
      case "converseWork": {
        const reply = await ask("converse", own.converse, work.value, signal);
        return converseResult(workId, "converse", reply, this.acknowledged);
      }
    }
  }

  /** Logs why a work failed, with the stack the first time; the reason for the server. */
  #tell(error: unknown, { workId, wanted }: Asked): string {
    if (!(error instanceof RecommenderFailed)) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#log(`work ${oneLine(workId)}: ${reason}`);
      return reason;
    }
    // What threw because it was told to stop is nobody's concern.
    if (wanted) {
      const kind = `${error.method} ${error.cause instanceof Error ? error.cause.name : ""}`;
      this.#log(error.message, this.#told.has(kind) ? undefined : error.cause);
      this.#told.add(kind);
    }
    return described(error.cause);
  }

  #release(): void {
    const next = this.#waiting.shift();
    if (next) {
      next();
    } else {
      this.#free++;
    }
  }
}

/** Milliseconds of a duration; 0 where there is none. */
export function milliseconds(duration: Duration | undefined): number {
  return duration ? Number(duration.seconds) * 1000 + duration.nanos / 1e6 : 0;
}
