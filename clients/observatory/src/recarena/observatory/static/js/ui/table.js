import { html, useMemo, useRef, useState } from "../../vendor/htm-preact-standalone.js";

/**
 * @typedef {object} Column
 * @property {string} key
 * @property {string} label
 * @property {"num"} [align]  figures stand to the right
 * @property {(row: any) => any} render
 * @property {(row: any) => any} [value] what the column is sorted by; without it, it is not
 * @property {boolean} [narrow] false: left out on a phone
 * @property {boolean} [wide] takes the room that the others leave
 */

const classOf = (column) => `${column.align ?? ""} ${column.narrow === false ? "wide-only" : ""} ${column.wide ? "wide" : ""}`;

function compare(a, b) {
  const x = a ?? null, y = b ?? null;
  if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
  return typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), "en-GB", { numeric: true });
}

/**
 * A table that sorts by its heads; in its body arrows, Home and End move, Enter opens a row.
 * @param {{caption: string, columns: Column[], rows: any[], rowKey: (row: any) => string, onOpen?: (row: any) => void,
 *   sort?: {key: string, desc: boolean}, rowClass?: (row: any) => string, empty?: any, limit?: number}} props
 *   `limit` bounds the rows that are drawn; the rest can be asked for
 */
export function Table({ caption, columns, rows, rowKey, onOpen, sort, rowClass, empty, limit = 300 }) {
  const [order, setOrder] = useState(sort ?? null);
  const [more, setMore] = useState(1);
  const body = useRef(null);
  const sorted = useMemo(() => {
    const column = order && columns.find((c) => c.key === order.key);
    if (!column?.value) return rows;
    const sign = order.desc ? -1 : 1;
    return [...rows].sort((a, b) => {
      const x = column.value(a), y = column.value(b);
      return (x ?? null) === null || (y ?? null) === null ? compare(x, y) : sign * compare(x, y);
    });
  }, [rows, order, columns]);
  const shown = sorted.slice(0, limit * more);
  const key = (e) => {
    if (!e.target.matches?.("tr")) return;
    const all = [...body.current.children], now = all.indexOf(e.target);
    const to = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: all.length - 1 }[e.key];
    if (to !== undefined) {
      e.preventDefault();
      e.stopPropagation();
      const next = all[Math.max(0, Math.min(all.length - 1, to))];
      all.forEach((row) => { row.tabIndex = row === next ? 0 : -1; });
      next.focus();
    } else if (e.key === "Enter" && onOpen) {
      e.preventDefault();
      onOpen(shown[now]);
    }
  };
  if (!rows.length && empty) return empty;
  return html`<div class="table-box"><table class="table"><caption class="sr">${caption}</caption>
    <thead><tr>${columns.map((c) => {
      const on = order?.key === c.key;
      const mark = html`<span class="sort-mark" aria-hidden="true">${on ? (order.desc ? "▾" : "▴") : ""}</span>`;
      return html`<th key=${c.key} scope="col" class=${classOf(c)}
        aria-sort=${c.value ? (on ? (order.desc ? "descending" : "ascending") : "none") : undefined}>${c.value
        ? html`<button type="button" class="sort" onClick=${() => setOrder({ key: c.key, desc: on ? !order.desc : c.align === "num" })}>${c.align === "num" ? mark : ""}${c.label}${c.align === "num" ? "" : mark}</button>` : c.label}</th>`;
    })}</tr></thead>
    <tbody ref=${body} onKeyDown=${key}>${shown.map((row, i) => html`<tr key=${rowKey(row)} tabIndex=${onOpen ? (i === 0 ? 0 : -1) : undefined}
      class=${`${onOpen ? "opens" : ""} ${rowClass ? rowClass(row) : ""}`}
      onClick=${onOpen ? (e) => { if (!e.target.closest("a,button,input,label,select")) onOpen(row); } : undefined}>${columns.map((c) => html`<td
        key=${c.key} class=${classOf(c)}>${c.render(row)}</td>`)}</tr>`)}</tbody></table>
    ${shown.length < sorted.length ? html`<button type="button" class="button quiet" onClick=${() => setMore(more + 1)}>Show more of ${sorted.length} rows</button>` : null}
  </div>`;
}
