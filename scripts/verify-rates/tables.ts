import { failureRate, rules, type Scenario } from './simulate.js';

/** Enough for a standard error of 0.3 points at a rate of 5 %. */
export const trials = 5000;

/** The simulated error rates of docs/verify.md, as Markdown. */
export function rateTables(trials: number): string {
  return [
    ...tasks.flatMap(({ title, ...task }) => [`**${title}**`, rateTable(task, trials)]),
    '**Three rules on the same runs** (MNIST, limit 98.3 %, 3 seeds that spread by one binomial error)',
    ruleTable(trials),
  ].join('\n\n');
}

const tasks = [
  {
    title: 'MNIST, limit 98.3 %: a binomial error is 0.13 points',
    limit: 0.983,
    testImages: 10_000,
  },
  {
    title: 'CIFAR-10, limit 67 %: a binomial error is 0.47 points',
    limit: 0.67,
    testImages: 10_000,
  },
];

const seedCounts = [1, 2, 3, 5];
const spreads = [0.3, 1, 2];
const offsets = [0.1, 0, -0.1, -0.2, -0.5, -1];

type Task = Pick<Scenario, 'limit' | 'testImages'>;

/** Rows: true mean; columns: how far seeds spread, and how many there are. */
function rateTable(task: Task, trials: number): string {
  const columns = spreads.flatMap((spread) => seedCounts.map((seeds) => ({ spread, seeds })));
  const head = columns.map(({ spread, seeds }) => `${spread} b, n = ${seeds}`);
  const rows = offsets.map((points) => [
    points === 0 ? 'on the limit' : `${points > 0 ? '+' : ''}${points} points`,
    ...columns.map((column) =>
      rate(failureRate({ ...task, ...column, offset: points / 100 }, trials)),
    ),
  ]);
  return table(['true mean', ...head], rows);
}

function ruleTable(trials: number): string {
  const base = { limit: 0.983, testImages: 10_000, seeds: 3, spread: 1 };
  const cases: readonly (readonly [string, Omit<Scenario, keyof typeof base>])[] = [
    ['true mean on the limit', { offset: 0 }],
    ['0.2 points above', { offset: 0.002 }],
    ['0.5 points below', { offset: -0.005 }],
    ['0.2 points above, one seed 2 points worse', { offset: 0.002, lastSeedLoses: 0.02 }],
    ['0.2 points above, one seed at chance', { offset: 0.002, lastSeedLoses: 0.885 }],
  ];
  const rows = cases.map(([what, change]) => [
    what,
    ...Object.values(rules).map((rule) => rate(failureRate({ ...base, ...change }, trials, rule))),
  ]);
  return table(['share of gates that fail', ...Object.keys(rules)], rows);
}

/** Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [head, head.map((_, i) => (i === 0 ? '---' : '---:')), ...rows].map(line).join('\n');
}

export function rate(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`;
}
