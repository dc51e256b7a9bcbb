// How long ago something was.

/** "just now", "3 min ago", "2 h ago", "5 d ago"; "–" where it is not known. @param {string} iso @param {number} now in ms */
export function since(iso, now) {
  const then = iso ? Date.parse(iso) : NaN;
  if (!Number.isFinite(then)) return "–";
  const seconds = Math.max(0, Math.round((now - then) / 1000));
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}
