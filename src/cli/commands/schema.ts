import { writeFileSync } from 'node:fs';
import type { CommandModule } from 'yargs';
import { UsageError } from '../../errors.js';

interface SchemaArguments {
  sweep?: boolean;
  out?: string;
}

/** `fln schema [--sweep] [--out FILE]`: what editors need to complete and check a config. */
export const schemaCommand: CommandModule<object, SchemaArguments> = {
  command: 'schema',
  describe: 'print the JSON Schema of config or sweep files, for completion in editors',
  builder: (yargs) =>
    yargs.options({
      sweep: { type: 'boolean', describe: 'of sweep files, rather than experiments' },
      out: { type: 'string', requiresArg: true, describe: 'write it to this file instead' },
    }),
  handler: async ({ sweep, out }) => {
    // Loaded here, so that `fln --help` does not wait for the schema library.
    const text = sweep
      ? (await import('../../sweep/schema.js')).sweepSchemaText()
      : (await import('../../config/schema.js')).experimentSchemaText();
    if (out === undefined) process.stdout.write(text);
    else write(out, text);
  },
};

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reasons: Record<string, string> = {
      ENOENT: 'its folder does not exist',
      EISDIR: 'it is a folder',
      EACCES: 'permission denied',
    };
    throw new UsageError(`Cannot write ${file}: ${reasons[code ?? ''] ?? message}`, {
      cause: error,
    });
  }
}
