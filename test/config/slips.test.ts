import { describe, expect, it } from 'vitest';
import { experimentText, issuesOf, messageOf } from './helpers.js';

describe('what people write by habit', () => {
  it.each([
    ['0,5', 'methods.0.beta1: must be a number, not "0,5"; write 0.5, without quotes'],
    ['"1,000"', 'methods.0.beta1: must be a number, not "1,000"; write 1000, without quotes'],
  ])('a number written %s', (value, issue) => {
    const text = experimentText({ methods: `\n  - name: adam\n    beta1: ${value}` });
    expect(issuesOf(text)).toEqual([issue]);
  });

  it('a decimal comma where a whole number belongs suggests nothing', () => {
    expect(issuesOf(experimentText({ epochs: '"0,5"' }))).toEqual([
      'epochs: must be an integer, not "0,5"',
    ]);
  });

  it.each([
    ['yes', '; write true, without quotes'],
    ['off', '; write false, without quotes'],
    ['maybe', ''],
  ])('%s for true or false', (value, hint) => {
    const methods = `[{ name: fenchel, solver: exact, proximalBias: ${value} }]`;
    expect(issuesOf(experimentText({ methods }))).toEqual([
      `methods.0.proximalBias: must be true or false, not "${value}"${hint}`,
    ]);
  });

  it('a comment of another language hides nothing else', () => {
    expect(messageOf(`{\n  // settings\n  "name": "trial",\n  "epochs": 2\n}\n`)).toBe(
      'trial.yaml:2:3: a comment starts with #, not with //\n' +
        '  2 |   // settings\n' +
        '    |   ^^',
    );
  });

  it('a block is suggested only around a value that it can hold', () => {
    const [issue] = issuesOf(experimentText({ expect: '{ adam: 2020-01-01 }' }));
    expect(issue).toBe('expect.adam: must be a block, not "2020-01-01"');
    const [fits] = issuesOf(experimentText({ expect: '{ adam: 0.9 }' }));
    expect(fits).toBe('expect.adam: must be a block, not 0.9; write { paper: 0.9 }');
  });

  it('a comma that is missing in JSON', () => {
    expect(messageOf('{"name": "trial", "epochs": 2 "batchSize": 3}')).toContain(
      'a comma may be missing after this',
    );
  });
});

describe('several slips in one method', () => {
  it('a list of the wrong length is found beside an unknown key', () => {
    const methods =
      '[{ name: fenchel, solver: exact, lambda: [1, 2, 3], nonsense: 3, gamma: [1, 2, 3] }]';
    const issues = issuesOf(experimentText({ methods }));
    expect(issues).toHaveLength(3);
    expect(issues[0]).toContain('methods.0.lambda: has 3 values');
    expect(issues[1]).toContain('methods.0.nonsense: unknown key');
    expect(issues[2]).toContain('methods.0.gamma: has 3 values');
  });

  it('nothing is concluded from a value that is wrong itself', () => {
    const methods = '[{ name: fenchel, solver: exact, gamma: 0, rho: -1 }]';
    expect(issuesOf(experimentText({ methods }))).toEqual([
      'methods.0.rho: must be at least 0, not -1',
    ]);
  });
});
