import type { Answer, ItemColumns, Reply } from "./answers.js";
import type { Catalog } from "./catalog.js";
import type { FeedbackColumns, RankBatch, SearchBatch } from "./columns.js";
import type { FeedbackBatch } from "./gen/recarena/v1/feedback_pb.js";
import type { ConverseWork, RankQuery, SearchQuery } from "./gen/recarena/v1/work_pb.js";

/** The run that a recommender serves, from `start` to `close`. */
export interface RunInfo {
  readonly runId: string;
  /** Grows when the run is reset. */
  readonly epoch: number;
  readonly catalog: Catalog;
  /** User numbers are below it. */
  readonly userCount: number;
  /** Items on a page, which is the usual `resultCount`. */
  readonly pageSize: number;
  /** Rounds the run is planned for; 0: open-ended. */
  readonly roundLimit: number;
  /** Arms of the run that this recommender serves. */
  readonly armIds: readonly string[];
  /** True: rankColumns, searchColumns and feedbackColumns are called, not their namesakes. */
  readonly columnar: boolean;
  /** Milliseconds that one work may take, unless it says otherwise; 0: the server did not say. */
  readonly workTimeoutMs: number;
}

/** Every method may return at once or give a promise. */
export type Maybe<T> = T | Promise<T>;

/**
 * Implement it, with `rank` (or `rankColumns`) and what else you need, and `serve` it.
 *
 * One instance serves one run. `rank`, `search` and `converse`, where they give promises, may be
 * under way together; `start`, `feedback`, `ready` and `catalogChanged` never run beside anything
 * else. Each may compute for as long as it likes without awaiting: heartbeats are answered in a
 * thread of their own.
 *
 * An error in `rank`, `search` or `converse` costs that one answer. An error in `start`,
 * `feedback`, `ready` or `catalogChanged` ends `serve`, for the model would not be what it is taken
 * for.
 *
 * The `signal` of a work is aborted when the server withdraws it, its time is over, or the session
 * is lost: what is returned then is thrown away.
 */
export interface Recommender {
  /** Called first, once, with the catalogue loaded. No error: the catalogue is accepted. */
  start?(run: RunInfo): Maybe<void>;
  /** One list per query, in the order of the queries, each of `resultCount` items. */
  rank?(queries: readonly RankQuery[], signal: AbortSignal): Maybe<readonly Answer[]>;
  /** One list per search; an empty one where nothing is found. Having it offers SEARCH. */
  search?(queries: readonly SearchQuery[], signal: AbortSignal): Maybe<readonly Answer[]>;
  /** The next turn of a conversation. Having it offers CONVERSE. */
  converse?(work: ConverseWork, signal: AbortSignal): Maybe<Reply>;
  /** Each batch once, in order; round 0 is what is known before the run. */
  feedback?(batch: FeedbackBatch): Maybe<void>;
  /** Called when a round opens, with all feedback before it delivered: train here. */
  ready?(round: number): Maybe<void>;
  /** The lists of `batch.userNumbers`. Having it offers COLUMNAR. */
  rankColumns?(batch: RankBatch, signal: AbortSignal): Maybe<ItemColumns>;
  /** The lists of a SearchBatch, where the session is columnar. */
  searchColumns?(batch: SearchBatch, signal: AbortSignal): Maybe<ItemColumns>;
  /** Called in place of `feedback` where the session is columnar. */
  feedbackColumns?(batch: FeedbackColumns): Maybe<void>;
  /**
   * Called between rounds when items came or went, before `ready`. `run.catalog` has them. Items
   * keep their numbers: new ones stand at the end, and those that were withdrawn are not in
   * `run.catalog.availableIds`.
   */
  catalogChanged?(run: RunInfo): Maybe<void>;
  /** Called last: the run is over, was lost to another instance, or the program ends. */
  close?(): Maybe<void>;
}

/** What reports call a recommender: its class. */
export function nameOf(recommender: Recommender): string {
  return recommender.constructor?.name || "recommender";
}
