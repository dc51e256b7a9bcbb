// Numbers, times and money as the page writes them.

const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

/** 12345 -> "12,345"; null -> "–". @param {number|null|undefined} n @param {number} [decimals] */
export function number(n, decimals = 0) {
  if (n === null || n === undefined || Number.isNaN(n)) return "–";
  return decimals ? n.toLocaleString("en-GB", { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
    : whole.format(n);
}

/** -0.04 with one decimal -> "0.0", not "-0.0". @param {number} n @param {number} decimals */
export function fixed(n, decimals) {
  const text = n.toFixed(decimals);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

/** 1234567 -> "1.2 M". @param {number|null|undefined} n */
export function short(n) {
  if (n === null || n === undefined) return "–";
  if (Math.abs(n) >= 1e6) return `${(n / 1e6).toFixed(1)} M`;
  if (Math.abs(n) >= 1e4) return `${(n / 1e3).toFixed(1)} k`;
  return number(n);
}

/** "0.0123 USD"; small sums keep digits that count. @param {number|null|undefined} sum @param {string} currency */
export function money(sum, currency) {
  if (sum === null || sum === undefined) return "not known";
  const digits = sum !== 0 && Math.abs(sum) < 0.1 ? 4 : 2;
  return `${sum.toFixed(digits)} ${currency || ""}`.trim();
}

/** Milliseconds in words: "450 ms", "12 s", "3 min 20 s", "2 h 5 min". @param {number|null|undefined} ms */
export function duration(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = Math.round(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

/** "29 Nov 2026, 21:22"; "" -> "–". @param {string} iso */
export function date(iso) {
  const when = iso ? new Date(iso) : null;
  if (!when || Number.isNaN(when.getTime())) return "–";
  return when.toLocaleString("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
}

/** "5 min ago"; what is older than a week is told by its date. @param {string} iso @param {number} [now] */
export function ago(iso, now = Date.now()) {
  const then = iso ? new Date(iso).getTime() : NaN;
  if (Number.isNaN(then)) return "–";
  const minutes = Math.floor(Math.max(0, now - then) / 60000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ago`;
  const days = Math.floor(minutes / (24 * 60));
  if (days < 7) return days === 1 ? "1 day ago" : `${days} days ago`;
  return new Date(then).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
}

/** "1 user", "3 users". @param {number} n @param {string} one @param {string} [many] */
export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

/** With a full stop, where none ends it. @param {string} text */
export const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);
