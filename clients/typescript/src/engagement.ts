import type { FeedbackColumns } from "./columns.js";
import { RecommenderFailed } from "./errors.js";
import type { FeedbackBatch } from "./gen/recarena/v1/feedback_pb.js";
import type { Log } from "./log.js";
import { nameOf, type Recommender, type RunInfo } from "./recommender.js";
import { within } from "./time.js";

/** One recommender instance in one run. It outlives the sessions that the run is served in. */
export class Engagement {
  readonly recommender: Recommender;
  /** Undefined until start was called: the instance is as good as new. */
  run: RunInfo | undefined;
  /** The session that the run was last served in. */
  sessionId = "";
  /** Of the last feedback that the recommender was given. */
  cursor = "";
  readonly #log: Log;
  readonly #cursors = new Set<string>();
  /** The round for which `ready` was last called, undefined when there was feedback since. */
  #readyFor: number | undefined;
  readonly #works = new Set<Promise<void>>();
  /** The last of the calls that run alone; it begins when those before it are over. */
  #alone: Promise<void> = Promise.resolve();

  constructor(recommender: Recommender, log: Log) {
    this.recommender = recommender;
    this.#log = log;
  }

  /**
   * Gives a new instance its run.
   *
   * @throws RecommenderFailed `start` threw, as in every method here that calls the recommender.
   */
  start(run: RunInfo): Promise<void> {
    this.run = run;
    return this.#callAlone("start", () => this.recommender.start?.(run));
  }

  /** Tells of a new version of the catalogue; `ready` is due again after it. */
  catalogChanged(run: RunInfo): Promise<void> {
    this.run = run;
    this.#readyFor = undefined;
    return this.#callAlone("catalogChanged", () => this.recommender.catalogChanged?.(run));
  }

  /** Gives a batch to the recommender, unless it has had it. */
  feedback(batch: FeedbackBatch): Promise<void> {
    return this.#learn("feedback", batch.cursor, () => this.recommender.feedback?.(batch));
  }

  /** The same, in columns. */
  feedbackColumns(batch: FeedbackColumns): Promise<void> {
    return this.#learn("feedbackColumns", batch.cursor, () =>
      this.recommender.feedbackColumns?.(batch),
    );
  }

  /** Returns when the recommender is ready for the round; asks once also after a break. */
  ready(round: number): Promise<void> {
    if (this.#readyFor === round) {
      return this.quiet();
    }
    this.#readyFor = round;
    return this.#callAlone("ready", () => this.recommender.ready?.(round));
  }

  /** Notes a work that is under way; what is called alone waits for it. */
  began(work: Promise<void>): void {
    this.#works.add(work);
    void work.finally(() => this.#works.delete(work));
  }

  /**
   * Returns when nothing is under way.
   *
   * @throws RecommenderFailed what was called alone failed, maybe after its session had broken.
   */
  async quiet(): Promise<void> {
    for (let alone; alone !== this.#alone; ) {
      alone = this.#alone;
      await this.#soFar();
    }
  }

  /** Says goodbye to the recommender; it is left alone when it is still busy after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    const name = nameOf(this.recommender);
    if (!(await within(graceMs, this.quiet()))) {
      this.#log(`${name} is still busy: left without close()`);
      return;
    }
    try {
      await call("close", () => this.recommender.close?.());
    } catch (failure) {
      this.#tell(failure as RecommenderFailed);
    }
  }

  /** Returns when what is under way by now is over. */
  async #soFar(): Promise<void> {
    await this.#alone;
    while (this.#works.size) {
      await Promise.all(this.#works);
    }
  }

  #learn(name: string, cursor: string, method: () => unknown): Promise<void> {
    if (this.#cursors.has(cursor)) {
      return Promise.resolve();
    }
    // Noted before the call: when the session breaks meanwhile, the call still goes on to its end
    // before anything else is asked of the recommender.
    if (cursor) {
      this.#cursors.add(cursor);
      this.cursor = cursor;
    }
    this.#readyFor = undefined;
    return this.#callAlone(name, method);
  }

  /** Calls after all that is under way; a session that breaks does not stop it. */
  #callAlone(name: string, method: () => unknown): Promise<void> {
    const before = this.#soFar();
    this.#alone = (async () => {
      await before;
      try {
        await call(name, method);
      } catch (failure) {
        this.#tell(failure as RecommenderFailed);
        throw failure;
      }
    })();
    this.#alone.catch(() => {}); // whoever asks next is told
    return this.#alone;
  }

  #tell(failure: RecommenderFailed): void {
    this.#log(`${nameOf(this.recommender)}: ${failure.message}`, failure.cause);
  }
}

/**
 * What a method of the recommender returns.
 *
 * @throws RecommenderFailed it threw.
 */
export async function call<T>(name: string, method: () => T | Promise<T>): Promise<T> {
  try {
    return await method();
  } catch (error) {
    throw new RecommenderFailed(name, error);
  }
}
