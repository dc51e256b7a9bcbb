/** `serve`: keep sessions with a server, come back when they are lost, leave on Ctrl-C. */

import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";

import type { Credentials } from "./credentials.js";
import { Engagement } from "./engagement.js";
import { BadOption, RecommenderFailed, Unreachable } from "./errors.js";
import type { Capability } from "./gen/recarena/v1/session_pb.js";
import { Link } from "./link.js";
import { type Log, logToStderr } from "./log.js";
import { type Encoding, features, type Offer } from "./offer.js";
import type { Recommender } from "./recommender.js";
import { type End, GRACE_MS, Session } from "./session.js";
import { leavingOnSignals } from "./signals.js";

/** Options of `serve`. */
export interface ServeOptions {
  /** host:port; 127.0.0.1:7788 unless said otherwise. */
  server?: string;
  /** Runs to serve at the same time, each with a recommender of its own; 1. */
  sessions?: number;
  /** "auto": columnar where the recommender has methods for it, rich otherwise. */
  encoding?: Encoding;
  /** Return when each session has served one run to its end. */
  once?: boolean;
  /** Free text for reports. */
  softwareVersion?: string;
  /** Most users in one work; 0: the server's default. */
  maxUsersPerWork?: number;
  /** Works to be given at once; 0: the server's default. */
  maxOutstandingWork?: number;
  /** Seconds without a session after which to give up; never, unless given. */
  retryFor?: number;
  /** Of an encrypted connection, made by `tls`; unencrypted, unless given. */
  credentials?: Credentials;
  /** Sent as `authorization: Bearer` with every call. */
  token?: string;
  /**
   * Offered in place of those that the recommender's methods tell, for example with EXPLAIN. RANK
   * is always among them.
   */
  capabilities?: readonly Capability[];
  /** Leave when it is aborted; the signals of the process are then the caller's. */
  signal?: AbortSignal;
  /** What the SDK has to say, line by line; to stderr, unless given. */
  log?: Log;
}

/** Milliseconds before coming back: the first time, and at most. */
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;
/** A stream that held so long was a connection, also when the server had nothing to say. */
const STEADY_MS = 10_000;
/** Milliseconds that an instance which was told to leave has for what it is doing. */
const LAST_GRACE_MS = 100;

/**
 * Serves runs as `recommenderId` until Ctrl-C, SIGTERM or `options.signal`, or until one is over
 * with `once`. `factory` is called once per run.
 *
 * @throws Refused the server said no for good (a subclass for each reason).
 * @throws Unreachable there was no session for `retryFor` seconds.
 * @throws RecommenderFailed the factory, start, feedback, ready or catalogChanged threw.
 * @throws ProtocolBroken the server broke a rule.
 * @throws BadOption an option cannot be meant, or the recommender has not the methods for it.
 */
export async function serve(
  factory: () => Recommender,
  recommenderId: string,
  options: ServeOptions = {},
): Promise<void> {
  const service = new Service(factory, recommenderId, options);
  const settle = options.signal
    ? leavingOnAbort(options.signal, () => service.leave())
    : leavingOnSignals(service.log, () => service.leave());
  try {
    await service.run();
  } finally {
    settle();
  }
}

/** All sessions of one `serve`. */
class Service {
  readonly factory: () => Recommender;
  readonly link: Link;
  readonly offer: Offer;
  readonly once: boolean;
  readonly retryForMs: number;
  readonly log: Log;
  readonly #leaving = new AbortController();
  readonly #seats: Seat[];

  constructor(factory: () => Recommender, recommenderId: string, options: ServeOptions) {
    const { server = "127.0.0.1:7788", sessions = 1, encoding = "auto", retryFor } = options;
    check(server, sessions, encoding, retryFor, options.token);
    this.factory = factory;
    this.offer = {
      recommenderId,
      encoding,
      softwareVersion: options.softwareVersion ?? "",
      maxUsersPerWork: options.maxUsersPerWork ?? 0,
      maxOutstandingWork: options.maxOutstandingWork ?? 0,
      capabilities: options.capabilities,
    };
    this.once = options.once ?? false;
    this.retryForMs = (retryFor ?? Infinity) * 1000;
    this.log = options.log ?? logToStderr;
    const process = randomUUID().replaceAll("-", "");
    this.#seats = Array.from({ length: sessions }, (_, number) =>
      new Seat(this, sessions === 1 ? process : `${process}-${number}`));
    this.link = new Link({ server, credentials: options.credentials, token: options.token });
    this.link.onConnected = () => this.#seats.forEach((seat) => seat.connected());
  }

  /** Aborted when all are to leave. */
  get leaving(): AbortSignal {
    return this.#leaving.signal;
  }

  /** Serves until all seats are done. The first error makes the others leave, and is thrown. */
  async run(): Promise<void> {
    const seats = this.#seats.map((seat) => seat.run());
    try {
      await Promise.race([Promise.all(seats), this.link.failed]);
    } catch (error) {
      this.leave();
      await Promise.race([Promise.allSettled(seats), this.link.failed.catch(() => {})]);
      throw error;
    } finally {
      await this.link.close();
    }
  }

  /** Makes all sessions say goodbye. */
  leave(): void {
    this.#leaving.abort();
    this.#seats.forEach((seat) => seat.leave());
  }
}

