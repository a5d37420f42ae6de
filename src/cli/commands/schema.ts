import { writeFileSync } from 'node:fs';
import type { CommandModule } from 'yargs';
import { UsageError } from '../../errors.js';
import { manual } from '../options.js';

interface SchemaArguments {
  sweep?: boolean;
  out?: string;
}

/** `fln schema [--sweep] [--out FILE]` */
export const schemaCommand: CommandModule<object, SchemaArguments> = {
  command: 'schema',
  describe: 'print the JSON Schema of config or sweep files, for completion in editors',
  builder: (yargs) =>
    yargs
      .options({
        sweep: { type: 'boolean', describe: 'the schema of sweep files instead of config files' },
        out: {
          type: 'string',
          requiresArg: true,
          describe: 'write to this file instead of stdout',
        },
      })
      .example('$0 schema --out experiment.json', 'for the first line of a config, see below')
      .example('$0 schema --sweep', 'the schema of sweep files')
      .epilogue(
        manual(
          'Editors with a YAML language server complete and check a config that begins with\n  # yaml-language-server: $schema=experiment.json',
          { 0: 'ok', 2: 'usage, or the file cannot be written' },
        ),
      ),
  handler: async ({ sweep, out }) => {
    // Loaded here, so that `fln --help` does not wait for the schema library.
    const text = sweep
      ? (await import('../../sweep/schema.js')).sweepSchemaText()
      : (await import('../../config/schema.js')).experimentSchemaText();
    if (out === undefined) process.stdout.write(text);
    else writeText(out, text);
  },
};

/** Writes what a command prints to a file. @throws UsageError that says why it cannot be written */
export function writeText(file: string, text: string): void {
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
