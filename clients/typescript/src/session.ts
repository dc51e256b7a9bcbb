/**
 * One stream: from Register to the end.
 *
 * The reader obeys CancelWork at once and hands the other messages on in order. The conductor works
 * through them: works are set going, everything else waits for what is under way and runs alone.
 * Pings are answered by the thread of the connection.
 */

import { requestBytes, type Request } from "./answers.js";
import type { Engagement } from "./engagement.js";
import {
  Broken, ClientError, codeName, described, INTERNAL, OK, oneLine, ProtocolBroken,
  RecommenderFailed, refusal, type Status, UNAVAILABLE,
} from "./errors.js";
import type { CatalogChanged, Registered, WorkOutcome } from "./gen/recarena/v1/session_pb.js";
import { WorkOutcome_Disposition } from "./gen/recarena/v1/session_pb.js";
import { type Incoming, isWork, readIncoming } from "./incoming.js";
import type { Link, Stream } from "./link.js";
import type { Log } from "./log.js";
import { checkEncoding, DEFAULT_OUTSTANDING, isColumnar, type Offer, register } from "./offer.js";
import type { RunInfo } from "./recommender.js";
import { Settled, within } from "./time.js";
import { type Asked, milliseconds, Works } from "./works.js";

/** Milliseconds for what is under way when one side leaves. */
export const GRACE_MS = 5_000;

/** How a session ended, and why in words. */
export interface End {
  /** over: the server needs this instance no more; left: `leave` was called; lost: come back. */
  readonly how: "over" | "left" | "lost";
  readonly text: string;
}

/** What a session is to know of the `serve` that it is part of. */
export interface Surroundings {
  readonly link: Link;
  readonly offer: Offer;
  readonly instanceId: string;
  readonly log: Log;
  /** Makes the next instance when the run is not the one that the last instance was serving. */
  readonly renew: () => Engagement;
}

type Step = Incoming & { asked?: Asked };

/** Serves one run over one stream, as far as the stream holds. */
export class Session {
  /** The instance that serves. */
  engagement: Engagement;
  /** Whether the server said anything at all. */
  heard = false;
  readonly #around: Surroundings;
  readonly #works: Works;
  readonly #inbox: Step[] = [];
  #wake: () => void = () => {};
  #stream: Stream | undefined;
  readonly #over = new Settled<Status>();
  readonly #cut = new Settled<void>();
  #cutting: NodeJS.Timeout | undefined;
  #broken: ProtocolBroken | undefined;
  #dead = false;
  #leaving = false;
  #runOver = false;
  #refused = false;

  constructor(around: Surroundings, engagement: Engagement) {
    this.#around = around;
    this.engagement = engagement;
    const atOnce = around.offer.maxOutstandingWork || DEFAULT_OUTSTANDING;
    this.#works = new Works((payload) => this.#write(payload), atOnce, around.log);
  }

