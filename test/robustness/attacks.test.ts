import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ExitCode } from '../../src/errors.js';
import { fln, type Outcome, program } from '../cli/fln.js';
import { temporaryFolder, tinyConfig } from '../experiment/tiny.js';
import { checkMessage } from '../fuzz/surface.js';
import { mnistMethods, syntheticCsv } from '../report/synthetic.js';

/** Nine levels of nine: 3 billion values, from ten lines. */
const bomb = Array.from({ length: 10 }, (_, level) =>
  level === 0
    ? 'a0: &a0 [x, x, x, x, x, x, x, x, x]\n'
    : `a${level}: &a${level} [${Array(9)
        .fill(`*a${level - 1}`)
        .join(', ')}]\n`,
).join('');

const methods = '  - { name: adam, learningRate: 0.01 }\n  - { name: sgd, momentum: 0.9 }\n';
const withMethods = (text: string) => tinyConfig.replace(methods, text);
const mnist = tinyConfig.replace('synthetic-digits', 'mnist');
const mnistFiles = [
  'train-images-idx3-ubyte',
  'train-labels-idx1-ubyte',
  't10k-images-idx3-ubyte',
  't10k-labels-idx1-ubyte',
];

/** Makes each file of MNIST in the data directory of the work folder. */
function mnistAs(work: string, make: (path: string) => void): void {
  mkdirSync(join(work, 'data/mnist'), { recursive: true });
  for (const name of mnistFiles) make(join(work, 'data/mnist', name));
}

interface Attack {
  readonly what: string;
  readonly config?: string;
  /** After the name of the program. */
  readonly args?: readonly string[];
  readonly code: number;
  readonly message: RegExp;
  /** Whether a file of the work folder cannot be compared. */
  readonly isTooLong?: boolean;
  /** Prepares the work folder. */
  readonly prepare?: (work: string) => void;
}

