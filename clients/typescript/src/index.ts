/**
 * Connect a recommender to RecArena: implement `Recommender`, then `serve` it.
 *
 * The messages that its methods are given are those of `recarena.v1`, as protobuf-es makes them;
 * the common ones can be imported from here.
 *
 * @packageDocumentation
 */

export type { Answer, ItemColumns, ListedItem, Ranked, Reply } from "./answers.js";
export { Catalog } from "./catalog.js";
export type { FeedbackColumns, RankBatch, SearchBatch } from "./columns.js";
export { type Credentials, tls, type TlsFiles } from "./credentials.js";
export {
  BadCredentials,
  BadOption,
  ClientError,
  Fenced,
  InvalidRegister,
  NotAuthenticated,
  NotPermitted,
  PreconditionFailed,
  ProtocolBroken,
  RecommenderFailed,
  Refused,
  Unreachable,
  WrongAnswer,
} from "./errors.js";
export type { FeedbackBatch } from "./gen/recarena/v1/feedback_pb.js";
export { Capability } from "./gen/recarena/v1/session_pb.js";
export {
  type CandidateSet,
  type Evidence,
  Evidence_Kind,
  type Explanation,
  ExplanationMode,
  type Impression,
  Impression_Source,
  type Interaction,
  Interaction_Type,
  type Item,
  type RankedItem,
  Surface,
} from "./gen/recarena/v1/types_pb.js";
export {
  type ConverseWork,
  type RankQuery,
  type SearchQuery,
  type Turn,
  Turn_Speaker,
  type UserContext,
} from "./gen/recarena/v1/work_pb.js";
export type { Log } from "./log.js";
export type { Encoding } from "./offer.js";
export type { Maybe, Recommender, RunInfo } from "./recommender.js";
export { serve, type ServeOptions } from "./serving.js";
