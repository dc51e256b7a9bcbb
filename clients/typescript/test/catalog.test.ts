import assert from "node:assert/strict";
import { test } from "node:test";

import { create } from "@bufbuild/protobuf";

import { Catalog } from "../src/index.js";
import { ItemSchema } from "../src/gen/recarena/v1/types_pb.js";

test("what was withdrawn keeps its number and is not available", () => {
  const items = [{ itemId: "a" }, { itemId: "b", withdrawn: true }, { itemId: "c" }];
  const catalog = new Catalog("v2", items.map((item) => create(ItemSchema, item)));
  assert.deepEqual(catalog.availableIds, ["a", "c"]);
  assert.deepEqual(["a", "b", "c"].map((id) => catalog.numberOf.get(id)), [0, 1, 2]);
  assert.equal(catalog.size, 3);
});
