import { createHash } from 'node:crypto';
import { ContentError } from './content.js';
import type { RawDataset } from './definition.js';

/**
 * The "binary version" of CIFAR-10: files of equally many records, each one label byte and then the
 * pixels of a square image, row by row, first all of the red plane, then green, then blue.
 * Source: A. Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html
 */
export interface CifarLayout {
  /** Height and width of an image. */
  readonly side: number;
  readonly classes: number;
  readonly recordsPerFile: number;
  /** Names of the files, in the order of their rows in the split. */
  readonly trainFiles: readonly string[];
  readonly testFiles: readonly string[];
}

const channels = 3;

export const fileNames = ({ trainFiles, testFiles }: CifarLayout): string[] => [
  ...trainFiles,
  ...testFiles,
];

const recordBytes = ({ side }: CifarLayout): number => 1 + channels * side * side;

export const fileBytes = (layout: CifarLayout): number =>
  layout.recordsPerFile * recordBytes(layout);

/** @throws ContentError when a file has another size, or a label out of range */
export function checkRecords(content: Uint8Array, layout: CifarLayout): void {
  const bytes = fileBytes(layout);
  if (content.length !== bytes) {
    throw new ContentError(
      `is ${content.length} bytes long where ${layout.recordsPerFile} records of ${recordBytes(layout)} = ${bytes} bytes belong`,
    );
  }
  for (let record = 0, at = 0; at < bytes; record++, at += recordBytes(layout)) {
    if (content[at] >= layout.classes) {
      throw new ContentError(
        `has label ${content[at]} in record ${record} (from 0); labels run from 0 to ${layout.classes - 1}`,
      );
    }
  }
}

/** Puts the files of one set together, in whatever order they come, and checks the whole. */
export class CifarCollector {
  readonly #layout: CifarLayout;
  readonly #train: MutableSplit;
  readonly #test: MutableSplit;
  readonly #sha256 = new Map<string, string>();

  constructor(layout: CifarLayout) {
    this.#layout = layout;
    this.#train = emptySplit(layout, layout.trainFiles.length);
    this.#test = emptySplit(layout, layout.testFiles.length);
  }

  /**
   * @param content checked by `checkRecords`; not kept
   * @param sha256 of the content, where it is known already
   * @throws ContentError when this file was added before
   */
  add(name: string, content: Uint8Array, sha256?: string): void {
    const { trainFiles, testFiles, recordsPerFile } = this.#layout;
    if (this.#sha256.has(name)) throw new ContentError(`holds ${name} twice`);
    this.#sha256.set(name, sha256 ?? createHash('sha256').update(content).digest('hex'));
    const file = trainFiles.indexOf(name);
    if (file >= 0) unpack(content, this.#layout, this.#train, file * recordsPerFile);
    else unpack(content, this.#layout, this.#test, testFiles.indexOf(name) * recordsPerFile);
  }

  /**
   * @returns both splits, channels last, and the SHA-256 of each file
   * @throws ContentError when files are missing, two are the same, or classes are not equally many
   */
  finish(): RawDataset {
    const names = fileNames(this.#layout);
    const missing = names.filter((name) => !this.#sha256.has(name));
    if (missing.length > 0) throw new ContentError(`lacks ${missing.join(', ')}`);
    const digests = names.map((name) => this.#sha256.get(name)!);
    const second = digests.findIndex((digest, i) => digests.indexOf(digest) < i);
    if (second >= 0) {
      const first = digests.indexOf(digests[second]);
      throw new ContentError(`has the same content in ${names[first]} and ${names[second]}`);
    }
    checkClassCounts(this.#train.labels, this.#layout.classes, 'training');
    checkClassCounts(this.#test.labels, this.#layout.classes, 'test');
    const sha256 = Object.fromEntries(names.map((name, i) => [name, digests[i]]));
    return { train: this.#train, test: this.#test, sha256 };
  }
}

interface MutableSplit {
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
  readonly count: number;
}

function emptySplit(layout: CifarLayout, files: number): MutableSplit {
  const count = files * layout.recordsPerFile;
  const features = recordBytes(layout) - 1;
  return { images: new Uint8Array(count * features), labels: new Uint8Array(count), count };
}

/** Writes a file's records from row `row` on: planes become channels-last pixels. */
function unpack(content: Uint8Array, layout: CifarLayout, split: MutableSplit, row: number): void {
  const { images, labels } = split;
  const plane = layout.side * layout.side;
  const record = recordBytes(layout);
  let to = row * channels * plane;
  for (let from = 0; from < content.length; from += record, row++) {
    labels[row] = content[from];
    const end = from + 1 + plane;
    for (let red = from + 1; red < end; red++) {
      images[to++] = content[red];
      images[to++] = content[red + plane];
      images[to++] = content[red + 2 * plane];
    }
  }
}

/** Every class of CIFAR-10 has equally many images in each split: a file of another set shows here. */
function checkClassCounts(labels: Uint8Array, classes: number, split: string): void {
  const counts = new Array<number>(classes).fill(0);
  for (const label of labels) counts[label]++;
  const expected = labels.length / classes;
  const odd = counts.findIndex((count) => count !== expected);
  if (odd >= 0) {
    throw new ContentError(
      `has ${counts[odd]} ${split} images of class ${odd} where ${expected} belong: its files are not those of one whole set`,
    );
  }
}
