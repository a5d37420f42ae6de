import { commands } from './commands.js';

/** The text of `fln --help`. It needs no argument parser, so it answers at once. */
export function overview(): string {
  const listed = commands.filter(({ isInternal }) => !isInternal);
  const width = Math.max(...listed.map(({ usage }) => usage.length));
  const list = listed.map(({ usage, summary }) => `  fln ${usage.padEnd(width)}  ${summary}`);
  return `fln trains Fenchel lifted networks beside their baselines, on the same data with the same
network, and draws what it measured.

Commands:
${list.join('\n')}

  fln COMMAND --help   options of one command
  fln --version        version of the program

Examples:
  fln run configs/quickstart.yaml            train and draw in under a minute, no download needed
  fln run configs/mnist-mlp.yaml epochs=2    the same kind of experiment on MNIST, one value changed
  fln run configs/mnist-mlp.yaml --dry-run   check everything, train nothing

Environment:
  FLN_DATA_DIR    folder with data files, searched before the cache
  FLN_CACHE_DIR   folder for downloads and installed backends

Exit codes: 0 ok, 1 a run failed, 2 usage or config, 3 regression, 4 backend, 5 data,
75 checkpointed, to be run again, 130 interrupted
`;
}
