import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findingsText } from '../../src/cli/commands/doctor.js';
import {
  backendFindings,
  type Finding,
  folderFinding,
  memoryFinding,
  oldestNode,
  programFindings,
} from '../../src/doctor/doctor.js';
import { fln } from '../cli/fln.js';
import { temporaryFolder } from '../experiment/tiny.js';

/** A folder of programs, each of which prints its text, or fails with it where it begins with "!". */
function programs(outputs: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder();
  for (const [name, output] of Object.entries(outputs)) {
    const path = join(folder, name);
    const end = output.startsWith('!')
      ? `echo '${output.slice(1)}' >&2; exit 9`
      : `echo '${output}'`;
    writeFileSync(path, `#!/bin/sh\n${end}\n`);
    chmodSync(path, 0o755);
  }
  return folder;
}

const found = (findings: readonly Finding[], topic: string) =>
  findings.find((finding) => finding.topic === topic);

describe('fln doctor', () => {
  it('reports that training can start, and every finding', async () => {
    const cwd = temporaryFolder();
    const path = programs({
      'nvidia-smi': 'Some GPU, 80000 MiB, 550.1\nOther GPU, 40000 MiB, 550.1',
      sbatch: '!fatal: no configuration',
    });
    const env = { PATH: [path, process.env.PATH].join(delimiter), CUDA_VISIBLE_DEVICES: '1' };
    const { code, stdout, stderr } = await fln(['doctor', '--json'], { cwd, env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { ok, findings }: { ok: boolean; findings: Finding[] } = JSON.parse(stdout);
    expect(ok).toBe(true);
    expect(found(findings, 'backend wasm')).toMatchObject({ state: 'ok' });
    expect(found(findings, 'GPU 1')).toMatchObject({
      state: 'warning',
      text: 'Other GPU, 40000 MiB, driver 550.1; no backend uses it',
      wayOut: 'fln backend install tensorflow --cuda',
    });
    expect(found(findings, 'Slurm')).toMatchObject({
      state: 'warning',
      text: 'sbatch fails: fatal: no configuration',
    });
    expect(found(findings, 'data mnist')).toMatchObject({
      state: 'absent',
      wayOut: 'fln data fetch mnist',
    });
    expect(found(findings, 'data synthetic-digits')).toMatchObject({ state: 'ok' });
    expect(found(findings, 'CUDA_VISIBLE_DEVICES')?.text).toBe('1');

    const text = findingsText(findings);
    expect(text).toMatch(/^ok +Node +v\d+/m);
    expect(text).toMatch(/^warning +GPU 0 .*\n +-> fln backend install/m);
    expect(text).toMatch(/\nTraining can start, with \d+ warnings\.$/);
  });

  it('exits 4 when there is a problem', async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'results'), 'a file in the way');
    const { code, stdout } = await fln(['doctor'], { cwd, env: { FLN_DATA_DIR: '/nowhere' } });
    expect(code).toBe(4);
    expect(stdout).toMatch(/^PROBLEM FLN_DATA_DIR +\/nowhere does not exist\n +-> unset/m);
    expect(stdout).toMatch(/^PROBLEM results folder .* is a file/m);
    expect(stdout).toContain('3 problems to fix');
  });
});

describe('the findings', () => {
  const provenance = {
    program: { name: 'p', version: '1' },
    git: null,
    lockfileSha256: null,
    platform: 'linux x64',
    cpu: 'x',
    threads: 2,
  };

  it('require the oldest Node that package.json allows', () => {
    const { engines } = JSON.parse(
      readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
    );
    expect(engines.node).toBe(`>=${oldestNode.join('.')}`);
    const state = (node: string) => found(programFindings({ ...provenance, node }), 'Node')?.state;
    expect(['v20.18.9', 'v18.0.0', 'v20.19.0', 'v24.1.0'].map(state)).toEqual([
      'problem',
      'problem',
      'ok',
      'ok',
    ]);
  });

  it('have a problem without a backend, and a warning where only the slow one starts', () => {
    const backend = (name: string, works: boolean) => ({
      name,
      summary: '',
      trial: works
        ? { works, report: { name, version: '1', detail: 'd' } }
        : { works, reason: 'broken' },
    });
    const worst = (...names: string[]) =>
      backendFindings(
        ['wasm', 'cpu'].map((name) => backend(name, names.includes(name)) as never),
      ).at(-1)?.state;
    expect([worst(), worst('cpu'), worst('wasm', 'cpu')]).toEqual(['problem', 'warning', 'ok']);
  });

  it('check permissions and space of folders, and memory', () => {
    const folder = temporaryFolder();
    expect(folderFinding('x', join(folder, 'a', 'b')).state).toBe('ok');
    mkdirSync(join(folder, 'c'));
    writeFileSync(join(folder, 'c', 'file'), '');
    expect(folderFinding('x', join(folder, 'c', 'file', 'd'), 'FLN_CACHE_DIR')).toMatchObject({
      state: 'problem',
      wayOut: 'set another with FLN_CACHE_DIR',
    });
    expect(memoryFinding(5e8, 8e9)).toMatchObject({
      state: 'warning',
      text: '500.0 MB of 8.0 GB available',
    });
    expect(memoryFinding(5e9, 8e9).state).toBe('ok');
  });
});
