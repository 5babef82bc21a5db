/**
 * The commands of a program that do something, with their whole names.
 */
import type { Command } from 'commander';

export interface LeafCommand {
  /** `['config', 'set']`. */
  path: string[];
  command: Command;
}

export function leafCommands(command: Command, path: string[] = []): LeafCommand[] {
  if (command.commands.length === 0) return [{ path, command }];
  return command.commands.flatMap((each) => leafCommands(each, [...path, each.name()]));
}