function check(
  server: string, sessions: number, encoding: string, retryFor?: number, token?: string,
): void {
  const port = /^.+:(\d{1,5})$/.exec(server)?.[1];
  if (!server.startsWith("unix:") && !(Number(port) > 0 && Number(port) < 65_536)) {
    throw new BadOption(`server: ${JSON.stringify(server)}: HOST:PORT is needed`);
  }
  if (!Number.isInteger(sessions) || sessions < 1) {
    throw new BadOption(`sessions: ${sessions}: at least one is needed`);
  }
  if (!["auto", "rich", "columnar"].includes(encoding)) {
    throw new BadOption(`encoding: ${JSON.stringify(encoding)}: auto, rich or columnar is needed`);
  }
  if (retryFor !== undefined && !(retryFor >= 0)) {
    throw new BadOption(`retryFor: ${retryFor}: seconds are needed`);
  }
  if (token !== undefined && !/^[\x21-\x7e]*$/.test(token)) {
    throw new BadOption("token: it has a space, a line break or another character of no token");
  }
}

/** One of the sessions that are kept: waits for a run, serves it, waits for the next. */
class Seat {
  #engagement!: Engagement;
  #session: Session | undefined;
  #waits = false;

  constructor(
    private readonly service: Service,
    private readonly instanceId: string,
  ) {}

  /** Serves run after run; throws what is final. */
  async run(): Promise<void> {
    const { leaving, once } = this.service;
    do {
      this.#engagement = this.#engage();
      try {
        await this.#serveRun();
      } finally {
        await this.#engagement.close(leaving.aborted ? LAST_GRACE_MS : GRACE_MS);
      }
    } while (!leaving.aborted && !once);
  }

  leave(): void {
    this.#session?.leave();
  }

  /** Says, once there is a connection, that a run is waited for. */
  connected(): void {
    const { offer, link, log } = this.service;
    if (this.#waits && this.#session && link.up) {
      this.#waits = false;
      log(`waiting for a run as ${offer.recommenderId} at ${link.server}`);
    }
  }

  #engage(): Engagement {
    const { factory, offer, log } = this.service;
    let recommender: Recommender;
    try {
      recommender = factory();
    } catch (error) {
      throw new RecommenderFailed("the factory", error);
    }
    features(offer, recommender); // one that cannot be offered is found out before anything else
    return new Engagement(recommender, log);
  }

  /** Serves one run to its end, through as many sessions as it takes. */
  async #serveRun(): Promise<void> {
    const { leaving, link, log, retryForMs } = this.service;
    let connected = performance.now();
    let attempt = 0;
    this.#waits = true;
    while (!leaving.aborted) {
      const began = performance.now();
      const { end, heard } = await this.#oneSession();
      if (end.how !== "lost" || leaving.aborted) {
        return;
      }
      if (heard || performance.now() - began > STEADY_MS) {
        connected = performance.now();
        attempt = 0;
      }
      const delay = backoffMs(attempt++);
      if (performance.now() + delay > connected + retryForMs) {
        throw new Unreachable(`no session at ${link.server} (${link.how}): ${end.text}`);
      }
      if (attempt === 1) {
        log(
          heard
            ? `session lost: ${end.text}; coming back`
            : `no session at ${link.server} (${link.how}): ${end.text}; trying again`,
        );
      }
      await setTimeout(delay, undefined, { signal: leaving }).catch(() => {});
    }
  }

  /** How a session ended, and whether anything came from the server. */
  async #oneSession(): Promise<{ end: End; heard: boolean }> {
    const { link, offer, log } = this.service;
    const renew = () => this.#engage();
    const around = { link, offer, instanceId: this.instanceId, log, renew };
    const session = new Session(around, this.#engagement);
    this.#session = session;
    this.connected();
    let end: End;
    try {
      end = await session.run();
    } finally {
      this.#engagement = session.engagement;
      this.#session = undefined;
    }
    const { run } = this.#engagement;
    if (end.how === "over" && run) {
      log(`run ${run.runId} is over`);
    }
    return { end, heard: session.heard };
  }
}

/** Milliseconds to wait before the attempt after this many: doubling, capped, with jitter. */
export function backoffMs(attempt: number): number {
  const longest = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt, 16));
  return longest * (0.5 + Math.random() / 2);
}

function leavingOnAbort(signal: AbortSignal, leave: () => void): () => void {
  if (signal.aborted) {
    leave();
  }
  signal.addEventListener("abort", leave);
  return () => signal.removeEventListener("abort", leave);
}
