import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { ArgumentsCamelCase, CommandModule, InferredOptionTypes } from 'yargs';
import type { BoundSettings } from '../../bound/problem.js';
import type { Experiment } from '../../config/experiment.js';
import {
  configArgument,
  dataDir,
  decimalsOf,
  json,
  manual,
  offline,
  once,
  oneNumber,
  overridesArgument,
} from '../options.js';
import { note, print, printJson, printText, warn } from '../render/print.js';

const options = {
  lambda: {
    type: 'string',
    default: '0.01,0.1,1,10,100,1000' as const,
    describe: 'penalty weights',
    coerce: decimalsOf('lambda'),
  },
  rho: {
    type: 'string',
    default: '0.001' as const,
    describe: 'ridge rho ||W||^2: one value, or one a layer; every one positive',
    coerce: decimalsOf('rho'),
  },
  sweeps: {
    type: 'string',
    default: '20' as const,
    describe: 'maximum number of sweeps over all blocks, for each lambda and start',
    coerce: oneNumber('sweeps'),
  },
  certify: {
    type: 'boolean',
    describe:
      'one hidden ReLU layer, loss mse: a certified lower bound over all widths, beside the value that training reaches',
  },
  seed: {
    type: 'string',
    describe: "seed of the initial weights; default: the config's first",
    coerce: oneNumber('seed'),
  },
  out: {
    type: 'string',
    describe: 'folder for the results; default results/NAME/bound-HASH',
    coerce: once('out'),
  },
  'data-dir': dataDir,
  offline,
  json,
} as const;

type BoundArguments = InferredOptionTypes<typeof options> & {
  config: string;
  overrides: string[];
};

/** `fln bound CONFIG [path=value ...]` */
export const boundCommand: CommandModule<object, BoundArguments> = {
  command: 'bound <config> [overrides..]',
  describe: 'lifted and feed-forward objectives over a range of lambda, and what they certify',
  builder: (parser) =>
    parser
      .positional('config', configArgument)
      .positional('overrides', overridesArgument('values to change: dataset.limit=200'))
      .options(options)
      .example('$0 bound configs/bound.yaml', 'a small network')
      .example('$0 bound configs/bound-one-layer.yaml', 'one layer, where the minimum is certified')
      .example(
        '$0 bound configs/bound-certify.yaml --certify --rho 0.3',
        'a lower bound for networks of any width',
      )
      .epilogue(
        manual(
          'Takes the data set, the network and the loss of the config, and all training images at once. ' +
            'docs/bound.md has the problems that are solved, and what the values prove.',
          {
            0: 'ok',
            1: 'a disk error',
            2: 'usage or config',
            5: 'data missing or damaged',
            130: 'Ctrl-C',
          },
        ),
      ) as never,
  handler: boundHandler,
};

async function boundHandler(args: ArgumentsCamelCase<BoundArguments>): Promise<void> {
  const { loadExperiment } = await import('../../config/load.js');
  const { boundSettings } = await import('../../bound/problem.js');
  const { experiment, warnings } = loadExperiment(args.config, args.overrides.map(String));
  warn(warnings);
  const settings = boundSettings(experiment, {
    lambda: args.lambda!,
    rho: args.rho!,
    sweeps: args.sweeps!,
    seed: args.seed,
    certify: args.certify,
  });
  const { computeBound } = await import('../../bound/bound.js');
  const { describeBound, statementsOf, writeBound } = await import('../../bound/write-bound.js');
  const { boundText, boundProgress, certificateText } = await import('../render/bound.js');
  const { shortPath } = await import('../render/print.js');

  const data = { dataDir: args.dataDir, offline: args.offline };
  const result = await computeBound(experiment, settings, data, (row) => {
    if (!args.json) note(boundProgress(row));
  });
  const { report, dataset } = result;
  const directory = args.out ?? defaultDirectory(experiment, settings);
  const files = await writeBound(directory, experiment, result);
  if (args.json) {
    const content = { ...report, statements: statementsOf(report), files };
    printJson(content);
    return;
  }
  const description = describeBound(experiment, dataset.train.count, report);
  printText(
    report.kind === 'certificate'
      ? certificateText(report, description)
      : boundText(report, description),
  );
  print(`Written: ${files.map(shortPath).join(', ')}`);
}

/** One folder for each problem, so that none overwrites another. */
function defaultDirectory({ name, resolved }: Experiment, settings: BoundSettings): string {
  const { dataset, network, loss, backend, device, plugins } = resolved;
  const problem = JSON.stringify({ dataset, network, loss, backend, device, settings, plugins });
  const hash = createHash('sha256').update(problem).digest('hex').slice(0, 12);
  return join('results', name, `bound-${hash}`);
}
