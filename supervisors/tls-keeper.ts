/**
 * Keeps the certificate of the ingest port: reads and checks its files at the start, looks at them every few seconds, and
 * gives out what replaces them.
 *
 * Certificates are renewed by programs that know nothing of us: files appear one after another, or are half written. So
 * what cannot be used is looked at once more before it is told. Invariant: what is in force was whole and usable when it
 * was read; files that are not never replace it.
 */
import { expiryMs, fingerprintOf, isSameMaterial, readTlsMaterial } from '../gateways/http/tls-material.ts';
import type { TlsFiles, TlsMaterial } from '../gateways/http/tls-material.ts';
import type { Clock } from '../runtime/clock.ts';
import { codeOf, messageOf } from '../runtime/errors.ts';
import { CounterBlock } from '../runtime/shared/counters.ts';
import type { CounterLayout } from '../runtime/shared/counters.ts';
import type { Log } from '../runtime/telemetry/log.ts';

const LOOK_EVERY_MS = 2_000;
const DAY_MS = 86_400_000;
/** Every day that is left of these is told. */
export const EXPIRY_WARNING_MS = 14 * DAY_MS;

export const TLS_LAYOUT: CounterLayout = [
  {
    name: 'mutt_tls_certificate_expiry_timestamp_seconds',
    kind: 'gauge',
    help: 'When the certificate in force ends, or the first of its chain.',
  },
  {
    name: 'mutt_tls_files_unusable',
    kind: 'gauge',
    help: '1 while the certificate files cannot be used; what was read before stays in force.',
  },
];
const EXPIRY = 0;
const UNUSABLE = 1;

export interface TlsKeeperOptions {
  files: TlsFiles;
  clock: Pick<Clock, 'wallMs'>;
  log: Pick<Log, 'info' | 'warn' | 'error'>;
  onRenewed: () => void;
}

export class TlsKeeper {
  readonly counters = new CounterBlock(TLS_LAYOUT);
  readonly #options: TlsKeeperOptions;
  #material: TlsMaterial | undefined;
  /** What is wrong with the files, and how many looks in a row have found it. */
  #trouble: { text: string; looks: number } | undefined;
  #warnedAtMs = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;

  constructor(options: TlsKeeperOptions) {
    this.#options = options;
  }

  /** What is in force; undefined before the start. */
  get material(): TlsMaterial | undefined {
    return this.#material;
  }

  /** Rejects with `E_TLS_*`. */
  async start(): Promise<void> {
    const { files, clock } = this.#options;
    this.#put(await readTlsMaterial(files, clock.wallMs()));
    this.#warnOfExpiry();
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  /** Looks at the files now. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const { files, clock, log, onRenewed } = this.#options;
    try {
      const found = await readTlsMaterial(files, clock.wallMs());
      this.#settle();
      if (this.#material !== undefined && !isSameMaterial(found, this.#material)) {
        this.#put(found);
        log.info(describe(found), 'new TLS certificate');
        onRenewed();
      }
    } catch (thrown) {
      this.#suspect(thrown);
    }
    this.#warnOfExpiry();
  }

  #put(material: TlsMaterial): void {
    this.#material = material;
    this.#warnedAtMs = -Infinity;
    this.counters.set(EXPIRY, Math.floor(expiryMs(material) / 1_000));
  }

  #settle(): void {
    if (this.counters.get(UNUSABLE) === 1) this.#options.log.info({}, 'the TLS files can be used again');
    this.#trouble = undefined;
    this.counters.set(UNUSABLE, 0);
  }

  #suspect(thrown: unknown): void {
    const text = messageOf(thrown);
    const looks = this.#trouble?.text === text ? this.#trouble.looks + 1 : 1;
    this.#trouble = { text, looks };
    if (looks < 2) return;
    this.counters.set(UNUSABLE, 1);
    if (looks > 2) return;
    this.#options.log.error(
      { code: codeOf(thrown), message: text, mend: (thrown as { mend?: string }).mend },
      'the TLS files cannot be used; what was read before stays in force',
    );
  }

  #warnOfExpiry(): void {
    const { clock, log } = this.#options;
    const nowMs = clock.wallMs();
    if (this.#material === undefined || nowMs - this.#warnedAtMs < DAY_MS) return;
    if (expiryMs(this.#material) - nowMs > EXPIRY_WARNING_MS) return;
    this.#warnedAtMs = nowMs;
    log.warn(describe(this.#material), 'the TLS certificate ends soon: renew it');
  }
}

function describe(material: TlsMaterial): { fingerprint: string; expires_at: string } {
  return { fingerprint: fingerprintOf(material), expires_at: new Date(expiryMs(material)).toISOString() };
}
