/**
 * Finds the endpoints of a path. A fixed segment wins over a parameter, whatever the order of the table.
 */
import { CodedError } from '../../runtime/errors.ts';
import type { AnyEndpoint, Method } from './endpoint.ts';

export interface Found {
  /** By method; a path that is found has at least one. */
  endpoints: ReadonlyMap<Method, AnyEndpoint>;
  /** Of the path, decoded, by name. */
  parameters: Record<string, string>;
}

interface Node {
  fixed: Map<string, Node>;
  parameter: Node | undefined;
  /** With the names of the parameters on the way here: two methods may name them differently. */
  endpoints: Map<Method, AnyEndpoint>;
}

export class Router {
  readonly #root = emptyNode();

  /** Throws E_ROUTE_TWICE when two endpoints have the same method and path. */
  constructor(endpoints: readonly AnyEndpoint[]) {
    for (const endpoint of endpoints) {
      let node = this.#root;
      for (const segment of segmentsOf(endpoint.path)) {
        if (segment.startsWith(':')) node = node.parameter ??= emptyNode();
        else {
          const next = node.fixed.get(segment) ?? emptyNode();
          node.fixed.set(segment, next);
          node = next;
        }
      }
      if (node.endpoints.has(endpoint.method)) {
        throw new CodedError('E_ROUTE_TWICE', `two endpoints are ${endpoint.method} ${endpoint.path}`, {
          kind: 'defect',
        });
      }
      node.endpoints.set(endpoint.method, endpoint);
    }
  }

  /** `path` as it came, still percent-encoded. Undefined when there is nothing at it. */
  find(path: string): Found | undefined {
    const segments = segmentsOf(path);
    const values: string[] = [];
    const node = walk(this.#root, segments, 0, values);
    if (node === undefined) return undefined;
    const [first] = node.endpoints.values();
    const names = segmentsOf(first?.path ?? '').filter((segment) => segment.startsWith(':'));
    return {
      endpoints: node.endpoints,
      parameters: Object.fromEntries(names.map((name, at) => [name.slice(1), decoded(values[at] ?? '')])),
    };
  }
}

/** The methods of a path as an `Allow` header has them. */
export function allowOf(endpoints: ReadonlyMap<Method, AnyEndpoint>): string {
  const methods = [...endpoints.keys()].flatMap((method) =>
    method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()],
  );
  return [...methods, 'OPTIONS'].join(', ');
}

function walk(node: Node, segments: readonly string[], at: number, values: string[]): Node | undefined {
  const segment = segments[at];
  if (segment === undefined) return node.endpoints.size === 0 ? undefined : node;
  const fixed = node.fixed.get(segment);
  const found = fixed === undefined ? undefined : walk(fixed, segments, at + 1, values);
  if (found !== undefined) return found;
  if (node.parameter === undefined || segment === '') return undefined;
  values.push(segment);
  const below = walk(node.parameter, segments, at + 1, values);
  if (below === undefined) values.pop();
  return below;
}

function emptyNode(): Node {
  return { fixed: new Map(), parameter: undefined, endpoints: new Map() };
}

function segmentsOf(path: string): string[] {
  return path.split('/').slice(1);
}

/** What is not percent-encoded UTF-8 stays as it is: it names nothing. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
