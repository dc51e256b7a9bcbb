/** One axis for the intervals of all arms, smoothed series, and tables as CSV. */

const NICE = [1, 2, 2.5, 5, 10];

/** A round step so that a span has about `count` of them. */
export function niceStep(span, count) {
  if (!(span > 0)) return 1;
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * NICE.find((one) => one * power >= rough * 0.999);
}

/**
 * The axis that all the intervals of a metric fit on, with ticks; null where nothing is known.
 * @param {{value: number|null, low: number|null, high: number|null}[]} measures
 */
export function axisOf(measures, count = 4) {
  const known = measures
    .flatMap((one) => (one ? [one.value, one.low, one.high] : []))
    .filter((one) => Number.isFinite(one));
  if (!known.length) return null;
  let low = Math.min(...known);
  let high = Math.max(...known);
  if (high - low < 1e-9) {
    const room = Math.abs(high) * 0.1 || 1;
    low -= room;
    high += room;
  }
  const step = niceStep(high - low, count);
  low = Math.floor(low / step + 1e-9) * step;
  high = Math.ceil(high / step - 1e-9) * step;
  const ticks = [];
  for (let at = low; at <= high + step / 2; at += step) ticks.push(Number(at.toPrecision(10)));
  return { low, high, step, ticks };
}

/** Where a value lies on an axis, from 0 to 100. */
export function along(axis, value) {
  return Math.min(100, Math.max(0, (100 * (value - axis.low)) / (axis.high - axis.low)));
}

/**
 * Means over the last `width` rounds that have a value; where a round has none, none.
 * @param {(number|null)[]} values
 */
export function smoothed(values, width) {
  if (width <= 1) return values;
  const window = [];
  return values.map((value) => {
    if (value === null || value === undefined) return null;
    window.push(value);
    if (window.length > width) window.shift();
    return window.reduce((sum, one) => sum + one, 0) / window.length;
  });
}

/** One cell of CSV; text that a spreadsheet would compute stays text. */
export function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : "";
  const text = /^[=+\-@\t\r]/.test(String(value)) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Rows of cells as CSV (RFC 4180). */
export function csvOf(rows) {
  return rows.map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
}

/** The leaderboard as rows: every arm and metric with its interval. */
export function leaderboardRows(board) {
  const rows = [["arm", "recommender", "rank", "metric", "unit", "value", "low", "high", "n"]];
  for (const arm of board.arms) {
    for (const metric of board.metrics) {
      const one = arm.metrics[metric.name] ?? {};
      rows.push([arm.arm_id, arm.recommender_id, arm.rank ?? "", metric.name, metric.unit,
        one.value ?? null, one.low ?? null, one.high ?? null, one.n ?? null]);
    }
  }
  return rows;
}

/** A metric over rounds as rows: one column an arm. */
export function seriesRows(series, armIds) {
  const length = Math.max(0, ...armIds.map((arm) => series[arm]?.length ?? 0));
  const rows = [["round", ...armIds]];
  for (let round = 0; round < length; round += 1) {
    rows.push([round + 1, ...armIds.map((arm) => series[arm]?.[round] ?? null)]);
  }
  return rows;
}

/**
 * Arms in the order of their ranks, those of a rank by the value of a metric: the best first, those without one last. Where
 * the ranks are of another metric the values alone count.
 * @param {object[]} arms @param {{name: string, better: string}} metric @param {boolean} ranked whether the ranks are of it
 */
export function byRank(arms, metric, ranked) {
  const rankOf = (arm) => (ranked ? arm.rank || Infinity : 0);
  const sign = metric.better === "lower" ? 1 : -1;
  const valueOf = (arm) => {
    const value = arm.metrics[metric.name]?.value;
    return Number.isFinite(value) ? sign * value : Infinity;
  };
  const less = (a, b) => (a === b ? 0 : a < b ? -1 : 1);
  return [...arms].sort((a, b) =>
    less(rankOf(a), rankOf(b)) || less(valueOf(a), valueOf(b)) || a.arm_id.localeCompare(b.arm_id));
}

/** "1 violation", "2 violations"; other faults are called the same however many there are. */
export function faultWords(name, n) {
  return n === 1 && name === "violations" ? "violation" : name;
}
