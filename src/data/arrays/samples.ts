import { basename, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { ArraySource } from '../../core/dataset.js';
import { DataError } from '../../errors.js';
import { isFolder } from '../../files/folder.js';
import { availableMemory } from '../../shared/memory.js';
import { didYouMean } from '../../shared/suggest.js';
import { sizeText } from '../../shared/text.js';
import { asGzipError, isGzip, refuseNonData } from '../content.js';
import { ContentError } from '../content-error.js';
import { parseIdx } from '../idx-format.js';
import { parseCsv } from './csv.js';
import { readImageFolder } from './image-folder.js';
import { type NumericArray, parseNpy } from './npy.js';
import {
  plainBytes,
  type ReadSamplesOptions,
  type SampleLabels,
  type Samples,
  samplesOf,
} from './numeric.js';
import { about, readWhole, within } from './read.js';
import { unzip, zipEntries } from './zip.js';

/**
 * Reads one split: `.npz`, a pair of `.npy` or IDX files, CSV, or a folder of PNG images.
 * @throws DataError that names the file and the way out
 */
export function readSamples(source: ArraySource, options: ReadSamplesOptions = {}): Samples {
  const spec = typeof source === 'string' ? specOf(source) : source;
  if ('csv' in spec) return readCsv(spec, options);
  if ('images' in spec) return readImages(resolve(spec.images), options.labelsAreOptional);
  if ('npz' in spec) return readNpz(spec, options);
  const x = readArrayFile(spec.x);
  const y = spec.y === undefined ? undefined : readArrayFile(spec.y);
  if (y === undefined && !options.labelsAreOptional) {
    throw new DataError(
      `${spec.x} has no labels beside it: name their file, as in { x: ${spec.x}, y: FILE }.`,
    );
  }
  const sha256 = { [basename(spec.x)]: x.sha256, ...(y && { [basename(spec.y!)]: y.sha256 }) };
  return samplesOf(x.array, y?.array, { x: spec.x, y: spec.y ?? '' }, options, sha256);
}

/** What a path alone means. */
function specOf(path: string): Exclude<ArraySource, string> {
  if (isFolder(path)) return { images: path };
  if (/\.npz$/i.test(path)) return { npz: path };
  if (/\.csv$/i.test(path)) return { csv: path };
  return { x: path };
}

function readNpz(
  { npz, x, y }: Extract<ArraySource, { npz: string }>,
  options: ReadSamplesOptions,
): Samples {
  const { content, sha256 } = readWhole(npz);
  const { arrays, xName, yName } = about(npz, () => {
    const entries = zipEntries(content).filter(({ name }) => name.endsWith('.npy'));
    const names = entries.map(({ name }) => name.slice(0, -'.npy'.length));
    const [xName, yName] = namesIn(names, { x, y }, options);
    const read = (wanted: string): NumericArray => {
      const entry = entries[names.indexOf(wanted)];
      return within(`has the array "${wanted}", which`, () => parseNpy(unzip(content, entry)));
    };
    return {
      arrays: { x: read(xName), y: yName === undefined ? undefined : read(yName) },
      xName,
      yName,
    };
  });
  const names = { x: `${npz}: ${xName}`, y: `${npz}: ${yName}` };
  return samplesOf(arrays.x, arrays.y, names, options, { [basename(npz)]: sha256 });
}

/** An archive has no arrays of the names that were looked for. */
export class NoArrays extends ContentError {}

/** Names of the arrays of an archive of one split. */
const general = [
  ['x', 'y'],
  ['images', 'labels'],
  ['data', 'target'],
];

/** The names of the arrays of a split in an archive. */
function namesIn(
  names: readonly string[],
  given: { readonly x?: string; readonly y?: string },
  { role = 'train', onlyOwnRole = false, labelsAreOptional = false }: ReadSamplesOptions,
): [x: string, y: string | undefined] {
  const holds = names.length === 0 ? 'it has no arrays' : `it has ${names.slice(0, 20).join(', ')}`;
  const lower = names.map((name) => name.toLowerCase());
  const find = (wanted: string, isGiven: boolean) =>
    names[isGiven ? names.indexOf(wanted) : lower.indexOf(wanted)] as string | undefined;
  for (const name of [given.x, given.y]) {
    if (name === undefined || names.includes(name)) continue;
    throw new NoArrays(`has no array "${name}"${didYouMean(name, names) || `; ${holds}`}`);
  }
  const short = role === 'validation' ? ['validation', 'val'] : [role];
  const pairs = [
    ...short.flatMap((split) => [
      [`x_${split}`, `y_${split}`],
      [`${split}_x`, `${split}_y`],
      [`${split}_images`, `${split}_labels`],
    ]),
    ...(onlyOwnRole ? [] : general),
  ];
  const pair = pairs.find(([x]) => find(x, false) !== undefined);
  const only = names.length === 1 && labelsAreOptional ? names[0] : undefined;
  const xName = given.x ?? (pair && find(pair[0], false)) ?? only;
  if (xName === undefined) {
    throw new NoArrays(
      `has none of the arrays ${pairs.map(([x]) => x).join(', ')}; ${holds}. Name them: { npz: FILE, x: NAME, y: NAME }`,
    );
  }
  const yName = given.y ?? (pair && given.x === undefined ? find(pair[1], false) : undefined);
  if (yName === undefined && !labelsAreOptional) {
    throw new ContentError(
      `has no labels for "${xName}"; ${holds}. Name them: { npz: FILE, x: ${xName}, y: NAME }`,
    );
  }
  return [xName, yName];
}

/** A `.npy` or IDX file, plain or gzipped. */
function readArrayFile(path: string): { array: NumericArray; sha256: string } {
  const { content, sha256 } = readWhole(path);
  const array = about(path, () => {
    const plain = isGzip(content) ? gunzipped(content) : content;
    refuseNonData(plain);
    if (plain[0] === 0x93) return parseNpy(plain);
    if (plain[0] === 0x50 && plain[1] === 0x4b) {
      throw new ContentError("is a ZIP archive; for NumPy's .npz write { npz: FILE }");
    }
    if (plain[0] === 0x80 && plain[1] <= 5) {
      throw new ContentError(
        'is a Python pickle, which is never loaded; save the array with np.save',
      );
    }
    if (plain[0] !== 0 || plain[1] !== 0) {
      throw new ContentError('is neither a NumPy array (.npy) nor an IDX file');
    }
    const { dimensions, values } = parseIdx(plain, Math.min(Math.max(plain[3] ?? 1, 1), 4));
    return { values: plainBytes(values), shape: dimensions, dtype: 'uint8' };
  });
  return { array, sha256 };
}

function gunzipped(content: Buffer): Buffer {
  const most = Math.min(availableMemory(), 2 ** 32 - 1);
  try {
    return gunzipSync(content, { maxOutputLength: Math.max(1, most) });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') throw asGzipError(error);
    throw new ContentError(
      `has more than ${sizeText(most)} uncompressed, the memory that is available`,
    );
  }
}

function readCsv(
  { csv, label, target }: Extract<ArraySource, { csv: string }>,
  { labelsAreOptional, columns }: ReadSamplesOptions,
): Samples {
  const column = label ?? target;
  if (column === undefined && !labelsAreOptional) {
    throw new DataError(
      `${csv}: name the column of the labels, as in { csv: ${basename(csv)}, label: COLUMN }; for a regression, target: COLUMN.`,
    );
  }
  const { content, sha256 } = readWhole(csv);
  return about(csv, () => {
    refuseNonData(content);
    const table = parseCsv(content, { label: column, labelIsOptional: labelsAreOptional, columns });
    const rowName = (row: number) => `line ${table.lines[row]}`;
    const y =
      table.labels && columnLabels(table.labels, target !== undefined, rowName, column ?? '');
    return {
      x: table.values,
      count: table.rows,
      shape: [1, 1, table.columns.length],
      ...(y && { y }),
      columns: table.columns,
      rowName,
      sha256: { [basename(csv)]: sha256 },
    };
  });
}

/** Numbers where all cells are numbers; else class names. */
function columnLabels(
  cells: readonly string[],
  isTarget: boolean,
  rowName: (row: number) => string,
  column: string,
): SampleLabels {
  const empty = cells.indexOf('');
  if (empty >= 0)
    throw new ContentError(`has an empty cell in ${rowName(empty)}, column "${column}"`);
  const values = Float64Array.from(cells, Number);
  const bad = values.findIndex((value) => !Number.isFinite(Math.fround(value)));
  if (bad < 0) return { kind: 'numbers', values, ...(isTarget && { isTarget }) };
  if (!isTarget) return { kind: 'names', values: cells };
  throw new ContentError(
    `has "${cells[bad].slice(0, 30)}" in ${rowName(bad)}, column "${column}", which is not a finite number`,
  );
}

function readImages(folder: string, labelsAreOptional = false): Samples {
  const { pixels, count, shape, classes, files, sha256 } = readImageFolder(
    folder,
    labelsAreOptional,
  );
  return {
    x: pixels,
    count,
    shape,
    ...(classes && { y: { kind: 'names', values: classes } }),
    rowName: (row) => files[row],
    sha256: { [basename(folder)]: sha256 },
  };
}
