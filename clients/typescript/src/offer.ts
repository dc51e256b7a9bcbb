/** What a recommender says of itself when it registers. */

import type { MessageInitShape } from "@bufbuild/protobuf";

import type { Engagement } from "./engagement.js";
import { BadOption, ProtocolBroken } from "./errors.js";
import { Capability, type Registered, type RegisterSchema } from "./gen/recarena/v1/session_pb.js";
import { nameOf, type Recommender } from "./recommender.js";

/** "auto": columnar where the recommender has methods for it, rich otherwise. */
export type Encoding = "auto" | "rich" | "columnar";

const PROTOCOL_MINOR = 0;
/** Works that the server has under way at once when maxOutstandingWork is 0. */
export const DEFAULT_OUTSTANDING = 4;

/** Everything of Register that does not change from session to session. */
export interface Offer {
  readonly recommenderId: string;
  readonly encoding: Encoding;
  readonly softwareVersion: string;
  readonly maxUsersPerWork: number;
  readonly maxOutstandingWork: number;
  /** In place of what the recommender's methods tell. */
  readonly capabilities: readonly Capability[] | undefined;
}

/**
 * The first message of a session.
 *
 * @throws BadOption the recommender has not the methods that the offer needs.
 */
export function register(
  offer: Offer, instanceId: string, engagement: Engagement,
): MessageInitShape<typeof RegisterSchema> {
  const { recommender, run } = engagement;
  return {
    recommenderId: offer.recommenderId,
    instanceId,
    softwareName: nameOf(recommender),
    softwareVersion: offer.softwareVersion,
    protocolMinor: PROTOCOL_MINOR,
    capabilities: [...features(offer, recommender)].sort((a, b) => a - b),
    maxOutstandingWork: offer.maxOutstandingWork,
    maxUsersPerWork: offer.maxUsersPerWork,
    resumeSessionId: run ? engagement.sessionId : "",
    resumeRunId: run ? run.runId : "",
    feedbackCursor: run ? engagement.cursor : "",
    catalogVersion: run ? run.catalog.version : "",
  };
}

/**
 * The capabilities to offer for a recommender.
 *
 * @throws BadOption it cannot rank in the encoding that is asked for.
 */
export function features(offer: Offer, recommender: Recommender): Set<Capability> {
  const name = nameOf(recommender);
  const missing = columnarGaps(recommender);
  const gaps = missing.join(" and no ");
  if (offer.encoding === "columnar" && gaps) {
    throw new BadOption(`encoding: "columnar", but ${name} has no ${gaps}`);
  }
  if (offer.encoding === "rich" && !recommender.rank) {
    throw new BadOption(`encoding: "rich", but ${name} has no rank`);
  }
  if (gaps && !recommender.rank) {
    throw new BadOption(`${name} has no rank, and for columnar no ${gaps}`);
  }
  if (offer.capabilities) {
    return new Set([Capability.RANK, ...offer.capabilities]);
  }
  const columnar = !gaps && offer.encoding !== "rich";
  const found = new Set([Capability.RANK]);
  if (columnar ? recommender.searchColumns : recommender.search) {
    found.add(Capability.SEARCH);
  }
  if (recommender.converse) {
    found.add(Capability.CONVERSE);
  }
  if (columnar) {
    found.add(Capability.COLUMNAR);
  }
  return found;
}

/** Methods that a columnar session would miss: rankColumns, and the forms of what is there. */
function columnarGaps(recommender: Recommender): string[] {
  const gaps = recommender.rankColumns ? [] : ["rankColumns"];
  if (recommender.search && !recommender.searchColumns) {
    gaps.push("searchColumns");
  }
  if (recommender.feedback && !recommender.feedbackColumns) {
    gaps.push("feedbackColumns");
  }
  return gaps;
}

export function isColumnar(registered: Registered): boolean {
  return registered.capabilities.includes(Capability.COLUMNAR);
}

/**
 * Whether the recommender has methods for the encoding that is in force.
 *
 * @throws ProtocolBroken it has not, because the server does not know COLUMNAR.
 */
export function checkEncoding(
  offer: Offer, registered: Registered, recommender: Recommender,
): void {
  if (!isColumnar(registered) && (offer.encoding === "columnar" || !recommender.rank)) {
    throw new ProtocolBroken(
      `the server does not know COLUMNAR, and ${nameOf(recommender)} is served in that encoding` +
        " alone",
    );
  }
}
