import { describe, expect, it } from 'vitest';
import { experimentText, issuesOf, messageOf, parse } from './helpers.js';

describe('text that is not a config', () => {
  const keys =
    'name, plugins, dataset, network, init, loss, epochs, batchSize, seeds, evaluate, backend, device, convolutionPrecision, methods, expect, tuning';
  const unclear =
    'the structure is unclear here: check the indentation of this line and the next, commas inside { }, and quotes around text that contains ": "';
  const cases: [string, string, string][] = [
    ['nothing', '', '1:1: the file is empty'],
    ['only comments', '# later\n', '1:1: the file is empty'],
    ['only a marker', '---\n', '1:1: the file is empty'],
    ['a list', '- a\n', `1:1: a config is a block of keys: ${keys}`],
    ['prose', 'hello', `1:1: a config is a block of keys: ${keys}`],
    [
      'no space after colons',
      'name:x\nepochs:3',
      `1:1: a config is a block of keys: ${keys}; write a space after each colon`,
    ],
    ['a tab', 'a:\n\tb: 1\n', '2:1: a tab is used for indentation; use spaces'],
    ['two colons', 'name: a: b', `1:7: ${unclear}`],
    ['an open list', 'seeds: [1, 2', '1:13: the list opened with "[" is not closed with "]"'],
    ['an open block', 'a: { b: 1', '1:10: the block opened with "{" is not closed with "}"'],
    ['an open quote', 'a: "x', '1:6: a closing double quote is missing'],
    ['a key alone', 'a: 1\nepochs\n', '2:1: a key needs a colon and a value, as in "epochs: 10"'],
    [
      'two documents',
      'a: 1\n---\nb: 2',
      '2:1: a second document starts here; a file contains one experiment',
    ],
    ['a tag', 'a: !gpu 3', '1:4: tags are not supported (!gpu); remove it'],
    ['a reserved character', 'a: @x', '1:4: a value cannot start with "@"; put it in quotes'],
    [
      'crooked indentation',
      'a:\n  - b: 1\n   c: 2',
      '3:1: the indentation differs from the lines above; use the same number of spaces',
    ],
    ['JSON without a comma', '{\n  "a": 1\n  "b": 2\n}', `2:8: ${unclear}`],
    ['endless nesting', '['.repeat(50_000), '1:1: lists and blocks are nested too deeply'],
    [
      'endless nesting in a line',
      '- '.repeat(50_000),
      '1:1: lists and blocks are nested too deeply',
    ],
  ];
  it.each(cases)('%s', (_, text, expected) => {
    expect(messageOf(text).split('\n')[0]).toBe(`trial.yaml:${expected}`);
  });

  it('nesting by indentation', () => {
    const text = Array.from({ length: 1200 }, (_, i) => `${' '.repeat(i)}a:`).join('\n');
    expect(messageOf(text)).toContain('nested too deeply');
  });

  it('duplicate keys, with the line of the first', () => {
    const text = `${experimentText()}epochs: 3\n`;
    expect(messageOf(text)).toBe(`\
trial.yaml:8:1 epochs: duplicate key: already given in line 4; remove one of them
  8 | epochs: 3
    | ^^^^^^`);
  });

  it('keys that are not text', () => {
    const problems = issuesOf(`${experimentText()}? [1, 2]\n: 3\n7: 1\n`);
    expect(problems[0]).toBe('a key must be plain text');
    expect(problems[1]).toContain('7: unknown key');
  });
});

describe('anchors', () => {
  it('ordinary ones, and merges, whose own keys win', () => {
    const methods = [
      '',
      '  - &base { name: adam, learningRate: 0.5, beta1: 0.8 }',
      '  - { <<: *base, label: second, learningRate: 0.25 }',
      '  - { <<: [{ label: third }, *base] }',
    ].join('\n');
    const { experiment } = parse(experimentText({ methods }));
    expect(
      experiment.methods.map(({ config }) => [config.label, config.learningRate, config.beta1]),
    ).toEqual([
      ['adam', 0.5, 0.8],
      ['second', 0.25, 0.8],
      ['third', 0.5, 0.8],
    ]);
  });

  it('a mistake in a shared block is shown where it is written', () => {
    const methods = '\n  - &a { name: adam, beta1: 2 }\n  - { <<: *a, label: b }';
    const message = messageOf(experimentText({ methods }));
    expect(message).toContain('trial.yaml:8:29 methods.0.beta1');
    expect(message).toContain('trial.yaml:8:29 methods.1.beta1');
  });

  it('an alias means the anchor above it, also when it is expanded later', () => {
    const methods =
      '[{ name: adam, bias: &x 1 }, &m { name: adam, label: b, bias: *x }, { name: adam, label: c, bias: &x 2 }, { <<: *m, label: d }]';
    const { experiment } = parse(experimentText({ methods }));
    expect(experiment.methods.map(({ config }) => config.bias)).toEqual([1, 1, 2, 1]);
  });

  it('an unknown anchor', () => {
    expect(issuesOf(experimentText({ epochs: '&many 3', batchSize: '*mnay' }))).toEqual([
      'batchSize: there is no anchor "&mnay" above this line; did you mean "many"?',
    ]);
  });

  it('an alias of itself', () => {
    expect(issuesOf(experimentText({ seeds: '&s [1, *s]' }))).toEqual([
      'seeds.1: contains itself through an alias',
    ]);
  });

  it('a billion laughs', () => {
    const lines = ['a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]'];
    for (const [i, name] of [...'bcdefghij'].entries()) {
      lines.push(`${name}: &${name} [${Array(10).fill(`*${'abcdefghij'[i]}`).join(', ')}]`);
    }
    const start = process.cpuUsage();
    expect(messageOf(lines.join('\n'))).toContain('its aliases expand to more than 50000 values');
    expect(process.cpuUsage(start).user).toBeLessThan(5e6);
  });

  it('a chain of aliases', () => {
    const lines = Array.from({ length: 150 }, (_, i) => `k${i}: &k${i} [${i ? `*k${i - 1}` : ''}]`);
    expect(messageOf(lines.join('\n'))).toContain('nested too deeply');
  });
});

describe('the same experiment', () => {
  const { hash } = parse(experimentText()).experiment;
  it.each([
    ['with a byte-order mark', `\uFEFF${experimentText()}`],
    ['with Windows line ends', experimentText().replaceAll('\n', '\r\n')],
    ['with a document marker', `---\n${experimentText()}...\n`],
    ['in JSON, with tabs', JSON.stringify(parse(experimentText()).experiment.resolved, null, '\t')],
    ['in another order', experimentText().trimEnd().split('\n').reverse().join('\n')],
    ['with its schema', `$schema: x.json\n${experimentText()}`],
  ])('%s', (_, text) => {
    expect(parse(text).experiment.hash).toBe(hash);
  });
});
