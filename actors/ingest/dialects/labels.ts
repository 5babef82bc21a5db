/**
 * Which host a set of labels is about (Loki streams, Alertmanager alerts): the first of these labels that is not empty.
 * `instance` is an address, of which the port is left off; `node` and `job` are the last resort.
 */
import type { Fields } from '../known-shapes.ts';

export const HOST_LABELS = ['host', 'hostname', 'instance', 'node', 'job'] as const;

export function hostOfLabels(labels: Fields): string | undefined {
  for (const name of HOST_LABELS) {
    const value = labels[name];
    if (typeof value !== 'string' || value === '') continue;
    return name === 'instance' ? withoutPort(value) : value;
  }
  return undefined;
}

function withoutPort(address: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(address);
  if (bracketed !== null) return bracketed[1]!;
  return /^([^:]+):\d{1,5}$/.exec(address)?.[1] ?? address;
}
