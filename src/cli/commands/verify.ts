import type { CommandModule } from 'yargs';
import { ExitCode, FlnError } from '../../errors.js';
import { once } from './values.js';

interface VerifyArguments {
  target: string;
  overrides: string[];
  run?: string;
  json: boolean;
}

/** `fln verify DIR|CONFIG [path=value ...]` */
export const verifyCommand: CommandModule<object, VerifyArguments> = {
  command: 'verify <target> [overrides..]',
  describe: "check measured accuracies against the config's expectations",
  builder: (yargs) =>
    yargs
      .positional('target', {
        type: 'string',
        demandOption: true,
        describe: 'a run directory, or a config whose run directory is looked up',
      })
      .positional('overrides', {
        type: 'string',
        array: true,
        default: [] as string[],
        describe: 'values changed in the run, or expectations: expect.fenchel.atLeast=0.98',
      })
      .options({
        run: {
          type: 'string',
          alias: 'out',
          describe: 'run directory of the config; default results/NAME/CONFIG-HASH',
          coerce: once('run'),
        },
        json: {
          type: 'boolean',
          default: false,
          describe: 'print JSON, and nothing else, on stdout',
        },
      })
      .example('$0 verify configs/mnist-mlp.yaml', 'the run that "fln run" made of this config')
      .example(
        '$0 verify configs/mnist-mlp.yaml --run results/reference/mnist-mlp',
        'another run of it',
      )
      .example('$0 verify results/reference/mnist-mlp', 'by the expectations it was run with')
      .epilogue(
        'Fails (exit 3) when the mean test accuracy over the seeds is below `atLeast` or above `atMost` ' +
          'by more than a tolerance for their spread, when one seed collapsed, and when a run of a method ' +
          'with an expectation failed or is missing. Exit 0 when all is well, 2 when there is nothing to ' +
          'verify. docs/verify.md has the rule and its error rates.',
      ) as never,
  handler: verifyHandler,
};

async function verifyHandler({ target, overrides, run, json }: VerifyArguments): Promise<void> {
  const { findTarget } = await import('../../verify/target.js');
  const { verify } = await import('../../verify/verify.js');
  const render = await import('../render/verification.js');

  const request = { target: String(target), overrides: overrides.map(String), runDirectory: run };
  const { experiment, config, directory } = findTarget(request);
  const verification = verify(experiment, directory);
  for (const { message } of directory.problems) process.stderr.write(`warning: ${message}\n`);
  const code = verification.ok ? ExitCode.ok : ExitCode.regression;
  process.stdout.write(
    json ? render.verificationJson(verification, code) : render.verificationText(verification),
  );
  if (verification.ok) return;
  const { trainCommand } = await import('../../verify/train-command.js');
  const again = trainCommand(config, request.overrides, ['--resume', '--out', directory.path]);
  const failures = render.verificationFailures(verification);
  const lost = verification.methods.some(({ failures }) =>
    failures.some(({ kind }) => kind === 'no result'),
  );
  const wayOut = lost ? [`\nRuns without a result are trained by: ${again}`] : [];
  throw new FlnError(`${['Verification failed:', ...failures].join('\n  ')}${wayOut}`, code);
}
