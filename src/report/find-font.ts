import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { type Font, openSync } from 'fontkit';
import { UsageError } from '../errors.js';
import { didYouMean } from '../shared/suggest.js';
import { defaultFont, type FigureFont, type FontFile } from './font.js';

/**
 * The font of a file, or the installed one of a family.
 * @param name path of a TTF, OTF or TTC file, or name of a family
 * @throws UsageError when there is none
 */
export function loadFont(name: string): FigureFont {
  if (/\.(ttf|otf|ttc)$/i.test(name)) return fontOfFile(name);
  const families = new Set<string>();
  const found = { regular: undefined, bold: undefined } as Record<Weight, FontFile | undefined>;
  for (const path of candidates(name)) {
    for (const { family, weight, face } of facesIn(path) ?? []) {
      families.add(family);
      if (!sameName(family, name) || weight === undefined) continue;
      found[weight] ??= { path, face };
    }
    if (found.regular && found.bold) break;
  }
  const { regular, bold = regular } = found;
  if (regular && bold) {
    const family = facesIn(regular.path)!.find(({ face }) => face === regular.face)!.family;
    return { family, regular, bold };
  }
  throw new UsageError(
    `--font ${name}: no installed font has this name${didYouMean(name, [...families]) || '.'} ` +
      'Give the name of a family, as in "DejaVu Serif", or a TTF or OTF file',
  );
}

function fontOfFile(path: string): FigureFont {
  if (!existsSync(path)) throw new UsageError(`--font ${path}: there is no such file`);
  const face = facesIn(path)?.[0];
  if (face === undefined) {
    throw new UsageError(`--font ${path}: not a font that can be read; give a TTF or OTF file`);
  }
  const file = { path, face: face.face };
  return { family: face.family, regular: file, bold: file };
}

type Weight = 'regular' | 'bold';

interface Face {
  readonly family: string;
  /** Undefined for others, such as italics. */
  readonly weight?: Weight;
  readonly face?: string;
}

/** The fonts in a file; undefined where it cannot be read. */
function facesIn(path: string): Face[] | undefined {
  try {
    const opened = openSync(path);
    const fonts = 'fonts' in opened ? (opened.fonts as Font[]) : [opened as Font];
    return fonts.map(({ familyName, subfamilyName, postscriptName }) => {
      const style = /^(regular|book|roman|normal|medium)$/i.test(subfamilyName)
        ? ('regular' as const)
        : /^bold$/i.test(subfamilyName)
          ? ('bold' as const)
          : undefined;
      const face = fonts.length > 1 ? postscriptName : undefined;
      return { family: familyName, weight: style, face };
    });
  } catch {
    return undefined;
  }
}

const sameName = (a: string, b: string) => plainName(a) === plainName(b);
const plainName = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '');

/** Font files of the package and of the system: those whose names resemble the wanted one first. */
function candidates(family: string): string[] {
  const folders = [
    dirname(defaultFont.regular.path),
    join(homedir(), '.fonts'),
    join(homedir(), '.local', 'share', 'fonts'),
    join(homedir(), 'Library', 'Fonts'),
    '/usr/share/fonts',
    '/usr/local/share/fonts',
    '/usr/share/texmf/fonts',
    '/usr/share/texlive/texmf-dist/fonts',
    '/Library/Fonts',
    '/System/Library/Fonts',
    join(process.env.WINDIR ?? 'C:\\Windows', 'Fonts'),
  ];
  const files = folders.flatMap(fontFiles);
  const start = plainName(family).slice(0, 5);
  const alike = (path: string) => plainName(basename(path)).includes(start);
  return [...files.filter(alike), ...files.filter((path) => !alike(path))].slice(0, mostFiles);
}

/** Reading more would take minutes. */
const mostFiles = 5000;

function fontFiles(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(ttf|otf|ttc)$/i.test(name))
      .sort()
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}