const attacks: readonly Attack[] = [
  {
    what: 'a YAML bomb',
    config: bomb + tinyConfig,
    code: ExitCode.usage,
    message: /its aliases expand to more than 50000 values/,
  },
  {
    what: 'an alias within itself',
    config: `${tinyConfig}expect: &e { adam: *e }\n`,
    code: ExitCode.usage,
    message: /expect/,
  },
  {
    what: '100,000 brackets',
    config: `${tinyConfig}expect: ${'['.repeat(100_000)}\n`,
    code: ExitCode.usage,
    message: /tiny\.yaml/,
  },
  {
    what: '__proto__ as a key',
    config: `${tinyConfig}__proto__: { polluted: 1 }\n`,
    code: ExitCode.usage,
    message: /unknown key/,
  },
  {
    what: '__proto__ in an override',
    args: ['run', 'tiny.yaml', '__proto__.polluted=1'],
    code: ExitCode.usage,
    message: /unknown key "__proto__"/,
  },
  {
    what: 'an experiment called ../../escape',
    config: tinyConfig.replace('name: tiny', 'name: ../../escape'),
    code: ExitCode.usage,
    message: /must be 1 to 64 lower-case letters/,
  },
  {
    what: 'a label called ../../escape',
    config: withMethods('  - { name: adam, label: ../../escape }\n'),
    code: ExitCode.usage,
    message: /a label is 1 to 40 letters/,
  },
  {
    what: 'a label of escape sequences and HTML',
    config: withMethods('  - { name: adam, label: "\\e]0;x\\a<script>alert(1)</script>" }\n'),
    code: ExitCode.usage,
    message: /a label is 1 to 40 letters/,
  },
  {
    what: 'escape sequences in the text of a config',
    config: `${tinyConfig}\u001b[2J: 1\n`,
    code: ExitCode.usage,
    message: /tiny\.yaml/,
  },
  {
    what: 'a config without end',
    args: ['run', '/dev/zero'],
    code: ExitCode.usage,
    message: /larger than 1 MiB/,
  },
  {
    what: 'images without end behind links',
    config: mnist,
    code: ExitCode.data,
    message: /train-images-idx3-ubyte is not a regular file/,
    prepare: (work) => mnistAs(work, (path) => symlinkSync('/dev/zero', path)),
  },
  {
    what: 'images in a pipe that nobody writes to',
    config: mnist,
    code: ExitCode.data,
    message: /train-images-idx3-ubyte is not a regular file/,
    prepare: (work) => mnistAs(work, (path) => execFileSync('mkfifo', [path])),
  },
  {
    what: 'images behind a link to another file',
    config: mnist,
    code: ExitCode.data,
    message: /train-images-idx3-ubyte .*(magic|IDX|bytes|damaged)/,
    prepare: (work) =>
      mnistAs(work, (path) => symlinkSync(join(work, '../outside/precious'), path)),
  },
  {
    what: 'a run directory that is a link to a folder with other files',
    args: ['run', 'tiny.yaml', '--out', 'results'],
    code: ExitCode.usage,
    message: /results (holds|is|has|already)/,
    prepare: (work) => symlinkSync('../outside', join(work, 'results')),
  },
  {
    what: 'a sweep of a trillion trials',
    args: ['sweep', 'sweep.yaml'],
    code: ExitCode.usage,
    message: /sweep\.yaml/,
    prepare: (work) => {
      const range = '{ range: [1, 100], count: 10000 }';
      const keys = ['learningRate', 'beta1', 'beta2'].map((key) => `methods.adam.${key}: ${range}`);
      const parameters = `parameters:\n  ${keys.join('\n  ')}\n`;
      writeFileSync(join(work, 'sweep.yaml'), `name: s\nconfig: tiny.yaml\n${parameters}`);
    },
  },
  {
    what: 'a sweep called ../../escape',
    args: ['sweep', 'sweep.yaml'],
    code: ExitCode.usage,
    message: /sweep\.yaml:1:7/,
    prepare: (work) =>
      writeFileSync(
        join(work, 'sweep.yaml'),
        'name: ../../escape\nconfig: tiny.yaml\nparameters: { epochs: [1, 2] }\n',
      ),
  },
  {
    what: 'a trial called ../../escape',
    args: ['sweep-trial', 'sweep', '../../escape'],
    code: ExitCode.usage,
    message: /sweep has no trial "\.\.\/\.\.\/escape"/,
    prepare: (work) => mkdirSync(join(work, 'sweep')),
  },
  {
    what: 'a run.json of another shape',
    args: ['plot', 'run'],
    code: ExitCode.usage,
    message: /there is nothing to draw/,
    prepare: (work) => {
      mkdirSync(join(work, 'run'));
      writeFileSync(join(work, 'run/run.json'), '{"__proto__":{"polluted":1},"runs":"../../x"}');
    },
  },
  {
    what: 'a run.json without end',
    args: ['ls', 'run'],
    code: ExitCode.ok,
    message: /run\/run\.json cannot be read \(it is not a regular file but a \w+( \w+)?\)/,
    prepare: (work) => {
      runWith(work, metricsOf(1));
      symlinkSync('/dev/zero', join(work, 'run/run.json'));
    },
  },
  {
    what: 'a run.json in a pipe, where a run is to go on',
    args: ['run', 'tiny.yaml', '--out', 'run', '--resume'],
    code: ExitCode.usage,
    message: /run\/run\.json cannot be read \(it is not a regular file but a \w+( \w+)?\)/,
    prepare: (work) => {
      runWith(work, metricsOf(1));
      execFileSync('mkfifo', [join(work, 'run/run.json')]);
    },
  },
  {
    what: 'metrics in a pipe',
    args: ['plot', 'run'],
    code: ExitCode.usage,
    message: /metrics\.csv: cannot be read \(it is not a regular file but a \w+( \w+)?\)/,
    prepare: (work) => runWith(work, (path) => execFileSync('mkfifo', [path])),
  },
  {
    what: 'metrics without end, of which the last row is asked for',
    args: ['ls', 'run'],
    code: ExitCode.usage,
    message: /metrics\.csv: cannot be read \(it is not a regular file but a \w+( \w+)?\)/,
    prepare: (work) => runWith(work, (path) => symlinkSync('/dev/zero', path)),
  },
  {
    what: 'a config in a pipe that nobody writes to, in a run directory',
    args: ['verify', 'run'],
    code: ExitCode.usage,
    message: /run\/config\.yaml: cannot be read: it is a named pipe/,
    prepare: (work) => {
      runWith(work, metricsOf(1));
      execFileSync('mkfifo', [join(work, 'run/config.yaml')]);
    },
  },
  ...['history.ndjson', 'states', 'logs', 'trials', 'configs'].map((name) => ({
    what: `a sweep directory whose ${name} is a link to what is elsewhere`,
    args: ['sweep', 'sweep.yaml', '--out', 'sweep'],
    code: ExitCode.usage,
    message: new RegExp(
      `sweep/${name} is a symbolic link: writing to it would change something outside`,
    ),
    prepare: (work: string) => {
      sweepOfOne(work);
      const target = name === 'history.ndjson' ? '../../outside/precious' : '../../outside';
      symlinkSync(target, join(work, 'sweep', name));
    },
  })),
  {
    what: 'a sweep directory whose history is a pipe',
    args: ['sweep', 'sweep.yaml', '--out', 'sweep'],
    code: ExitCode.usage,
    message: /sweep\/history\.ndjson is not a regular file/,
    prepare: (work) => {
      sweepOfOne(work);
      execFileSync('mkfifo', [join(work, 'sweep/history.ndjson')]);
    },
  },
  {
    what: 'a run.json of 40 million brackets',
    args: ['ls', 'run'],
    code: ExitCode.ok,
    message: /run\.json cannot be read \(it has 40000000 bytes, and at most/,
    prepare: (work) => {
      runWith(work, metricsOf(1));
      writeFileSync(join(work, 'run/run.json'), '['.repeat(4e7));
    },
  },
  {
    what: 'a config of megabytes in a run directory',
    args: ['diff', 'run', 'run'],
    code: ExitCode.ok,
    message: /config\.yaml cannot be read \(it has 6000004 bytes, and at most 1048576/,
    prepare: (work) => {
      runWith(work, metricsOf(1));
      writeFileSync(join(work, 'run/config.yaml'), `a: [${'1, '.repeat(2e6 - 1)}1]\n`);
    },
  },
  {
    what: 'metrics of one endless line',
    args: ['plot', 'run'],
    code: ExitCode.usage,
    message: /metrics\.csv:2: a line of 60000000 bytes/,
    prepare: (work) =>
      runWith(work, (path) => {
        metricsOf(0)(path);
        appendFileSync(path, `${','.repeat(6e7)}\n`);
      }),
  },
  {
    what: 'metrics of a terabyte',
    args: ['plot', 'run'],
    code: ExitCode.usage,
    message: /it has 1000000000000 bytes, and at most/,
    prepare: (work) =>
      runWith(work, (path) => {
        metricsOf(1)(path);
        truncateSync(path, 1e12);
      }),
    // Nobody could read it to compare.
    isTooLong: true,
  },
  {
    what: 'escape sequences in the name of a folder',
    args: ['plot', '\u001b]0;x\u0007'],
    code: ExitCode.usage,
    message: /there is nothing to draw/,
    prepare: (work) => mkdirSync(join(work, '\u001b]0;x\u0007')),
  },
  {
    what: 'escape sequences in the name of a folder with runs',
    args: ['ls', 'runs'],
    code: ExitCode.ok,
    message: /^$/,
    prepare: (work) => runWith(work, metricsOf(1), 'runs/\u001b[31m'),
  },
];

const metricsOf = (rows: number) => (path: string) =>
  writeFileSync(path, syntheticCsv(mnistMethods[0], 1, { batches: rows }));

/** A sweep of one trial, and its directory, in which nothing is yet. */
function sweepOfOne(work: string): void {
  mkdirSync(join(work, 'sweep'));
  writeFileSync(
    join(work, 'sweep.yaml'),
    'name: s\nconfig: tiny.yaml\nparameters: { epochs: [1] }\n',
  );
}

/** Makes the metrics of a run. */
function runWith(work: string, make: (path: string) => void, directory = 'run'): void {
  const folder = join(work, directory, 'adam-s1');
  mkdirSync(folder, { recursive: true });
  make(join(folder, 'metrics.csv'));
}

it.each(attacks)('$what does no harm', async (attack) => {
  const { code, message, config = tinyConfig, args = ['run', 'tiny.yaml', '--offline'] } = attack;
  const sandbox = temporaryFolder();
  const work = join(sandbox, 'work');
  mkdirSync(work);
  mkdirSync(join(sandbox, 'outside'));
  writeFileSync(join(sandbox, 'outside/precious'), 'precious');
  writeFileSync(join(work, 'tiny.yaml'), config);
  attack.prepare?.(work);
  const before = attack.isTooLong ? {} : contents(sandbox);

  const outcome: Outcome = await fln(args, {
    cwd: work,
    env: { FLN_DATA_DIR: join(work, 'data'), HOME: sandbox, TMPDIR: sandbox },
    // Sweeps are refused before they start a process; a trial ends its own.
    separate: args[0] === 'sweep-trial',
  });

  expect(outcome.stderr).toMatch(message);
  expect(outcome.code).toBe(code);
  checkMessage(outcome.stderr);
  checkMessage(outcome.stdout);
  // Nothing new but in the folders of results and of the cache, and nothing changed.
  for (const own of ['work/results', 'work/cache']) {
    if (lstatSync(join(sandbox, own), { throwIfNoEntry: false })?.isDirectory()) {
      rmSync(join(sandbox, own), { recursive: true });
    }
  }
  if (!attack.isTooLong) expect(contents(sandbox)).toEqual(before);
});

/** Every path below a folder, with what is there. */
function contents(folder: string): Record<string, string> {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return Object.fromEntries(
    paths.sort().map((path) => {
      const full = join(folder, path);
      const kind = lstatSync(full);
      if (kind.isSymbolicLink()) return [path, `link to ${readlinkSync(full)}`];
      return [path, kind.isFile() ? readFileSync(full, 'utf8') : 'no file'];
    }),
  );
}

it('a current folder that is gone is told without a stack', () => {
  const folder = temporaryFolder();
  const script = `rmdir "$PWD" && exec "$@"`;
  const { status, stderr } = spawnSync(
    'sh',
    ['-c', script, 'sh', process.execPath, ...program, 'ls'],
    {
      cwd: folder,
      encoding: 'utf8',
    },
  );
  expect(status).toBe(ExitCode.environment);
  expect(stderr).toBe(
    'the current folder was removed or is not accessible: change to another one\n',
  );
});
