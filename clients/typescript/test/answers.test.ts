import assert from "node:assert/strict";
import { test } from "node:test";

import { fromBinary } from "@bufbuild/protobuf";

import { type Answer, converseResult, rankBatchResult, rankResult } from "../src/answers.js";
import { WrongAnswer } from "../src/errors.js";
import { ConnectRequestSchema } from "../src/gen/recarena/v1/recommender_service_pb.js";

const said = (bytes: Uint8Array) => fromBinary(ConnectRequestSchema, bytes);
const wrong = (text: RegExp) => (error: unknown) =>
  error instanceof WrongAnswer && text.test(error.message);
// What only JavaScript lets through.
const odd = (value: unknown) => value as never;

test("ids, items with explanations, and lists with tokens may stand side by side", () => {
  const lists: Answer[] = [
    ["a", "b"],
    { items: ["c", { itemId: "d", score: 2, explanation: { text: "why" } }], token: "t" },
    [],
  ];
  const { ackSeq, message } = said(rankResult("w", "rank", lists, 3, 9n));
  assert.equal(ackSeq, 9n);
  assert.equal(message.case, "rankResult");
  assert.deepEqual([message.value.workId, message.value.complete], ["w", true]);
  assert.deepEqual(
    message.value.lists.map((list) => [
      list.queryIndex, list.attributionToken, list.items.map((item) => item.itemId),
    ]),
    [[0, "", ["a", "b"]], [1, "t", ["c", "d"]], [2, "", []]],
  );
  assert.equal(message.value.lists[1].items[1].explanation?.text, "why");
});

test("an answer that is no list of lists is told with its place", () => {
  assert.throws(() => rankResult("w", "rank", [["a"]], 2, 0n), wrong(/1 lists for 2 queries/));
  assert.throws(() => rankResult("w", "rank", odd(undefined), 1, 0n), wrong(/undefined, not an/));
  assert.throws(() => rankResult("w", "rank", odd(["ab"]), 1, 0n), wrong(/0: .* not one string/));
  assert.throws(() => rankResult("w", "rank", [["a"], odd([7])], 2, 0n), wrong(/list 1: 7 is/));
  const item = { itemId: "a", explanation: { evidence: [{ kind: 0.5 }] } };
  assert.throws(() => rankResult("w", "rank", [[item]], 1, 0n), wrong(/rank: .*kind/));
});

test("columns are sent as they are, with lengths where lists differ", () => {
  const itemNumbers = Uint32Array.of(5, 300, 70_000);
  const even = said(rankBatchResult("w", "rankColumns", { itemNumbers }, 3, 1, 4n));
  assert.equal(even.ackSeq, 4n);
  assert.equal(even.message.case, "rankBatchResult");
  assert.equal(even.message.value.workId, "w");
  assert.deepEqual(even.message.value.itemNumbers, [5, 300, 70_000]);
  assert.deepEqual(even.message.value.listLengths, []);
  const uneven = said(
    rankBatchResult("w", "rankColumns", { itemNumbers, listLengths: [1, 0, 2] }, 3, 2, 0n),
  );
  assert.deepEqual(uneven.message.case === "rankBatchResult" && uneven.message.value.listLengths,
    [1, 0, 2]);
});

test("columns whose lengths do not add up, and what is no item number, are found out", () => {
  const sent = (itemNumbers: ArrayLike<number>, listLengths?: number[]) => () =>
    rankBatchResult("w", "rankColumns", { itemNumbers, listLengths }, 2, 2, 0n);
  assert.throws(sent([1, 2, 3]), wrong(/3 items for 2 users × 2/));
  assert.throws(sent([1, 2], [2]), wrong(/1 listLengths for 2 users/));
  assert.throws(sent([1, 2], [1, 2]), wrong(/add up to 3/));
  assert.throws(sent([1, 2, 3, -1]), wrong(/itemNumbers\[3\] is -1/));
  assert.throws(sent([1, 2, 3, 0.5]), wrong(/itemNumbers\[3\] is 0.5/));
  assert.throws(sent(odd(undefined)), wrong(/itemNumbers is undefined/));
  assert.throws(() => rankBatchResult("w", "rankColumns", odd(null), 1, 1, 0n), wrong(/undefined/));
});

test("a reply needs a text", () => {
  const { message } = said(converseResult("w", "converse", { text: "hello", items: ["a"] }, 0n));
  assert.equal(message.case === "converseResult" && message.value.items[0].itemId, "a");
  const mute = odd({ items: [] });
  assert.throws(() => converseResult("w", "converse", mute, 0n), wrong(/Object, not a reply/));
});
