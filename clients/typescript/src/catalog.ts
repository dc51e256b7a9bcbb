import type { Item } from "./gen/recarena/v1/types_pb.js";

/** All items of a run at one version. Read it, never change it: mirrored runs share it. */
export class Catalog {
  readonly version: string;
  /**
   * By item number. An item keeps its number for the whole run; one that was withdrawn has
   * `withdrawn` set, and must be in no list any more.
   */
  readonly items: readonly Item[];
  /** The same order: `itemIds[number]` is the id of `items[number]`. */
  readonly itemIds: readonly string[];
  /** The number of an id: the columnar form speaks in numbers. */
  readonly numberOf: ReadonlyMap<string, number>;
  /** Ids of the items that lists may have, in the same order: of all but those withdrawn. */
  readonly availableIds: readonly string[];

  constructor(version: string, items: readonly Item[]) {
    this.version = version;
    this.items = items;
    this.itemIds = items.map((item) => item.itemId);
    this.numberOf = new Map(this.itemIds.map((id, number) => [id, number]));
    this.availableIds = items.filter((item) => !item.withdrawn).map((item) => item.itemId);
  }

  get size(): number {
    return this.items.length;
  }
}
