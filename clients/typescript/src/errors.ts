/**
 * The error tree.
 *
 *     ClientError                  all that the SDK throws on purpose, one line of text each
 *     ├── Refused                  the server said no for good: trying again would not help
 *     │   ├── InvalidRegister      INVALID_ARGUMENT: the registration breaks a rule
 *     │   ├── PreconditionFailed   FAILED_PRECONDITION: no common version, or RANK is missing
 *     │   ├── NotAuthenticated     UNAUTHENTICATED: the server does not know who this is
 *     │   ├── NotPermitted         PERMISSION_DENIED: this identity may not be that recommender
 *     │   └── Fenced               ABORTED: a newer session of the same instance took the run
 *     ├── Unreachable              no session for `retryFor` seconds
 *     ├── BadOption                an option of `serve` that cannot be meant
 *     ├── BadCredentials           files for TLS that cannot be used
 *     ├── ProtocolBroken           the server broke a rule of the session
 *     ├── RecommenderFailed        a method of the recommender threw; its error is the cause
 *     └── WrongAnswer              an answer does not fit its work (it becomes a WorkFailed)
 */

/** Base of all errors that the SDK throws on purpose. */
export class ClientError extends Error {
  override get name(): string {
    return this.constructor.name;
  }
}

/** The server's final no. `code` and `text` are the server's. */
export class Refused extends ClientError {
  readonly code: string;
  readonly text: string;

  constructor(code: string, text: string) {
    const line = oneLine(text);
    super(`the server refused: ${line || "no reason given"} (${code})`);
    this.code = code;
    this.text = line;
  }
}

/** The registration breaks a rule, for example the form of the recommender's id. */
export class InvalidRegister extends Refused {}

/** Server and recommender have no common ground, for example no common version. */
export class PreconditionFailed extends Refused {}

/** The token or certificate is missing, expired or unknown. */
export class NotAuthenticated extends Refused {}

/** The token or certificate is somebody else's. */
export class NotPermitted extends Refused {}

/** A newer session of the same instance serves the run. */
export class Fenced extends Refused {}

/** There was no session for `retryFor` seconds. */
export class Unreachable extends ClientError {}

/** An option of `serve` cannot be meant as it is given. */
export class BadOption extends ClientError {}

/** A file for TLS cannot be read, or is not what it is given as. */
export class BadCredentials extends ClientError {}

/** The server broke a rule of the session. */
export class ProtocolBroken extends ClientError {}

/** The recommender's `method` threw `cause`. */
export class RecommenderFailed extends ClientError {
  readonly method: string;

  constructor(method: string, cause: unknown) {
    super(`${method} threw ${described(cause)}`, { cause });
    this.method = method;
  }
}

/** What the recommender returned does not fit the work. */
export class WrongAnswer extends ClientError {}

/** How a call ended: a gRPC status code, and the server's words. */
export interface Status {
  code: number;
  details: string;
}

// Names of the gRPC status codes, by number.
const CODES = [
  "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
  "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
  "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
];
export const OK = 0;
export const INTERNAL = 13;
export const UNAVAILABLE = 14;

const FINAL = new Map<string, typeof Refused>([
  ["INVALID_ARGUMENT", InvalidRegister],
  ["FAILED_PRECONDITION", PreconditionFailed],
  ["UNAUTHENTICATED", NotAuthenticated],
  ["PERMISSION_DENIED", NotPermitted],
  ["ABORTED", Fenced],
]);

/** A call ended with a status other than OK, and it may be tried again. */
export class Broken extends ClientError {
  readonly status: Status;

  constructor(status: Status) {
    super(`${oneLine(status.details)} (${codeName(status.code)})`.trim());
    this.status = status;
  }
}

/** The typed error of a final status; undefined when it is worth coming back. */
export function refusal(status: Status): Refused | undefined {
  const name = codeName(status.code);
  const kind = FINAL.get(name);
  return kind && new kind(name, status.details);
}

export function codeName(code: number): string {
  return CODES[code] ?? `status ${code}`;
}

/** Type and text of whatever was thrown, on one line. */
export function described(thrown: unknown): string {
  if (!(thrown instanceof Error)) {
    return oneLine(String(thrown));
  }
  const text = oneLine(thrown.message);
  return text ? `${thrown.name}: ${text}` : thrown.name;
}

/** `text` without control characters, at most `limit` characters long. */
export function oneLine(text: string, limit = 300): string {
  const line = text.replace(/[\p{C}\p{Z}]+/gu, " ").trim();
  if (line.length <= limit) {
    return line;
  }
  const characters = Array.from(line);
  return characters.length <= limit ? line : `${characters.slice(0, limit - 1).join("")}…`;
}
