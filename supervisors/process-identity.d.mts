export function identityOf(pid: number): string | undefined;
export function isSameProcess(pid: number, identity: string | undefined): boolean;
export function descendantsOf(pid: number): number[];
export function pidsWithEnvironment(name: string, value: string): number[];
export function environmentOf(pid: number): string[];
