import { appendFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { CommandModule } from 'yargs';
import { ExitCode, FlnError, UsageError } from '../../errors.js';
import { shellCommand } from '../../shared/text.js';
import type { BaselineEntry } from '../../verify/baseline.js';
import type { Target } from '../../verify/target.js';
import { decimalsOf, json, manual, once, onceOrBare, overridesArgument } from '../options.js';
import { note, printText, warn } from '../render/print.js';
import type { Verified } from '../render/verification.js';

interface VerifyArguments {
  target: string;
  overrides: string[];
  run?: string;
  paired?: string;
  tolerance?: number;
  exact?: string;
  baseline?: string;
  updateBaseline: boolean;
  junit?: string;
  markdown?: string;
  json?: boolean;
}

/** `fln verify DIR|CONFIG [path=value ...]` */
export const verifyCommand: CommandModule<object, VerifyArguments> = {
  command: 'verify <target> [overrides..]',
  describe: "compare measured accuracies with the config's expectations",
  builder: (yargs) =>
    yargs
      .positional('target', {
        type: 'string',
        demandOption: true,
        describe: 'a run directory, or a config whose run directory is looked up',
      })
      .positional(
        'overrides',
        overridesArgument('the overrides of the run, or expectations: expect.fenchel.atLeast=0.98'),
      )
      .options({
        run: {
          type: 'string',
          alias: 'out',
          describe: 'run directory of the config; default results/NAME/CONFIG-HASH',
          coerce: once('run'),
        },
        paired: {
          type: 'string',
          describe:
            'earlier results of the same seeds, a run directory or a baseline file: fail when the mean over the seeds drops',
          coerce: once('paired'),
        },
        tolerance: {
          type: 'string',
          describe: 'largest drop that passes --paired, in percentage points; default 0.25',
          coerce: tolerancePoints,
        },
        exact: {
          type: 'string',
          describe:
            'run directory whose metrics.csv must be identical, apart from the time columns; without a value, that of --paired',
          coerce: onceOrBare('exact'),
        },
        baseline: {
          type: 'string',
          describe: 'JSON file of accepted accuracies; fail when these are lower',
          coerce: once('baseline'),
        },
        'update-baseline': {
          type: 'boolean',
          default: false,
          describe: 'accept the measured accuracies: write them to the file of --baseline',
        },
        junit: {
          type: 'string',
          describe: 'write a test report for CI systems (JUnit XML)',
          coerce: once('junit'),
        },
        markdown: {
          type: 'string',
          describe:
            'append a Markdown summary to this file; default in GitHub Actions: the job summary',
          coerce: once('markdown'),
        },
        json,
      })
      .example('$0 verify configs/mnist-mlp.yaml', 'the default run directory of this config')
      .example(
        '$0 verify configs/mnist-mlp.yaml --run results/reference/mnist-mlp',
        'another run directory',
      )
      .example('$0 verify results/reference/mnist-mlp', 'with the expectations in its config.yaml')
      .example(
        '$0 verify configs/quickstart.yaml --baseline baseline.json --update-baseline',
        'accept the measured accuracies',
      )
      .example(
        '$0 verify configs/quickstart.yaml --baseline baseline.json --junit verify.xml',
        'fail in CI when accuracy drops',
      )
      .example(
        '$0 verify results/ci --paired results/base --tolerance 0.25',
        'fail when the mean over the seeds drops by more than 0.25 points',
      )
      .example(
        '$0 verify results/ci --exact results/base',
        'fail when any value of any batch differs',
      )
      .epilogue(
        manual(
          'Fails when the mean test accuracy over the seeds is below `atLeast` or above `atMost` ' +
            'by more than a tolerance that allows for random variation, when a single seed collapsed, or when a run of a ' +
            'method with an expectation failed or is missing. With --paired or --exact, also when accuracies dropped ' +
            'or bytes differ from earlier results; the config then needs no expectation. The rule and its error rates: docs/verify.md; a CI workflow: docs/ci.md.',
          { 0: 'passed', 2: 'usage, or nothing to verify', 3: 'a regression' },
        ),
      ) as never,
  handler: verifyHandler,
};

async function verifyHandler(args: VerifyArguments): Promise<void> {
  const { target, overrides, run, baseline: baselinePath, updateBaseline, json } = args;
  if (updateBaseline && baselinePath === undefined) {
    throw new UsageError('--update-baseline requires --baseline FILE');
  }
  const { findTarget } = await import('../../verify/target.js');
  const baseline = await import('../../verify/baseline.js');
  const render = await import('../render/verification.js');

  const request = { target: String(target), overrides: overrides.map(String), runDirectory: run };
  const found = findTarget(request);
  const { experiment, config, directory } = found;
  warn(found.warnings);
  const entry =
    baselinePath !== undefined && !updateBaseline
      ? baseline.entryFor(baseline.readBaseline(baselinePath), baselinePath, experiment)
      : undefined;
  const verification = await verifyAll(args, found, entry);
  warn(directory.problems);
  const code = verification.ok ? ExitCode.ok : ExitCode.regression;
  await writeReports(args, verification);
  printText(
    json ? render.verificationJson(verification, code) : render.verificationText(verification),
  );
  if (updateBaseline && baselinePath !== undefined && verification.ok) {
    const { methods } = verification;
    const { info } = directory;
    const changes = baseline.updateBaseline(baselinePath, experiment, methods, info);
    note(render.baselineText(baselinePath, changes));
  }
  if (verification.ok) return;
  const failures = render.verificationFailures(verification);
  const lost =
    verification.methods.some(({ failures }) =>
      failures.some(({ kind }) => kind === 'no result'),
    ) ||
    verification.paired?.methods.some(({ lost }) => lost.length > 0) ||
    verification.exact?.runs.some(({ missing }) => missing !== undefined);
  const train = ['fln', 'run', config, ...request.overrides, '--resume', '--out', directory.path];
  const lines = [
    ['Verification failed:', ...failures].join('\n  '),
    ...(lost ? [`Train the missing runs with: ${shellCommand(train)}`] : []),
    ...(updateBaseline ? [`${baselinePath} is unchanged.`] : []),
  ];
  throw new FlnError(lines.join('\n'), code);
}

/** Compares with the limits of the config, and with a baseline and earlier results where requested. */
async function verifyAll(
  { paired, tolerance, exact, updateBaseline }: VerifyArguments,
  target: Target,
  baseline: BaselineEntry | undefined,
): Promise<Verified> {
  if (tolerance !== undefined && paired === undefined) {
    throw new UsageError('--tolerance requires --paired DIR');
  }
  const exactly = exact === '' ? paired : exact;
  if (exact !== undefined && exactly === undefined) {
    throw new UsageError('--exact requires a run directory: --exact DIR, or --paired DIR --exact');
  }
  const { experiment, directory } = target;
  const { verify } = await import('../../verify/verify.js');
  const allowUnlimited = updateBaseline || paired !== undefined || exact !== undefined;
  const limits = verify(experiment, directory, { baseline, allowUnlimited });
  if (paired === undefined && exactly === undefined) return limits;
  const { findBase } = await import('../../verify/base.js');
  const { verifyPaired } = await import('../../verify/paired.js');
  const { verifyExact } = await import('../../verify/exact.js');
  const compared = {
    paired:
      paired === undefined
        ? undefined
        : verifyPaired(experiment, directory, findBase(paired, target), tolerance),
    exact:
      exactly === undefined
        ? undefined
        : verifyExact(experiment, directory, findBase(exactly, target)),
  };
  const ok = [limits, compared.paired, compared.exact].every((part) => part?.ok !== false);
  return { ...limits, ...compared, ok };
}

/** Percentage points from 0 to 100, returned as a share. */
function tolerancePoints(value: string | string[] | undefined): number | undefined {
  const given = once('tolerance')(value);
  if (given === undefined) return undefined;
  const [points] = decimalsOf('tolerance')(given) ?? [];
  if (points !== undefined && points >= 0 && points <= 100 && !given.includes(','))
    return points / 100;
  throw new UsageError(`--tolerance: expected percentage points from 0 to 100, got "${given}"`);
}

/** Writes the files for CI systems, also when the verification failed. */
async function writeReports(
  { junit, markdown }: VerifyArguments,
  verification: Verified,
): Promise<void> {
  const { verificationMarkdown, verificationTests } = await import('../render/verification.js');
  const { guardDisk } = await import('../../files/disk.js');
  const { makeFolder } = await import('../../files/folder.js');
  const { writeFileAtomic } = await import('../../files/atomic.js');
  if (junit !== undefined) {
    const { junitXml } = await import('../render/junit.js');
    makeFolder(dirname(junit));
    writeFileAtomic(junit, junitXml(verification.experiment, verificationTests(verification)));
  }
  const summary = markdown ?? process.env.GITHUB_STEP_SUMMARY;
  if (summary) {
    makeFolder(dirname(summary));
    guardDisk(summary, () => appendFileSync(summary, verificationMarkdown(verification)));
  }
}
