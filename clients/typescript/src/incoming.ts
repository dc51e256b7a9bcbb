/** Messages from the server, with typed arrays where they are columns. */

import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

import {
  type FeedbackColumns,
  type RankBatch,
  readFeedbackColumns,
  READING,
  readRankBatch,
  readSearchBatch,
  type SearchBatch,
} from "./columns.js";
import { described, ProtocolBroken } from "./errors.js";
import {
  type ConnectResponse,
  ConnectResponseSchema,
} from "./gen/recarena/v1/recommender_service_pb.js";

type Columns =
  | { case: "rankBatch"; value: RankBatch }
  | { case: "searchBatch"; value: SearchBatch }
  | { case: "feedbackColumns"; value: FeedbackColumns };
type Plain = Exclude<ConnectResponse["message"], { case: Columns["case"] | undefined }>;

/** A message by its kind; undefined is a kind that is not known yet. */
export type Message = Plain | Columns | { case: undefined };
/** A message that a recommender has to answer. */
export type Work = Extract<
  Message,
  { case: "rankWork" | "searchWork" | "rankBatch" | "searchBatch" | "converseWork" }
>;

/** A message and its number in the session. */
export interface Incoming {
  seq: bigint;
  message: Message;
}

const { seq, rankBatch, searchBatch, feedbackColumns } = ConnectResponseSchema.field;
const COLUMNAR = new Map<number, (bytes: Uint8Array) => Columns>([
  [rankBatch.number, (bytes) => ({ case: "rankBatch", value: readRankBatch(bytes) })],
  [searchBatch.number, (bytes) => ({ case: "searchBatch", value: readSearchBatch(bytes) })],
  [
    feedbackColumns.number,
    (bytes) => ({ case: "feedbackColumns", value: readFeedbackColumns(bytes) }),
  ],
]);

/**
 * Reads a message of the server.
 *
 * @throws ProtocolBroken it cannot be read.
 */
export function readIncoming(payload: Uint8Array): Incoming {
  try {
    return inColumns(payload) ?? plain(payload);
  } catch (error) {
    throw new ProtocolBroken(`a message of the server cannot be read: ${described(error)}`);
  }
}

function plain(payload: Uint8Array): Incoming {
  const { seq, message } = fromBinary(ConnectResponseSchema, payload, READING);
  return { seq, message: message as Plain | { case: undefined } }; // the others were read before
}

function inColumns(payload: Uint8Array): Incoming | undefined {
  const reader = new BinaryReader(payload);
  let number = 0n;
  let message: Columns | undefined;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    const read = COLUMNAR.get(field);
    if (field === seq.number && wireType === WireType.Varint) {
      number = BigInt(reader.uint64());
    } else if (read && wireType === WireType.LengthDelimited) {
      message = read(reader.bytes());
    } else {
      reader.skip(wireType, field);
    }
  }
  return message && { seq: number, message };
}

export function isWork(message: Message): message is Work {
  switch (message.case) {
    case "rankWork":
    case "searchWork":
    case "rankBatch":
    case "searchBatch":
    case "converseWork":
      return true;
    default:
      return false;
  }
}
