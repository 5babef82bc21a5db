export interface SetUpOptions {
  say: (line: string) => void;
  install?: (cloneDir: string) => Promise<void>;
}
export function setUp(cloneDir: string, options: SetUpOptions): Promise<void>;
export function chooseNode(cloneDir: string, current?: { version: string; path: string }): string;
