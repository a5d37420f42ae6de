import type { CommandModule } from 'yargs';
import type { Finding } from '../../doctor/doctor.js';
import { ExitCode } from '../../errors.js';
import { plural } from '../../shared/text.js';
import { interruptible } from '../interrupt.js';
import { json, manual } from '../options.js';
import { note, print, printJson } from '../render/print.js';

interface DoctorArguments {
  json?: boolean;
}

/** `fln doctor` */
export const doctorCommand: CommandModule<object, DoctorArguments> = {
  command: 'doctor',
  describe: 'check Node, backends, GPUs, data sets and disk; include the output in a bug report',
  builder: (yargs) =>
    yargs
      .option('json', json)
      .example('$0 doctor', 'takes a few seconds')
      .example('$0 doctor --json', 'machine-readable: .ok, .findings')
      .epilogue(
        manual('Nothing is downloaded, installed or changed.', {
          0: 'training can start',
          4: 'a problem must be fixed first',
        }),
      ) as never,
  handler: doctor,
};

async function doctor({ json }: DoctorArguments): Promise<void> {
  const { examine } = await import('../../doctor/doctor.js');
  if (!json) note('Testing the backends ...');
  const findings = await interruptible(() => {}, examine);
  const ok = findings.every(({ state }) => state !== 'problem');
  process.exitCode = ok ? ExitCode.ok : ExitCode.environment;
  if (json) printJson({ ok, findings });
  else print(findingsText(findings));
}

/** One line for each finding and each way out, then whether training can start. */
export function findingsText(findings: readonly Finding[]): string {
  const problems = findings.filter(({ state }) => state === 'problem').length;
  const warnings = findings.filter(({ state }) => state === 'warning').length;
  const width = Math.max(...findings.map(({ topic }) => topic.length));
  const verdict =
    problems > 0
      ? `${plural(problems, 'problem')} to fix before training can start.`
      : `Training can start${warnings > 0 ? `, with ${plural(warnings, 'warning')}` : ''}.`;
  return [...findings.map((finding) => line(finding, width)), '', verdict].join('\n');
}

const marks = { ok: 'ok', absent: '-', warning: 'warning', problem: 'PROBLEM' } as const;

function line({ topic, state, text, wayOut }: Finding, width: number): string {
  const start = `${marks[state].padEnd(8)}${topic.padEnd(width + 2)}`;
  const fix = wayOut === undefined ? [] : [`-> ${wayOut}`];
  return [...text.split('\n'), ...fix]
    .map((part, i) => (i === 0 ? start : ' '.repeat(start.length)) + part.trim())
    .join('\n');
}
