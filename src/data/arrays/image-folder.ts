import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DataError } from '../../errors.js';
import { availableMemory } from '../../shared/memory.js';
import { sizeText } from '../../shared/text.js';
import { parsePng } from './png.js';
import { about, readWhole, unreadable } from './read.js';

/** Images of one size, in the order of `files`. */
export interface ImageFolder {
  readonly pixels: Uint8Array;
  readonly count: number;
  /** [height, width, channels] */
  readonly shape: readonly [number, number, number];
  /** Class of each image: the name of its folder; absent where the images are in no folders of classes. */
  readonly classes?: readonly string[];
  /** Paths below the folder. */
  readonly files: readonly string[];
  /** Of the names and contents of all files. */
  readonly sha256: string;
}

/**
 * Images in folders by class, in turn one of each class, so that the first ones are of all classes.
 * @throws DataError
 */
export function readImageFolder(folder: string, labelsAreOptional: boolean): ImageFolder {
  const inside = entriesOf(folder);
  const own = inside.filter((entry) => entry.isFile()).map(({ name }) => name);
  const classes = inside.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  if (classes.length === 0 && !labelsAreOptional) {
    throw new DataError(
      `${folder} has no folders of classes: expected one folder of PNG images for each class, as in ${basename(folder)}/cat/1.png.`,
    );
  }
  if (classes.length > 0 && own.length > 0) {
    throw new DataError(
      `${join(folder, own[0])} is not in the folder of a class: move or remove it.`,
    );
  }
  const lists = classes.length === 0 ? [own] : classes.map((name) => imagesIn(folder, name));
  const files: { path: string; name?: string }[] = [];
  for (let i = 0; i < Math.max(...lists.map((list) => list.length)); i++) {
    for (const [k, list] of lists.entries()) {
      if (i < list.length) files.push({ path: join(classes[k] ?? '', list[i]), name: classes[k] });
    }
  }
  if (files.length === 0) throw new DataError(`${folder} is empty: expected PNG images.`);
  const hash = createHash('sha256');
  let pixels = new Uint8Array();
  let first: readonly [number, number, number] | undefined;
  for (const [i, { path }] of files.entries()) {
    const file = join(folder, path);
    if (!/\.png$/i.test(path))
      throw new DataError(`${file} is not a PNG image; only .png files are read.`);
    const { content, sha256 } = readWhole(file);
    const image = about(file, () => parsePng(content));
    hash.update(`${path.replaceAll('\\', '/')}\0${sha256}\n`);
    const shape = [image.height, image.width, image.channels] as const;
    if (first === undefined) {
      first = shape;
      pixels = reserved(folder, files.length * image.pixels.length);
    } else if (shape.join() !== first.join()) {
      throw new DataError(
        `${file} is ${imageText(shape)}, but ${files[0].path} is ${imageText(first)}: all images need one size and one number of channels.`,
      );
    }
    pixels.set(image.pixels, i * image.pixels.length);
  }
  return {
    pixels,
    count: files.length,
    shape: first!,
    ...(classes.length > 0 && { classes: files.map(({ name }) => name!) }),
    files: files.map(({ path }) => path),
    sha256: hash.digest('hex'),
  };
}

const imageText = ([height, width, channels]: readonly [number, number, number]): string =>
  `${height}x${width} ${channels === 1 ? 'grey' : 'RGB'}`;

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter(({ name }) => !name.startsWith('.'))
      .map((entry) => (entry.isSymbolicLink() ? linked(folder, entry.name) : entry))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    throw unreadable(folder, error);
  }
}

function linked(folder: string, name: string) {
  const found = statSync(join(folder, name), { throwIfNoEntry: false });
  return {
    name,
    isFile: () => found?.isFile() ?? true,
    isDirectory: () => found?.isDirectory() ?? false,
  };
}

function imagesIn(folder: string, name: string): string[] {
  const entries = entriesOf(join(folder, name));
  const inner = entries.find((entry) => entry.isDirectory());
  if (inner) {
    throw new DataError(
      `${join(folder, name, inner.name)} is a folder inside the folder of a class.`,
    );
  }
  if (entries.length === 0) throw new DataError(`${join(folder, name)} is a class without images.`);
  return entries.map((entry) => entry.name);
}

function reserved(folder: string, bytes: number): Uint8Array<ArrayBuffer> {
  const free = availableMemory();
  if (bytes <= free) return new Uint8Array(bytes);
  throw new DataError(
    `The images in ${folder} take ${sizeText(bytes)}, and ${sizeText(free)} of memory is available.`,
  );
}
