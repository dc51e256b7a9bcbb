import type { Item } from "./gen/recarena/v1/types_pb.js";

/** All items of a run at one version. Read it, never change it: mirrored runs share it. */
export class Catalog {
  readonly version: string;
  /** By item number. */
  readonly items: readonly Item[];
  /** The same order: `itemIds[number]` is the id of `items[number]`. */
  readonly itemIds: readonly string[];
  /** The number of an id: the columnar form speaks in numbers. */
  readonly numberOf: ReadonlyMap<string, number>;

  constructor(version: string, items: readonly Item[]) {
    this.version = version;
    this.items = items;
    this.itemIds = items.map((item) => item.itemId);
    this.numberOf = new Map(this.itemIds.map((id, number) => [id, number]));
  }

  get size(): number {
    return this.items.length;
  }
}
