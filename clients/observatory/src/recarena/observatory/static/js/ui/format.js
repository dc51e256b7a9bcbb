// Numbers, times and money as the page writes them.

const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

/** 12345 -> "12,345"; null -> "–". @param {number|null|undefined} n @param {number} [decimals] */
export function number(n, decimals = 0) {
  if (n === null || n === undefined || Number.isNaN(n)) return "–";
  return decimals ? n.toLocaleString("en-GB", { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
    : whole.format(n);
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

/** "1 user", "3 users". @param {number} n @param {string} one @param {string} [many] */
export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

/** Time left from the wall times of the last rounds; null where it cannot be said. @param {object} run @param {object[]} rounds */
export function timeLeft(run, rounds) {
  const times = rounds.slice(-20).map((r) => r.wall_ms).filter((ms) => ms > 0).sort((a, b) => a - b);
  if (!times.length || run.round >= run.rounds) return null;
  return times[times.length >> 1] * (run.rounds - run.round);
}
