import assert from "node:assert/strict";
import { test } from "node:test";

import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

import { pack, readFeedbackColumns, readRankBatch, unpack } from "../src/columns.js";
import { ProtocolBroken } from "../src/errors.js";
import { FeedbackColumnsSchema } from "../src/gen/recarena/v1/feedback_pb.js";
import { ConnectResponseSchema } from "../src/gen/recarena/v1/recommender_service_pb.js";
import { RankBatchSchema } from "../src/gen/recarena/v1/work_pb.js";
import { readIncoming } from "../src/incoming.js";

// Each number of bytes that a varint of 32 bits may have, and both ends of it.
const EDGES = [0, 1, 127, 128, 16_383, 16_384, 2 ** 21 - 1, 2 ** 21, 2 ** 28 - 1, 2 ** 28,
  2 ** 31, 2 ** 32 - 1];

test("numbers of every length are packed as the generated code does, and come back", () => {
  const generated = toBinary(RankBatchSchema, create(RankBatchSchema, { userNumbers: EDGES }));
  assert.deepEqual(pack(EDGES), generated.subarray(2));
  assert.deepEqual([...unpack(pack(EDGES))], EDGES);
  assert.deepEqual(pack(Uint32Array.from(EDGES)), pack(EDGES));
});

test("a column that ends in the middle of a number is not read", () => {
  assert.throws(() => unpack(Uint8Array.of(1, 0x80)), RangeError);
  const cut = new BinaryWriter()
    .tag(ConnectResponseSchema.field.rankBatch.number, WireType.LengthDelimited)
    .bytes(Uint8Array.of(0x1a, 1, 0x80))
    .finish();
  assert.throws(() => readIncoming(cut), ProtocolBroken);
});

test("columns are typed arrays, and the fields beside them are read as ever", () => {
  const columns = {
    round: 7, cursor: "c", userNumbers: [1, 300], itemNumbers: [0, 70_000], values: [4.5, NaN],
  };
  const read = readFeedbackColumns(
    toBinary(FeedbackColumnsSchema, create(FeedbackColumnsSchema, columns)),
  );
  assert.deepEqual([read.round, read.cursor], [7, "c"]);
  assert.deepEqual(read.userNumbers, Uint32Array.of(1, 300));
  assert.deepEqual(read.itemNumbers, Uint32Array.of(0, 70_000));
  assert.deepEqual(read.values, Float32Array.of(4.5, NaN));
  assert.deepEqual(read.fallbacks, new Uint32Array(0));
});

test("numbers may come one by one, in several pieces, and beside fields of later versions", () => {
  const later = new BinaryWriter().tag(1000, WireType.LengthDelimited).string("later").finish();
  const bytes = new BinaryWriter()
    .tag(3, WireType.Varint).uint32(5)
    .raw(later)
    .tag(3, WireType.LengthDelimited).bytes(pack([6, 7]))
    .tag(2, WireType.Varint).uint32(9)
    .finish();
  const batch = readRankBatch(bytes);
  assert.deepEqual(batch.userNumbers, Uint32Array.of(5, 6, 7));
  assert.equal(batch.resultCount, 9);
});

test("a message whose parts were put one behind the other is one message", () => {
  const body = create(ConnectResponseSchema, {
    message: { case: "rankBatch", value: { resultCount: 3, userNumbers: [1, 2] } },
  });
  const head = create(ConnectResponseSchema, {
    seq: 8n, message: { case: "rankBatch", value: { header: { workId: "w" } } },
  });
  const parts = [body, head].map((part) => toBinary(ConnectResponseSchema, part));
  const { seq, message } = readIncoming(Buffer.concat(parts));
  assert.equal(seq, 8n);
  assert.equal(message.case, "rankBatch");
  assert.equal(message.value.header?.workId, "w");
  assert.deepEqual(message.value.userNumbers, Uint32Array.of(1, 2));
});
