import { ExitCode, UsageError } from '../errors.js';
import { commands } from './commands.js';

/**
 * Runs the command of a command line. Its exit code is in `process.exitCode`.
 * @param args the command line after `fln`
 * @throws UsageError, and the errors of the command
 */
export async function dispatch([first, ...rest]: readonly string[]): Promise<void> {
  if (first === undefined) {
    process.stderr.write(overview());
    process.exitCode = ExitCode.usage;
    return;
  }
  if (first === 'help' && rest.length > 0) return dispatch([rest[0], '--help']);
  if (['--help', '-h', 'help'].includes(first)) {
    process.stdout.write(overview());
    return;
  }
  if (first === '--version') {
    const { programInfo } = await import('../shared/provenance.js');
    process.stdout.write(`${programInfo().version}\n`);
    return;
  }
  const { ArgumentError, buildParser, describeArgumentError, unknownCommand } = await import(
    './parser.js'
  );
  const command = commands.find(({ name }) => name === first);
  if (command === undefined) throw new UsageError(unknownCommand(first));

  const module = await command.load();
  try {
    await buildParser([first, ...rest], module).parseAsync();
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error;
    throw new UsageError(describeArgumentError(error.message, first, module, rest));
  }
}

/** The text of `fln --help`, without loading the argument parser. */
export function overview(): string {
  const listed = commands.filter(({ isInternal }) => !isInternal);
  const width = Math.max(...listed.map(({ usage }) => usage.length));
  const list = listed.map(({ usage, summary }) => `  fln ${usage.padEnd(width)}  ${summary}`);
  return `fln trains Fenchel lifted networks and their baselines with the same data and network, and draws the
results.

Commands:
${list.join('\n')}

  fln COMMAND --help   options of one command
  fln --version        version of the program

Examples:
  fln run configs/quickstart.yaml            train and draw in under a minute, without download
  fln run configs/mnist-mlp.yaml epochs=2    an experiment on MNIST, with one value changed
  fln run configs/mnist-mlp.yaml --dry-run   check everything, train nothing

Environment:
  FLN_DATA_DIR    folder with data files, searched before the cache
  FLN_CACHE_DIR   folder for downloads and installed backends

Exit codes: 0 ok, 1 a run failed, 2 usage or config, 3 regression, 4 backend, 5 data,
75 stopped after a checkpoint (resume with --resume), 130 interrupted
`;
}
