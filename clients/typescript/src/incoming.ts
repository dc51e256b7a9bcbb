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

const KINDS = new Set(ConnectResponseSchema.oneofs[0].fields.map((field) => field.number));

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

/** The message, where it is one of columns. What comes in pieces is one message, as anywhere. */
function inColumns(payload: Uint8Array): Incoming | undefined {
  const reader = new BinaryReader(payload);
  let number = 0n;
  let kind = 0;
  let pieces: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === seq.number) {
      number = BigInt(reader.uint64());
    } else if (KINDS.has(field) && wireType === WireType.LengthDelimited) {
      pieces = field === kind ? pieces : [];
      kind = field;
      pieces.push(reader.bytes());
    } else {
      reader.skip(wireType, field);
    }
  }
  const read = COLUMNAR.get(kind);
  const whole = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
  return read && { seq: number, message: read(whole) };
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
