import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/config/issues.js';
import { Random } from '../../src/core/random.js';
import { experimentText, messageOf, parse } from './helpers.js';

const config = readFileSync(join(import.meta.dirname, '../../configs/mnist-mlp.yaml'), 'utf8');

/** Accepted, or refused with issues that all point into the text or at an override. */
function survives(text: string, overrides: string[] = []): 'accepted' | 'refused' {
  const lines = text.split('\n');
  try {
    parse(text, overrides);
    return 'accepted';
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.issues.length).toBeGreaterThan(0);
    for (const { place, message } of error.issues) {
      expect(message).not.toMatch(/undefined|\[object|Invalid input/);
      if (place.from === 'command line') {
        expect(overrides).toContain(place.override);
      } else {
        expect(place.line).toBeLessThanOrEqual(lines.length);
        expect(place.column).toBeLessThanOrEqual((lines[place.line - 1] ?? '').length + 1);
      }
    }
    return 'refused';
  }
}

describe('whatever is written', () => {
  it('damaged text is accepted or explained', () => {
    const random = new Random(1, 'fuzz text');
    const inserts = [
      '\t',
      '"',
      "'",
      '[',
      ']',
      '{',
      '}',
      ':',
      ': ',
      '- ',
      '&a ',
      '*a',
      '<<: ',
      '!x ',
      '|',
      '>',
      '#',
      '\n',
      '\n\n  ',
      '? ',
      '---\n',
      '%',
      '@',
      '\u0000',
      '\u2028',
      'é',
      '.nan',
      '~',
      '-0',
    ];
    const seen = { accepted: 0, refused: 0 };
    for (let trial = 0; trial < 200; trial++) {
      let text = config;
      for (let edits = 1 + random.integer(3); edits > 0; edits--) {
        const at = random.integer(text.length);
        const insert = random.integer(3) > 0 ? inserts[random.integer(inserts.length)] : '';
        text = text.slice(0, at) + insert + text.slice(at + random.integer(12));
      }
      seen[survives(text)]++;
    }
    expect(seen.accepted).toBeGreaterThan(0);
    expect(seen.refused).toBeGreaterThan(100);
  });

  it('any value anywhere is accepted or explained', () => {
    const random = new Random(2, 'fuzz values');
    const { origins } = parse(config);
    const paths = [
      '',
      'methods',
      'methods.0',
      'network',
      'network.layers',
      'expect',
      'expect.adam',
      'dataset',
      'evaluate',
      'seeds.0',
      'network.layers.1.activation',
      ...Object.keys(origins),
    ];
    const values = [
      '',
      'null',
      'true',
      '-1',
      '0',
      '1',
      '1e400',
      '0.5',
      '.nan',
      'x',
      '""',
      '[]',
      '{}',
      '[[1]]',
      '[null]',
      '{a: 1}',
      '{name: adam}',
      '[{}]',
      '2001-01-01',
      '0x10',
      '"\\u0000"',
      '*a',
      '{<<: 1}',
      '{__proto__: 1}',
    ];
    for (let trial = 0; trial < 400; trial++) {
      const override = `${paths[random.integer(paths.length)]}=${values[random.integer(values.length)]}`;
      survives(config, [override]);
    }
  });
});

describe('very large configs are refused in a moment', () => {
  const cases: [string, string][] = [
    ['seeds of the wrong type', experimentText({ seeds: `[${'x, '.repeat(5000)}]` })],
    ['the same seed', experimentText({ seeds: `[${'5, '.repeat(5000)}]` })],
    [
      'unknown keys',
      experimentText() + Array.from({ length: 3000 }, (_, i) => `epochs${i}: 1\n`).join(''),
    ],
    ['broken methods', experimentText({ methods: `[${'{ name: fenchl }, '.repeat(3000)}]` })],
    ['twin labels', experimentText({ methods: `[${'{ name: adam }, '.repeat(1000)}]` })],
    ['aliases', `${experimentText({ epochs: '&e 3' })}x: [${'*e, '.repeat(5000)}]`],
  ];
  it.each(cases)('%s', (_, text) => {
    const start = process.cpuUsage();
    expect(messageOf(text)).toMatch(/\d+ problems\.$|unknown key/);
    expect(process.cpuUsage(start).user).toBeLessThan(10e6);
  });
});
