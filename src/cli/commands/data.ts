import type { CommandModule } from 'yargs';
import type { LoadOptions } from '../../core/dataset.js';
import type { DatasetLocation, FileCheck, FileLocation } from '../../data/inspect.js';
import { DataError, ExitCode, FlnError } from '../../errors.js';
import { grouped, sizeText } from '../../shared/text.js';
import { interruptible } from '../interrupt.js';
import { actionNamed, dataDir, json, manual, offline, resolveMode } from '../options.js';
import { downloadDisplay } from '../render/download.js';
import { print, printJson } from '../render/print.js';

interface DataArguments {
  action?: string;
  name?: string;
  dataDir?: string;
  offline?: boolean;
  json?: boolean;
}

const actions = { list, fetch, check };

/** `fln data list|fetch|check [NAME]` */
export const dataCommand: CommandModule<object, DataArguments> = {
  command: 'data [action] [name]',
  describe: 'list, download or verify data sets',
  builder: (yargs) =>
    yargs
      .usage(
        'fln data list|fetch|check [NAME]\n\n' +
          'list   size, SHA-256, mirrors, files on this machine\n' +
          'fetch  download missing files into the cache\n' +
          'check  verify the files: SHA-256 if one is published, else the format;\n' +
          '       exit 5 if one is missing or damaged',
      )
      .positional('action', { type: 'string', describe: 'list, fetch or check' })
      .positional('name', { type: 'string', describe: 'a data set, such as mnist; default: all' })
      .options({
        'data-dir': dataDir,
        offline,
        json,
      })
      .example('$0 data list', 'every data set, and where its files are')
      .example('$0 data fetch mnist', 'download it into the cache')
      .example('$0 data check', 'verify every file')
      .epilogue(
        manual(
          'Downloads are kept in FLN_CACHE_DIR, by default the cache folder of the system. FLN_MNIST_MIRRORS, ' +
            'FLN_CIFAR10_MIRRORS and so on (docs/data.md) replace the mirrors of a set: base URLs, ' +
            'separated by commas.',
          {
            0: 'ok',
            2: 'usage',
            5: 'missing, unreachable or damaged',
            130: 'Ctrl-C: complete files are kept',
          },
        ),
      ),
  handler: async (args) => {
    await actionNamed('data', actions, args.action)(args);
  },
};

async function list(args: DataArguments): Promise<void> {
  const { listDatasets, locateDataset } = await import('../../data/inspect.js');
  const options = loadOptions(args);
  const locations = args.name
    ? [await locateDataset(args.name, options)]
    : await listDatasets(options);
  if (args.json) printJson(locations);
  else print(locations.map(describeLocation).join('\n\n'));
}

async function fetch(args: DataArguments): Promise<void> {
  const { fetchDataset } = await import('../../data/inspect.js');
  const mode = resolveMode('auto', args.json ?? false, process.stderr);
  const display = downloadDisplay(mode, process.stderr);
  const locations = await interruptible(display.close, async (signal) => {
    const options = { ...loadOptions(args), ...display.listeners, signal };
    const fetched: DatasetLocation[] = [];
    try {
      for (const name of await selected(args)) fetched.push(await fetchDataset(name, options));
    } catch (error) {
      if (!signal.aborted) throw error;
      throw new FlnError('Interrupted; complete files are kept.', ExitCode.interrupted);
    } finally {
      display.close();
    }
    return fetched;
  });
  if (args.json) printJson(locations);
  else print(locations.map(describeLocation).join('\n\n'));
}

async function check(args: DataArguments): Promise<void> {
  const { checkDataset } = await import('../../data/inspect.js');
  const checks: Record<string, FileCheck[]> = {};
  for (const name of await selected(args)) {
    checks[name] = await checkDataset(name, loadOptions(args));
    if (!args.json) print(describeChecks(name, checks[name]));
  }
  if (args.json) printJson(checks);
  const bad = Object.values(checks)
    // Without NAME, a set without any file is not an error.
    .filter((files) => args.name || files.some(({ state }) => state !== 'absent'))
    .flat()
    .filter(({ state }) => state !== 'ok');
  if (bad.length > 0) {
    const problems = [...new Set(bad.map(({ problem }) => `  ${problem}`))].join('\n');
    const absent = bad.some(({ state }) => state === 'absent');
    const wayOut = absent
      ? '\n`fln data fetch` downloads missing files; --data-dir DIR (or FLN_DATA_DIR) names a folder that has them.'
      : '';
    throw new DataError(`Data files missing or damaged:\n${problems}${wayOut}`);
  }
}

async function selected({ name }: DataArguments): Promise<string[]> {
  const { datasets, findDataset } = await import('../../data/registry.js');
  return name ? [findDataset(name).name] : datasets.map((definition) => definition.name);
}

function loadOptions({ dataDir, offline }: DataArguments): LoadOptions {
  return { dataDir, offline };
}

function describeLocation(location: DatasetLocation): string {
  const { name, title, shape, classes, trainSize, testSize, state, files, problem, mirrors } =
    location;
  const lines = [
    `${name}: ${title}`,
    `  ${grouped(trainSize)} training and ${grouped(testSize)} test images of ${shape.join('x')}, ${classes} classes`,
  ];
  if (state === 'generated') return [...lines, '  generated by fln; no files needed'].join('\n');
  for (const { name, bytes, downloadBytes, path, ...published } of files) {
    const download = downloadBytes === undefined ? '' : `, download ${sizeText(downloadBytes)}`;
    lines.push(`  ${name}  (${sizeText(bytes)}${download})`);
    lines.push(`    ${path ?? 'not on this machine'}`);
    lines.push(`    ${describeChecksum(name, published)}`);
  }
  if (problem) lines.push(`  ${problem}`);
  return [...lines, '  from', ...mirrors.map((url) => `    ${url}`)].join('\n');
}

function describeChecksum(
  name: string,
  { sha256, downloadSha256 }: Pick<FileLocation, 'sha256' | 'downloadSha256'>,
): string {
  if (sha256) return `SHA-256 ${sha256}`;
  if (downloadSha256) return `SHA-256 ${downloadSha256} (of ${name}.gz)`;
  return 'no published SHA-256; the format is checked';
}

function describeChecks(name: string, checks: readonly FileCheck[]): string {
  if (checks.length === 0) return `${name}: generated by fln; nothing to check`;
  const width = Math.max(...checks.map((file) => file.name.length));
  const lines = checks.map(({ name, state, path = '', verified }) => {
    const note = verified === 'format' ? '  (format; no published SHA-256 of this form)' : '';
    return `  ${name.padEnd(width)}  ${state.padEnd(7)}  ${path}${note}`.trimEnd();
  });
  return [`${name}:`, ...lines].join('\n');
}
