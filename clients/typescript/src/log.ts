/** What the SDK has to say: a line, and where there was one the error behind it. */
export type Log = (line: string, error?: unknown) => void;

/** Lines on stderr, with the time; errors with their stack. */
export function logToStderr(line: string, error?: unknown): void {
  const time = new Date().toTimeString().slice(0, 8);
  const stack = error instanceof Error && error.stack ? `\n${error.stack}` : "";
  process.stderr.write(`${time} ${line}${stack}\n`);
}
