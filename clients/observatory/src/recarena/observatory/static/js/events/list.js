// Any number of events with few of them on the page: rows of one height, drawn where they are in sight.

import { html, useEffect, useLayoutEffect, useReducer, useRef, useState } from "../../vendor/htm-preact-standalone.js";
import { isPast } from "./filters.js";
import { stretchOf } from "./pages.js";
import { Row } from "./row.js";

const NARROW = "(max-width: 720px)";
const WIDE_ROW = 32;
const NARROW_ROW = 62;

/** Height of a row on this screen. */
function useRowHeight() {
  const [narrow, setNarrow] = useState(() => matchMedia(NARROW).matches);
  useEffect(() => {
    const media = matchMedia(NARROW);
    const look = () => setNarrow(media.matches);
    media.addEventListener("change", look);
    return () => media.removeEventListener("change", look);
  }, []);
  return narrow ? NARROW_ROW : WIDE_ROW;
}

/** Where a scrolled box stands, at most once a frame. */
function useSight(box) {
  const [sight, setSight] = useState({ top: 0, height: 600 });
  useLayoutEffect(() => {
    const node = box.current;
    let frame = 0;
    const look = () => {
      frame = 0;
      setSight((before) => (before.top === node.scrollTop && before.height === node.clientHeight
        ? before : { top: node.scrollTop, height: node.clientHeight }));
    };
    const soon = () => {
      frame ||= requestAnimationFrame(look);
    };
    node.addEventListener("scroll", soon, { passive: true });
    const watch = new ResizeObserver(soon);
    watch.observe(node);
    look();
    return () => {
      node.removeEventListener("scroll", soon);
      watch.disconnect();
      cancelAnimationFrame(frame);
    };
  }, []);
  return sight;
}

/** Keys of the list: a row, a page, an end at a time. */
function stepOf(key, height, rowHeight) {
  return { ArrowDown: rowHeight, ArrowUp: -rowHeight, PageDown: height - rowHeight, PageUp: rowHeight - height, Home: -Infinity, End: Infinity }[key];
}

/**
 * @param {{pages: import("./pages.js").Pages, run: string, at: number|null, query: object,
 *   target: {round: number, seq: number}|null, onTop: (top: boolean) => void, onMissing: () => void}} props
 *   `target` is scrolled to and lit; `onMissing` is called where the list has it not
 */
export function EventList({ pages, run, at, query, target, onTop, onMissing, onError }) {
  const box = useRef(null);
  const rowHeight = useRowHeight();
  const { top, height } = useSight(box);
  const [reads, again] = useReducer((count) => count + 1, 0);
  const { first, last } = stretchOf(top, height, rowHeight, pages.length);
  const before = useRef(pages);
  useLayoutEffect(() => {
    if (before.current !== pages && !target) box.current.scrollTop = 0;
    before.current = pages;
  }, [pages]);
  useEffect(() => {
    onTop(top < rowHeight);
  }, [top < rowHeight]);
  useEffect(() => {
    let over = false;
    pages.need(first, last).then((came) => came && !over && again(0), (error) => over || onError(error));
    return () => {
      over = true;
    };
  }, [pages, first, last, reads]);
  useEffect(() => {
    if (!target) return undefined;
    let over = false;
    const isIt = (event) => event.round === target.round && event.seq === target.seq;
    pages.find(isIt, (event) => isPast(event, target.round, target.seq)).then((index) => {
      if (over) return;
      if (index < 0) return onMissing();
      again(0);
      requestAnimationFrame(() => {
        if (box.current) box.current.scrollTop = Math.max(0, index * rowHeight - box.current.clientHeight / 3);
      });
    }, (error) => over || onError(error));
    return () => {
      over = true;
    };
  }, [pages, target?.round, target?.seq]);
  const move = (event) => {
    const step = event.target === box.current ? stepOf(event.key, height, rowHeight) : undefined;
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    box.current.scrollTop = step === Infinity ? pages.length * rowHeight : Math.max(0, top + step);
  };
  const rows = [];
  for (let index = first; index <= last; index += 1) {
    const event = pages.at(index);
    const lit = Boolean(target && event && event.round === target.round && event.seq === target.seq);
    rows.push(html`<${Row} key=${event ? `${event.round}.${event.seq}` : `place-${index}`} event=${event} index=${index} top=${index * rowHeight}
      height=${rowHeight} run=${run} at=${at} query=${query} lit=${lit} />`);
  }
  const whole = pages.length * rowHeight + (pages.ended ? 0 : rowHeight);
  return html`
    <div class="event-list" ref=${box} tabindex="0" role="region" aria-label="Events, newest first" onKeyDown=${move}>
      <ul style=${{ height: `${whole}px` }}>${rows}</ul>
      ${!pages.ended && html`<p class="event-more muted" aria-hidden="true" style=${{ transform: `translateY(${pages.length * rowHeight}px)`, height: `${rowHeight}px` }}>${pages.length ? "reading older events…" : "looking further back…"}</p>`}
    </div>`;
}
