/** A list of events, newest first, in pages: any length of it in bounded memory. */

export const PAGE = 200;
/** Pages kept with their events; others keep their length and are read again when they are seen. */
export const KEPT = 12;

/**
 * Pages of one anchored list. What is before a committed round never changes, so a page that was
 * dropped can be read again from its cursor, and has the same length.
 */
export class Pages {
  /** @param {(cursor: string) => Promise<{events: object[], next: string}>} read */
  constructor(read) {
    this.read = read;
    this.pages = [];
    this.length = 0;
    this.ended = false;
    this.reading = new Set();
  }

  /** Puts the first page there, as it was read with the counts. */
  begin(answer) {
    this.pages = answer.events.length ? [{ cursor: "", start: 0, length: answer.events.length, events: answer.events }] : [];
    this.length = answer.events.length;
    this.next = answer.next;
    this.ended = !answer.next;
  }

  /** The event at a place of the list, or null where it is not here at the moment. */
  at(index) {
    const page = this.pageOf(index);
    return page?.events ? (page.events[index - page.start] ?? null) : null;
  }

  pageOf(index) {
    let low = 0;
    let high = this.pages.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const page = this.pages[middle];
      if (index < page.start) high = middle - 1;
      else if (index >= page.start + page.length) low = middle + 1;
      else return page;
    }
    return null;
  }

  /** Reads what is needed to show a stretch; true where something new came. */
  async need(first, last) {
    const wanted = this.pages.filter(
      (page) => !page.events && page.start <= last && page.start + page.length > first,
    );
    const jobs = wanted.map((page) => this.again(page));
    if (last >= this.length - PAGE / 2 && !this.ended) jobs.push(this.more());
    const came = (await Promise.all(jobs)).some(Boolean);
    if (came) this.forget(first, last);
    return came;
  }

  async again(page) {
    return this.once(page.cursor, async () => {
      page.events = (await this.read(page.cursor)).events;
    });
  }

  /**
   * Reads the next page; false where there is none, or it is being read. It may be empty though the
   * list goes on: the server looks for words only so far in one answer.
   */
  async more() {
    if (this.ended) return false;
    const cursor = this.next;
    return this.once(cursor, async () => {
      const { events, next } = await this.read(cursor);
      if (events.length) {
        this.pages.push({ cursor, start: this.length, length: events.length, events });
        this.length += events.length;
      }
      this.next = next;
      this.ended = !next;
    });
  }

  async once(cursor, job) {
    if (this.reading.has(cursor)) return false;
    this.reading.add(cursor);
    try {
      await job();
      return true;
    } finally {
      this.reading.delete(cursor);
    }
  }

  /** Drops the events of pages far from a stretch. */
  forget(first, last) {
    const middle = (first + last) / 2;
    const here = this.pages.filter((page) => page.events);
    if (here.length <= KEPT) return;
    const far = (page) => Math.abs(page.start + page.length / 2 - middle);
    here.sort((a, b) => far(a) - far(b));
    for (const page of here.slice(KEPT)) page.events = null;
  }

  /**
   * Where in the list an event is, reading on until it is found or passed; -1 where the list has
   * it not.
   */
  async find(matches, passed, most = 100) {
    for (let number = 0; number < most; number += 1) {
      while (number >= this.pages.length) {
        if (!(await this.more())) return -1;
      }
      const page = this.pages[number];
      if (!page.events) await this.again(page);
      const index = (page.events ?? []).findIndex(matches);
      if (index >= 0) return page.start + index;
      if (page.events?.length && passed(page.events[page.events.length - 1])) return -1;
    }
    return -1;
  }
}

/** Rows to draw of a list: those in sight and some more on both sides. */
export function stretchOf(top, height, rowHeight, length, extra = 8) {
  const first = Math.max(0, Math.floor(top / rowHeight) - extra);
  const last = Math.min(length - 1, Math.ceil((top + height) / rowHeight) + extra);
  return { first, last };
}
