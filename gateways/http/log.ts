/** The part of a logger that HTTP gateways use. A pino logger is one. Never give it a key or an event's content. */
export interface GatewayLog {
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}
