import type { Command } from 'commander';

/** A verb of the program; every one can answer in JSON. */
export function verb(program: Command, name: string, description: string): Command {
  return program.command(name).description(description).option('--json', 'print the answer as JSON');
}
