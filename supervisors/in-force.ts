/**
 * What holds on this node: the last snapshot with this node's own defaults and keys, in the form each kind of worker is
 * told it. Match threads have the last one whose rules are built (rule-set/rule-set-keeper.ts).
 */
import type { RuleSet } from '../actors/match/rule-set/rule-set.ts';
import type { Snapshot } from '../actors/ports.ts';
import { effectiveSettings } from '../actors/settings.ts';
import type { Settings } from '../actors/settings.ts';
import { pepperFingerprint } from '../gateways/http/key-ring.ts';
import type { KeyRecord } from '../gateways/http/key-ring.ts';
import { systemClock } from '../runtime/clock.ts';
import { CodedError } from '../runtime/errors.ts';
import type { Log } from '../runtime/telemetry/log.ts';
import { keysInForce } from './key-records.ts';
import type { NodeKeys } from './node-keys.ts';
import { HitTally } from './rule-set/hit-tally.ts';
import { RuleBuilder } from './rule-set/rule-builder.ts';
import { RuleSetKeeper } from './rule-set/rule-set-keeper.ts';
import type { StaticConfig } from './static-config.ts';
import type {
  AdminInForce,
  ForwardInForce,
  GatewayInForce,
  InForce,
  RemediationInForce,
} from './threads/worker-messages.ts';

export interface NodeInForceOptions {
  config: Pick<StaticConfig, 'settings'>;
  keys: Pick<NodeKeys, 'pepper' | 'records'>;
  log: Log;
  /** Other rules, or another rest, for match threads. */
  onRules: () => void;
  /** A new image, before any thread has it. */
  onImage: (rules: RuleSet) => void;
}

interface Held {
  settings: Settings;
  snapshot: Snapshot;
  keys: KeyRecord[];
}

export class NodeInForce {
  /** How often rules have matched, until it is stored. */
  readonly hits = new HitTally();
  /** What match threads run. */
  readonly rules: RuleSetKeeper;
  readonly #options: NodeInForceOptions;
  readonly #builder = new RuleBuilder();
  readonly #warnedKeys = new Set<string>();
  #held: Held | undefined;

  constructor(options: NodeInForceOptions) {
    this.#options = options;
    this.rules = new RuleSetKeeper({
      build: (rules, version) => this.#builder.build(rules, version),
      tally: this.hits,
      clock: systemClock,
      log: options.log,
      onChange: options.onRules,
      onImage: options.onImage,
    });
  }

  /** Gives back the settings in effect. */
  put(snapshot: Snapshot): Settings {
    const { config, keys, log } = this.#options;
    const fingerprint = pepperFingerprint(Buffer.from(keys.pepper, 'hex'));
    const { records, foreign } = keysInForce(keys.records, snapshot.keys, fingerprint);
    for (const name of foreign) {
      if (this.#warnedKeys.has(name)) continue;
      this.#warnedKeys.add(name);
      log.warn(
        { name },
        'this key was made on a node with another pepper and is not taken here; copy keys/pepper from there and restart',
      );
    }
    const settings = effectiveSettings(snapshot.settings, config.settings);
    this.#held = { settings, snapshot, keys: records };
    this.rules.put({ version: snapshot.version, settings, snapshot });
    return settings;
  }

  /** What was set for all nodes; undefined before there is anything. */
  get snapshot(): Snapshot | undefined {
    return this.#held?.snapshot;
  }

  /** The version this worker is to run; undefined before there is one. */
  versionFor(worker: string): number | undefined {
    return isMatch(worker) ? this.rules.inForce?.version : this.#held?.snapshot.version;
  }

  /** Of the functions below: E_NO_RULE_SET (transient) before there is anything. */
  get plain(): InForce {
    const { settings, snapshot } = this.#require();
    return { version: snapshot.version, settings };
  }

  get forward(): ForwardInForce {
    return { ...this.plain, destinations: this.#require().snapshot.destinations };
  }

  get remediation(): RemediationInForce {
    return { ...this.plain, destinations: this.#require().snapshot.destinations.map(({ name }) => name) };
  }

  get gateway(): GatewayInForce {
    return { ...this.plain, keys: this.#require().keys };
  }

  get admin(): AdminInForce {
    const { keys, snapshot } = this.#require();
    const storedKeys = snapshot.keys.map(({ name }) => name);
    return { ...this.plain, keys, storedKeys, destinations: snapshot.destinations };
  }

  async close(): Promise<void> {
    this.rules.close();
    await this.#builder.close();
  }

  #require(): Held {
    if (this.#held !== undefined) return this.#held;
    throw noRuleSet();
  }
}

export function isMatch(worker: string): boolean {
  return worker.startsWith('match-');
}

export function noRuleSet(): CodedError {
  return new CodedError('E_NO_RULE_SET', 'no rule set has been loaded yet', { kind: 'transient' });
}
