import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { parseExperiment } from '../../../src/config/load.js';
import { tinyConfig } from '../../experiment/tiny.js';
import { mutatedText } from '../mutate.js';
import { harmless, type Surface } from '../surface.js';

const folder = new URL('../../../configs/', import.meta.url);
const originals = readdirSync(folder)
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => readFileSync(new URL(name, folder), 'utf8'));

/** What configs are broken with: YAML's own characters, prototypes, paths, numbers at the edge. */
export const words = [
  '&a ',
  '*a ',
  '<<: *a',
  '!!js/function ',
  '!!binary ',
  '? ',
  '- - - ',
  '{',
  '}',
  '[',
  ']',
  '|',
  '>',
  '"',
  "'",
  '#',
  '\t',
  '__proto__: { polluted: 1 }\n',
  'constructor: { prototype: { polluted: 1 } }\n',
  'toString: 1\n',
  '../../etc/passwd',
  '/dev/zero',
  '\u001b[2J',
  '\u0007',
  '\u202e',
  '\ufeff',
  '<script>',
  '%s',
  '1e999',
  '-1',
  '0x10',
  '.nan',
  '.inf',
  '9007199254740993',
  'null',
  '~',
  '---\n',
  '...\n',
  'yes',
  '=',
];

/** Nothing that a file says may reach the prototypes of the program. */
export function checkPrototypes(): void {
  const names = [...Object.keys(Object.prototype), ...Object.keys(Array.prototype)];
  if (names.length > 0 || 'polluted' in {}) throw new Error('a prototype was polluted');
}

const anchors = fc
  .tuple(fc.integer({ min: 2, max: 12 }), fc.integer({ min: 2, max: 12 }))
  .map(([depth, width]) => {
    const lines = Array.from({ length: depth }, (_, i) =>
      i === 0
        ? 'a0: &a0 [x]'
        : `a${i}: &a${i} [${Array(width)
            .fill(`*a${i - 1}`)
            .join(', ')}]`,
    );
    return `${lines.join('\n')}\nname: [*a${depth - 1}]\n`;
  });

const nested = fc
  .tuple(fc.constantFrom('[', '{a: ', '- ', '? '), fc.integer({ min: 1, max: 20_000 }))
  .map(([open, depth]) => `name: ${open.repeat(depth)}`);

export const configs: Surface<string> = {
  name: 'configs',
  cases: fc.oneof(
    { arbitrary: mutatedText([...originals, tinyConfig], words), weight: 20 },
    { arbitrary: fc.string({ unit: 'binary', maxLength: 200 }), weight: 3 },
    { arbitrary: fc.json(), weight: 3 },
    { arbitrary: anchors, weight: 1 },
    { arbitrary: nested, weight: 1 },
  ),
  run: async (text) => {
    await harmless(() => parseExperiment(text, 'fuzz.yaml'));
    checkPrototypes();
  },
};

const paths = [
  'epochs',
  'seeds',
  'seeds.0',
  'methods',
  'methods.adam.learningRate',
  'methods.0',
  'methods.sgd',
  'dataset.name',
  'dataset.limit',
  'network.layers.0.dense',
  'network.layers.9',
  'expect.adam.atLeast',
  '__proto__.polluted',
  'constructor.prototype.polluted',
  'methods.__proto__',
  'a.b.c',
  '',
  '.',
  'name',
  'batchSize',
  'evaluate.every',
];

export const overrides: Surface<string[]> = {
  name: 'overrides',
  cases: fc.array(
    fc.oneof(
      fc
        .tuple(
          fc.constantFrom(...paths),
          fc.oneof(fc.json(), fc.string({ unit: 'binary' }), fc.constantFrom(...words)),
        )
        .map(([path, value]) => `${path}=${value}`),
      fc.string({ unit: 'binary', maxLength: 60 }),
    ),
    { minLength: 1, maxLength: 3 },
  ),
  run: async (list) => {
    await harmless(() => parseExperiment(tinyConfig, 'fuzz.yaml', list));
    checkPrototypes();
  },
};
