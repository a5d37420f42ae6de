import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import type { Registry } from '../../config/plugins/registry.js';
import { UsageError } from '../../errors.js';
import { causeOf } from '../../files/disk.js';
import { listOf, manual } from '../options.js';

interface SchemaArguments {
  sweep?: boolean;
  plugins?: string[];
  out?: string;
}

/** `fln schema [--sweep] [--plugins FILE,...] [--out FILE]` */
export const schemaCommand: CommandModule<object, SchemaArguments> = {
  command: 'schema',
  describe: 'print the JSON Schema of config or sweep files, for completion in editors',
  builder: (yargs) =>
    yargs
      .options({
        sweep: { type: 'boolean', describe: 'the schema of sweep files instead of config files' },
        plugins: {
          type: 'string',
          describe: 'modules whose methods, activations, ... the schema has too: FILE,...',
          coerce: listOf('plugins'),
        },
        out: {
          type: 'string',
          requiresArg: true,
          describe: 'write to this file instead of stdout',
        },
      })
      .example('$0 schema --out experiment.json', 'for the first line of a config, see below')
      .example('$0 schema --sweep', 'the schema of sweep files')
      .example('$0 schema --plugins mine.mjs', 'with the entries of a plugin (docs/plugins.md)')
      .epilogue(
        manual(
          'Editors with a YAML language server complete and check a config that begins with\n  # yaml-language-server: $schema=experiment.json',
          { 0: 'ok', 2: 'usage, or the file cannot be written' },
        ),
      ),
  handler: async ({ sweep, plugins, out }) => {
    if (sweep && plugins) throw new UsageError('--plugins is for config files: remove --sweep');
    // Loaded here, so that `fln --help` does not wait for the schema library.
    const text = sweep
      ? (await import('../../sweep/schema.js')).sweepSchemaText()
      : await configSchema(plugins ?? []);
    if (out === undefined) process.stdout.write(text);
    else writeText(out, text);
  },
};

async function configSchema(files: readonly string[]): Promise<string> {
  const { experimentSchemaText } = await import('../../config/schema.js');
  return experimentSchemaText(await registryWith(files));
}

/** The names of the program and those of plugins, whose code runs. @throws UsageError */
export async function registryWith(files: readonly string[]): Promise<Registry> {
  const { builtIn, withPlugin } = await import('../../config/plugins/registry.js');
  const { loadPlugin } = await import('../../config/plugins/load.js');
  const plugins = files.map((file) => loadPlugin(resolve(file)));
  return plugins.reduce(withPlugin, builtIn);
}

/** Writes what a command prints to a file. @throws UsageError that says why it cannot be written */
export function writeText(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new UsageError(`Cannot write ${file}: ${causeOf(error as NodeJS.ErrnoException)}`, {
      cause: error,
    });
  }
}
