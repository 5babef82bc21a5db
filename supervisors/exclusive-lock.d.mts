export interface HeldLock {
  release: () => void;
  holderPid?: undefined;
}
export interface TakenLock {
  release?: undefined;
  holderPid: number;
}
export function holderOf(path: string): number | undefined;
export function tryLock(path: string): HeldLock | TakenLock;
export function waitForLock(path: string, onWait?: (holderPid: number) => void): Promise<HeldLock>;
