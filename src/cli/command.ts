import type { CommandModule } from 'yargs';

/** One line of the command list. Modules load only when their command is used. */
export interface Command {
  readonly name: string;
  /** As in the overview. */
  readonly usage: string;
  readonly summary: string;
  /** For other commands to call: not in the overview. */
  readonly isInternal?: boolean;
  readonly load: () => Promise<CommandModule>;
}
