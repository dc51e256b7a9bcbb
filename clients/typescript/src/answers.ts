/** What a recommender answers, and how it is put into messages. */

import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

import { pack } from "./columns.js";
import { described, WrongAnswer } from "./errors.js";
import { ConnectRequestSchema } from "./gen/recarena/v1/recommender_service_pb.js";
import type { RankedItemSchema } from "./gen/recarena/v1/types_pb.js";
import { type RankedListSchema, RankBatchResultSchema } from "./gen/recarena/v1/work_pb.js";

/** An item: its id, or the fields of a RankedItem, with score and explanation. */
export type ListedItem = string | MessageInitShape<typeof RankedItemSchema>;

/** One list, best first. `token` comes back with the feedback about it (attribution_token). */
export interface Ranked {
  readonly items: readonly ListedItem[];
  readonly token?: string;
}

/** One list, best first, with a token or without. */
export type Answer = readonly ListedItem[] | Ranked;

/** One turn of a conversation: what is said, and the items offered with it, best first. */
export interface Reply {
  readonly text: string;
  readonly items?: readonly ListedItem[];
  readonly token?: string;
}

/**
 * Lists as item numbers, one list behind the other in the order of the work.
 *
 * `listLengths` may be left out where all lists have `resultCount` items. A `Uint32Array` is the
 * quickest.
 */
export interface ItemColumns {
  readonly itemNumbers: ArrayLike<number>;
  readonly listLengths?: ArrayLike<number>;
}

/** Messages that answer works, but for their acknowledgement. */
export type Request = MessageInitShape<typeof ConnectRequestSchema>["message"];

/** The bytes of a message to the server, which has handled everything up to `ackSeq`. */
export function requestBytes(message: Request, ackSeq: bigint): Uint8Array {
  return toBinary(ConnectRequestSchema, create(ConnectRequestSchema, { ackSeq, message }));
}

/**
 * The message for the answers of `method`, one list per query in the order of the queries.
 *
 * @throws WrongAnswer their number is not `wanted`, or one is no list of items.
 */
export function rankResult(
  workId: string, method: string, answers: readonly Answer[], wanted: number, ackSeq: bigint,
): Uint8Array {
  if (!Array.isArray(answers)) {
    throw new WrongAnswer(`${method} returned ${kindOf(answers)}, not an array of lists`);
  }
  if (answers.length !== wanted) {
    throw new WrongAnswer(`${method} returned ${answers.length} lists for ${wanted} queries`);
  }
  const lists = answers.map((answer: Answer, queryIndex) =>
    listed(answer, queryIndex, `${method}, list ${queryIndex}`),
  );
  return encoded(method, () =>
    requestBytes({ case: "rankResult", value: { workId, lists, complete: true } }, ackSeq),
  );
}

function listed(
  answer: Answer, queryIndex: number, where: string,
): MessageInitShape<typeof RankedListSchema> {
  const ranked: Ranked = isList(answer) ? { items: answer } : answer;
  if (!Array.isArray(ranked?.items)) {
    throw new WrongAnswer(`${where}: an array of item ids is wanted, not ${kindOf(answer)}`);
  }
  return {
    queryIndex,
    items: ranked.items.map((item) => checked(item, where)),
    attributionToken: ranked.token ?? "",
  };
}

function isList(answer: Answer): answer is readonly ListedItem[] {
  return Array.isArray(answer);
}

function checked(item: ListedItem, where: string) {
  if (typeof item === "string") {
    return { itemId: item };
  }
  if (typeof item?.itemId !== "string") {
    throw new WrongAnswer(`${where}: ${kindOf(item)} is neither an item id nor has an itemId`);
  }
  return item;
}

/**
 * The message for `users` lists in columns.
 *
 * @throws WrongAnswer the lengths do not fit, or something is no item number.
 */
export function rankBatchResult(
  workId: string, method: string, columns: ItemColumns, users: number, resultCount: number,
  ackSeq: bigint,
): Uint8Array {
  const items = numbers(columns?.itemNumbers, `${method}: itemNumbers`);
  const lengths = numbers(columns.listLengths ?? [], `${method}: listLengths`);
  if (!lengths.length) {
    if (items.length !== users * resultCount) {
      throw new WrongAnswer(
        `${method} returned ${items.length} items for ${users} users × ${resultCount}` +
          " (give listLengths when lists differ)",
      );
    }
  } else if (lengths.length !== users) {
    throw new WrongAnswer(`${method} returned ${lengths.length} listLengths for ${users} users`);
  } else {
    let sum = 0;
    for (let index = 0; index < users; index++) {
      sum += lengths[index];
    }
    if (sum !== items.length) {
      throw new WrongAnswer(
        `${method} returned ${items.length} items, but listLengths add up to ${sum}`,
      );
    }
  }
  const { itemNumbers, listLengths } = RankBatchResultSchema.field;
  const result = new BinaryWriter()
    .raw(toBinary(RankBatchResultSchema, create(RankBatchResultSchema, { workId })))
    .tag(itemNumbers.number, WireType.LengthDelimited)
    .bytes(pack(items))
    .tag(listLengths.number, WireType.LengthDelimited)
    .bytes(pack(lengths));
  return new BinaryWriter()
    .tag(ConnectRequestSchema.field.ackSeq.number, WireType.Varint)
    .uint64(ackSeq)
    .tag(ConnectRequestSchema.field.rankBatchResult.number, WireType.LengthDelimited)
    .bytes(result.finish())
    .finish();
}

/**
 * The message for a turn of a conversation.
 *
 * @throws WrongAnswer it is no Reply, or its items are no items.
 */
export function converseResult(
  workId: string, method: string, reply: Reply, ackSeq: bigint,
): Uint8Array {
  if (typeof reply?.text !== "string") {
    throw new WrongAnswer(`${method} returned ${kindOf(reply)}, not a reply with a text`);
  }
  const { items } = listed({ items: reply.items ?? [], token: reply.token }, 0, method);
  const value = {
    workId, replyText: reply.text, items, attributionToken: reply.token ?? "",
  };
  return encoded(method, () => requestBytes({ case: "converseResult", value }, ackSeq));
}

/** Fields of wrong types, which only JavaScript lets through, are found when they are written. */
function encoded(method: string, encode: () => Uint8Array): Uint8Array {
  try {
    return encode();
  } catch (error) {
    throw new WrongAnswer(`${method}: ${described(error)}`);
  }
}

function numbers(column: ArrayLike<number> | undefined, where: string): ArrayLike<number> {
  if (column instanceof Uint32Array || column instanceof Uint16Array) {
    return column;
  }
  if (typeof column?.length !== "number" || typeof column === "string") {
    throw new WrongAnswer(`${where} is ${kindOf(column)}, where an array of numbers is wanted`);
  }
  for (let index = 0; index < column.length; index++) {
    if (column[index] >>> 0 !== column[index]) {
      throw new WrongAnswer(`${where}[${index}] is ${String(column[index])}, which is no number`);
    }
  }
  return column;
}

function kindOf(value: unknown): string {
  if (typeof value === "string") {
    return `one string ${JSON.stringify(value.slice(0, 40))}`;
  }
  return typeof value === "object" && value ? (value.constructor?.name ?? "object") : String(value);
}
