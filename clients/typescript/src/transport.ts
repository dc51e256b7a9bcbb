/**
 * The thread that holds the connection: bytes in, bytes out, and an answer to every Ping.
 *
 * It is a thread of its own because a recommender may compute for minutes without returning to the
 * event loop, and the server takes a client for dead that does not answer meanwhile.
 */

import { isMainThread, parentPort, workerData } from "node:worker_threads";

import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import * as grpc from "@grpc/grpc-js";

import type { Credentials } from "./credentials.js";
import {
  ConnectRequestSchema,
  ConnectResponseSchema,
} from "./gen/recarena/v1/recommender_service_pb.js";
import { PingSchema } from "./gen/recarena/v1/session_pb.js";

/** What the thread is started with. */
export interface Setting {
  server: string;
  credentials?: Credentials;
  token?: string;
}

/** To the thread: about a call, by the number that the other side gave it. */
export type Order =
  | { do: "open"; call: number; path: string }
  | { do: "write"; call: number; payload: Uint8Array }
  | { do: "finish"; call: number }
  | { do: "cancel"; call: number };

/** From the thread: a message of a call, the end of one, or whether there is a connection. */
export type News =
  | { is: "message"; call: number; payload: Uint8Array }
  | { is: "over"; call: number; code: number; details: string }
  | { is: "connection"; up: boolean };

const KEEPALIVE_MS = 20_000;
const OPTIONS: grpc.ClientOptions = {
  "grpc.keepalive_time_ms": KEEPALIVE_MS,
  "grpc.keepalive_timeout_ms": KEEPALIVE_MS,
  // The session's Limits decide, not the channel: crossing a limit here would end the stream.
  "grpc.max_send_message_length": -1,
  "grpc.max_receive_message_length": -1,
  // Sessions come back by themselves, with pauses that grow. The channel should not be what they
  // wait for, nor repeat their messages.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
  "grpc.enable_retries": 0,
  "grpc.service_config_disable_resolution": 1,
};
const LOOPBACK = ["127.", "localhost:", "[::1]:", "unix:"];

/** One call. Pongs overtake the answers that the network has not taken yet. */
class Call {
  readonly #stream: grpc.ClientDuplexStream<Uint8Array, Buffer>;
  readonly #outbox: Uint8Array[] = [];
  #blocked = false;
  #finishing = false;

  constructor(stream: grpc.ClientDuplexStream<Uint8Array, Buffer>, news: (news: News) => void,
    call: number) {
    this.#stream = stream;
    let status: grpc.StatusObject | undefined;
    let ended = false;
    const over = () => {
      if (status && ended) {
        const { code, details } = status;
        news({ is: "over", call, code, details });
      }
    };
    stream.on("data", (message: Buffer) => {
      const nonce = pingNonce(message);
      if (nonce !== undefined) {
        this.#outbox.unshift(pong(nonce));
        this.#flush();
      }
      news({ is: "message", call, payload: new Uint8Array(message) });
    });
    stream.on("drain", () => {
      this.#blocked = false;
      this.#flush();
    });
    // The messages before the status may be read after it.
    stream.on("end", () => {
      ended = true;
      over();
    });
    stream.on("status", (given: grpc.StatusObject) => {
      status = given;
      over();
    });
    // It carries the status once more; without a listener it would end the thread.
    stream.on("error", () => {});
  }

  write(payload: Uint8Array): void {
    this.#outbox.push(payload);
    this.#flush();
  }

  finish(): void {
    this.#finishing = true;
    this.#flush();
  }

  cancel(): void {
    this.#stream.cancel();
  }

  #flush(): void {
    while (!this.#blocked && this.#outbox.length) {
      this.#blocked = !this.#stream.write(this.#outbox.shift()!);
    }
    if (this.#finishing && !this.#outbox.length) {
      this.#stream.end();
    }
  }
}

/** The nonce of a Ping; undefined where a message is something else. */
export function pingNonce(message: Uint8Array): bigint | undefined {
  const reader = new BinaryReader(message);
  let nonce: bigint | undefined;
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number !== ConnectResponseSchema.field.ping.number) {
      reader.skip(wireType, number);
      continue;
    }
    nonce = 0n;
    for (const end = reader.uint32() + reader.pos; reader.pos < end; ) {
      const [inner, innerType] = reader.tag();
      if (inner === PingSchema.field.nonce.number) {
        nonce = BigInt(reader.uint64());
      } else {
        reader.skip(innerType, inner);
      }
    }
  }
  return nonce;
}

function pong(nonce: bigint): Uint8Array {
  const request = create(ConnectRequestSchema, { message: { case: "pong", value: { nonce } } });
  return toBinary(ConnectRequestSchema, request);
}

function run({ server, credentials, token }: Setting, port: NonNullable<typeof parentPort>): void {
  const buffer = (pem?: Uint8Array) => (pem ? Buffer.from(pem) : null);
  const client = new grpc.Client(
    server,
    credentials
      ? grpc.credentials.createSsl(
          buffer(credentials.ca), buffer(credentials.key), buffer(credentials.certificate),
        )
      : grpc.credentials.createInsecure(),
    LOOPBACK.some((start) => server.startsWith(start))
      ? { ...OPTIONS, "grpc.enable_http_proxy": 0 }
      : OPTIONS,
  );
  const calls = new Map<number, Call>();
  const post = (news: News) => {
    if (news.is === "over") {
      calls.delete(news.call);
    }
    port.postMessage(news, news.is === "message" ? [news.payload.buffer as ArrayBuffer] : []);
  };

  const watch = () => {
    const state = client.getChannel().getConnectivityState(false);
    post({ is: "connection", up: state === grpc.connectivityState.READY });
    client.getChannel().watchConnectivityState(state, Infinity, watch);
  };
  watch();

  const open = (path: string) => {
    const metadata = new grpc.Metadata();
    if (token) {
      metadata.set("authorization", `Bearer ${token}`);
    }
    // A call that the server alone streams in looks the same on the wire as one of both sides.
    return client.makeBidiStreamRequest(
      path,
      (payload: Uint8Array) => Buffer.from(payload.buffer, payload.byteOffset, payload.length),
      (message: Buffer) => message,
      metadata,
    );
  };
  port.on("message", (order: Order) => {
    const call = calls.get(order.call);
    if (order.do === "open") {
      calls.set(order.call, new Call(open(order.path), post, order.call));
    } else if (order.do === "write") {
      call?.write(order.payload);
    } else {
      call?.[order.do]();
    }
  });
}

if (!isMainThread && parentPort) {
  run(workerData as Setting, parentPort);
}
