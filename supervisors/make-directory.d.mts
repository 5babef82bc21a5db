export function makeDirectory(path: string, mode: number): void;
