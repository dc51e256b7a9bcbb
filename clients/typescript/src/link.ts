/** The connection that all sessions of a `serve` share, as the program's own thread sees it. */

import { Worker } from "node:worker_threads";

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";

import { Catalog } from "./catalog.js";
import { READING } from "./columns.js";
import { Broken, ClientError, described, OK, ProtocolBroken, type Status } from "./errors.js";
import {
  RecommenderService,
  StreamCatalogRequestSchema,
  StreamCatalogResponseSchema,
} from "./gen/recarena/v1/recommender_service_pb.js";
import type { Item } from "./gen/recarena/v1/types_pb.js";
import type { News, Order, Setting } from "./transport.js";

/** What a call tells: each message, and at last how it ended. */
export interface Listener {
  message(payload: Uint8Array): void;
  over(status: Status): void;
}

/** A call that is under way. */
export class Stream {
  constructor(
    private readonly call: number,
    private readonly order: (order: Order) => void,
  ) {}

  /** Sends a message, whose bytes are given away. */
  write(payload: Uint8Array): void {
    this.order({ do: "write", call: this.call, payload });
  }

  /** Closes our half. */
  finish(): void {
    this.order({ do: "finish", call: this.call });
  }

  /** Breaks the call off. */
  cancel(): void {
    this.order({ do: "cancel", call: this.call });
  }
}

/** Opens streams, loads catalogues. Close it at the end. */
export class Link {
  readonly server: string;
  /** How the server is spoken to, for messages. */
  readonly how: string;
  /** Rejected when the connection's thread fails, which is a bug; never resolved. */
  readonly failed: Promise<never>;
  /** Whether there is a connection. */
  up = false;
  /** Called when there is one again. */
  onConnected: () => void = () => {};
  readonly #worker: Worker;
  readonly #listeners = new Map<number, Listener>();
  #opened = 0;
  #catalog: Promise<Catalog> | undefined;

  constructor(setting: Setting) {
    this.server = setting.server;
    this.how = setting.credentials ? "over TLS" : "unencrypted";
    this.#worker = new Worker(new URL("./transport.js", import.meta.url), {
      workerData: setting,
      execArgv: [], // what Node was told about the program, say --input-type, is not about this
    });
    this.#worker.on("message", (news: News) => this.#take(news));
    this.failed = new Promise((_, reject) => {
      this.#worker.on("error", (error) =>
        reject(new ClientError(`the connection's thread failed: ${described(error)}`)),
      );
    });
    this.failed.catch(() => {}); // whoever waits for it is told
  }

  /** A new stream of `Connect`. */
  connect(listener: Listener): Stream {
    return this.#open(RecommenderService.method.connect.name, listener);
  }

  /**
   * The catalogue at one version, loaded once for all sessions; `same` are the items that it begins
   * with, which are not loaded again.
   *
   * @throws ProtocolBroken it has not `size` items (0: any number).
   * @throws Broken it cannot be loaded, or breaks off without getting any further.
   */
  async catalog(version: string, size: number, same: readonly Item[] = []): Promise<Catalog> {
    const before = this.#catalog;
    const fits = (held: Catalog | undefined) =>
      held?.version === version && (!size || held.size === size);
    this.#catalog = (async () => {
      const held = await before?.catch(() => undefined);
      return held && fits(held) ? held : new Catalog(version, await this.#items(version, same));
    })();
    const catalog = await this.#catalog;
    if (!fits(catalog)) {
      throw new ProtocolBroken(
        `catalogue ${version} has ${catalog.size} items, ${size} were announced`,
      );
    }
    return catalog;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #open(method: string, listener: Listener): Stream {
    const call = ++this.#opened;
    this.#listeners.set(call, listener);
    this.#order({ do: "open", call, path: `/${RecommenderService.typeName}/${method}` });
    return new Stream(call, (order) => this.#order(order));
  }

  #order(order: Order): void {
    // Bytes that stand alone in their buffer change hands without a copy.
    const whole =
      order.do === "write" && order.payload.length === order.payload.buffer.byteLength;
    this.#worker.postMessage(order, whole ? [order.payload.buffer as ArrayBuffer] : []);
  }

  #take(news: News): void {
    if (news.is === "connection") {
      this.up = news.up;
      if (news.up) {
        this.onConnected();
      }
      return;
    }
    const listener = this.#listeners.get(news.call);
    if (news.is === "message") {
      listener?.message(news.payload);
    } else {
      this.#listeners.delete(news.call);
      listener?.over({ code: news.code, details: news.details });
    }
  }

  async #items(version: string, same: readonly Item[]): Promise<Item[]> {
    const items = [...same];
    let token = items.length ? `${items.length}` : "";
    for (;;) {
      const held = token;
      const status = await this.#parts(version, token, (payload) => {
        const part = fromBinary(StreamCatalogResponseSchema, payload, READING);
        part.items.forEach((item) => items.push(item));
        token = part.nextPageToken;
      });
      if (status.code !== OK && token === held) {
        throw new Broken(status);
      }
      if (!token) {
        return items;
      }
      if (token === held) {
        throw new ProtocolBroken(`catalogue ${version} ends in the middle`);
      }
    }
  }

  #parts(version: string, pageToken: string, take: (part: Uint8Array) => void): Promise<Status> {
    return new Promise((resolve, reject) => {
      const message = (payload: Uint8Array) => {
        try {
          take(payload);
        } catch (error) {
          stream.cancel();
          reject(new ProtocolBroken(`catalogue ${version} cannot be read: ${described(error)}`));
        }
      };
      const stream = this.#open(RecommenderService.method.streamCatalog.name, {
        message,
        over: resolve,
      });
      const request = create(StreamCatalogRequestSchema, { catalogVersion: version, pageToken });
      stream.write(toBinary(StreamCatalogRequestSchema, request));
      stream.finish();
    });
  }
}