  /**
   * Serves until the stream ends.
   *
   * @throws Refused the server ended it for good.
   * @throws RecommenderFailed start, feedback, ready or catalogChanged threw.
   * @throws ProtocolBroken the server did what it must not.
   */
  async run(): Promise<End> {
    const { link, offer, instanceId } = this.#around;
    const value = register(offer, instanceId, this.engagement);
    this.#stream = link.connect({
      message: (payload) => this.#read(payload),
      over: (status) => this.#over.resolve(status),
    });
    this.#send({ case: "register", value });
    let failure: unknown;
    let conducted = false;
    const conductor = this.#conduct()
      .catch((error: unknown) => (failure = error))
      .finally(() => (conducted = true));
    await Promise.race([this.#over.promise, conductor]);
    if (conducted) {
      await this.#goodbye(failure);
    } else if (this.#runOver && !failure) {
      this.#works.cancelAll(); // the last feedback is still owed to the recommender
      await Promise.race([conductor, this.#cut.promise]);
    }
    this.#end();
    const status = await this.#over.promise;
    return this.#ending(failure, status);
  }

  /** Says Drain, finishes what was asked for, ends; after GRACE_MS just ends. */
  leave(): void {
    if (this.#leaving || this.#dead) {
      return;
    }
    this.#leaving = true;
    const grace = { seconds: BigInt(GRACE_MS / 1000) };
    const reason = { code: OK, message: "the recommender leaves" };
    this.#send({ case: "drain", value: { grace, reason } });
    this.#wake();
    this.#cutting = setTimeout(() => {
      this.#cut.resolve();
      this.#stream?.cancel();
    }, GRACE_MS);
  }

  // ---------------------------------------------------------------------------- the reader
  #read(payload: Uint8Array): void {
    this.heard = true;
    if (this.#dead || this.#broken) {
      return;
    }
    let incoming: Incoming;
    try {
      incoming = readIncoming(payload);
    } catch (error) {
      this.#broken = error as ProtocolBroken;
      this.#wake();
      return;
    }
    const { message, seq } = incoming;
    switch (message.case) {
      case undefined:
      case "ping":
        return;
      case "cancelWork":
        return this.#works.cancel(message.value.workId);
      case "workOutcome":
        return this.#around.log(outcomeLine(message.value));
      case "drain":
        this.#runOver = message.value.reason?.code !== UNAVAILABLE;
    }
    const asked = isWork(message) ? this.#works.arrived(message, seq) : undefined;
    this.#inbox.push({ ...incoming, asked });
    this.#wake();
  }

  /** The next message in order; undefined when there is none and will be none. */
  async #next(): Promise<Step | undefined> {
    for (;;) {
      if (this.#broken) {
        throw this.#broken;
      }
      if (this.#dead) {
        return undefined;
      }
      const next = this.#inbox.shift();
      if (next || this.#leaving) {
        return next;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  // ---------------------------------------------------------------------------- the conductor
  async #conduct(): Promise<void> {
    const first = await this.#next();
    if (!first) {
      return;
    }
    if (first.message.case !== "registered") {
      throw new ProtocolBroken(`${first.message.case} came before registered`);
    }
    await this.#begin(first.message.value);
    this.#works.handled(first.seq);
    for (let step; (step = await this.#next()); ) {
      const { message, seq, asked } = step;
      if (asked) {
        await this.#works.begin(asked, this.engagement);
        continue;
      }
      if (message.case === "feedbackBatch") {
        await this.engagement.feedback(message.value);
      } else if (message.case === "feedbackColumns") {
        await this.engagement.feedbackColumns(message.value);
      } else if (message.case === "roundStarted") {
        const { round } = message.value;
        await this.engagement.ready(round);
        this.#send({ case: "roundReady", value: { round } });
      } else if (message.case === "catalogChanged") {
        await this.#changeCatalog(message.value);
      } else if (message.case === "drain") {
        break;
      }
      this.#works.handled(seq);
    }
    await this.engagement.quiet();
  }

  async #begin(registered: Registered): Promise<void> {
    const { log, offer } = this.#around;
    checkEncoding(offer, registered, this.engagement.recommender);
    this.#works.maxBytes = registered.limits?.maxMessageBytes || this.#works.maxBytes;
    if (this.engagement.run && !registered.resumed) {
      log(`run ${this.engagement.run.runId} could not be resumed, starting afresh`);
      await this.engagement.close(GRACE_MS);
      this.engagement = this.#around.renew();
    }
    const { engagement } = this;
    const version = registered.catalogVersion;
    if (engagement.run) {
      log(`back in run ${engagement.run.runId} as ${offer.recommenderId}`);
      await this.#orRefuse(version, engagement.quiet());
      await this.#takeCatalog(registered, engagement.run);
    } else {
      const run = await this.#runInfo(registered);
      if (this.#dead) {
        return;
      }
      log(
        `serving run ${run.runId} as ${offer.recommenderId}: ${run.userCount} users,` +
          ` ${run.catalog.size} items, ${run.columnar ? "columnar" : "rich"}`,
      );
      engagement.sessionId = registered.sessionId;
      await this.#orRefuse(version, engagement.start(run));
    }
    engagement.sessionId = registered.sessionId;
    this.#send({ case: "catalogReady", value: { catalogVersion: version } });
  }

  /** After a break: the catalogue may be another by now. */
  async #takeCatalog(registered: Registered, run: RunInfo): Promise<void> {
    const version = registered.catalogVersion;
    if (run.catalog.version !== version) {
      const changed = await this.#runInfo(registered);
      if (!this.#dead) {
        await this.#orRefuse(version, this.engagement.catalogChanged(changed));
      }
    }
  }

  async #changeCatalog(changed: CatalogChanged): Promise<void> {
    const { run } = this.engagement;
    const { catalogVersion: version, catalogSize, changedItems } = changed;
    if (run && run.catalog.version !== version) {
      const same = changedItems.length ? run.catalog.items.slice(0, Math.min(...changedItems)) : [];
      const catalog = await this.#around.link.catalog(version, catalogSize, same);
      if (this.#dead) {
        return;
      }
      await this.#orRefuse(version, this.engagement.catalogChanged({ ...run, catalog }));
    }
    this.#send({ case: "catalogReady", value: { catalogVersion: version } });
  }

  async #runInfo(registered: Registered): Promise<RunInfo> {
    const { catalogVersion, catalogSize } = registered;
    return {
      runId: registered.runId,
      epoch: registered.epoch,
      catalog: await this.#around.link.catalog(catalogVersion, catalogSize),
      userCount: registered.userCount,
      pageSize: registered.pageSize,
      roundLimit: registered.roundLimit,
      armIds: registered.armIds,
      columnar: isColumnar(registered),
      workTimeoutMs: milliseconds(registered.workTimeout),
    };
  }

  async #orRefuse(catalogVersion: string, step: Promise<void>): Promise<void> {
    try {
      await step;
    } catch (failure) {
      if (failure instanceof RecommenderFailed) {
        const error = { code: INTERNAL, message: described(failure.cause) };
        this.#send({ case: "catalogReady", value: { catalogVersion, error } });
        this.#refused = true;
      }
      throw failure;
    }
  }

  // ---------------------------------------------------------------------------- the end
  /** The conductor is done: closes our half and lets the server close its own. */
  async #goodbye(failure: unknown): Promise<void> {
    if (failure instanceof ClientError && !(failure instanceof Broken) && !this.#refused) {
      const reason = { code: INTERNAL, message: oneLine(failure.message) };
      this.#send({ case: "drain", value: { reason } });
    }
    this.#stream?.finish();
    await within(GRACE_MS, this.#over.promise);
  }

  /** Nothing of this session is begun, sent or waited for any more. */
  #end(): void {
    this.#dead = true;
    clearTimeout(this.#cutting);
    this.#works.cancelAll();
    this.#stream?.cancel();
    this.#keepFeedback();
    this.#wake();
  }

  /**
   * Feedback that has arrived is not asked for again: the recommender is given it before whatever
   * comes next, and the next session names its cursor.
   */
  #keepFeedback(): void {
    for (const { message } of this.#inbox.splice(0)) {
      if (message.case === "feedbackBatch") {
        this.engagement.feedback(message.value).catch(() => {}); // the next session is told
      } else if (message.case === "feedbackColumns") {
        this.engagement.feedbackColumns(message.value).catch(() => {});
      }
    }
  }

  #ending(failure: unknown, status: Status): End {
    if (failure && !(failure instanceof Broken)) {
      throw failure;
    }
    if (this.#leaving) {
      return { how: "left", text: "" };
    }
    if (this.#runOver) {
      return { how: "over", text: "" };
    }
    const broken = failure instanceof Broken ? failure.status : status;
    if (broken.code === OK) {
      return { how: "lost", text: "the server closed the stream" };
    }
    const final = refusal(broken);
    if (final) {
      throw final;
    }
    return { how: "lost", text: `${oneLine(broken.details)} (${codeName(broken.code)})`.trim() };
  }

  #send(message: Request): void {
    this.#write(requestBytes(message, this.#works.acknowledged));
  }

  #write(payload: Uint8Array): void {
    if (!this.#dead) {
      this.#stream?.write(payload);
    }
  }
}

/** What became of an answer that was not simply accepted. */
function outcomeLine({ workId, disposition, status }: WorkOutcome): string {
  const name = WorkOutcome_Disposition[disposition] ?? `disposition ${disposition}`;
  return `work ${oneLine(workId)}: ${name} ${oneLine(status?.message ?? "")}`.trim();
}
