/**
 * What a node says of itself: the document of `GET /status`.
 */
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { actorDocument, count, orNull, time, workerVersions } from './documents.ts';
import type { ActorDocument } from './documents.ts';
import { latencyDocument } from './metric-documents.ts';
import type { LatencyDocument } from './metric-documents.ts';

/** The rule set of the match threads. */
const ruleSetStatus = Type.Object({
  version: count,
  in_use: count,
  suspended: count,
  refused: count,
  image_bytes: count,
  build_ms: count,
  is_building: Type.Boolean(),
  failure: orNull(Type.Object({ code: Type.String(), message: Type.String(), since: time, attempts: count })),
});

/** What is wrong with MUTT itself, while it is. */
const ownAlert = Type.Object({
  /** `mutt::<condition>::<object>`. */
  signature: Type.String(),
  description: Type.String(),
  since: time,
  /** False: another node tells it. */
  told_here: Type.Boolean(),
});

export const statusDocument = Type.Object(
  {
    ready: Type.Boolean(),
    reasons: Type.Array(Type.String()),
    version: Type.String(),
    pid: Type.Integer(),
    uptime_seconds: Type.Number(),
    addresses: Type.Record(Type.String(), Type.String()),
    snapshot: Type.Object({ version: count, applied: workerVersions }, { additionalProperties: true }),
    rules: ruleSetStatus,
    latency: latencyDocument,
    own_alerts: Type.Array(ownAlert),
    actors: actorDocument,
  },
  { title: 'Status', additionalProperties: true },
);
export interface StatusDocument {
  ready: boolean;
  reasons: string[];
  version: string;
  pid: number;
  uptime_seconds: number;
  addresses: Record<string, string>;
  snapshot: { version: number; applied: { worker: string; version: number }[] };
  rules: Static<typeof ruleSetStatus>;
  latency: LatencyDocument;
  own_alerts: Static<typeof ownAlert>[];
  actors: ActorDocument;
}
