import { totalmem } from 'node:os';
import { availableMemory } from '../shared/memory.js';
import type { Provenance } from '../shared/provenance.js';
import { sizeText } from '../shared/size.js';
import type { Finding } from './finding.js';
import { outputOf } from './program.js';

/** The oldest Node that is tested; package.json says the same. */
export const oldestNode = [20, 19] as const;

const enoughMemory = 1e9;

export function programFindings({
  program,
  git,
  node,
  platform,
  cpu,
  threads,
}: Provenance): Finding[] {
  const checkout = git
    ? `, commit ${git.commit.slice(0, 12)}${git.dirty ? ' with changes' : ''}`
    : '';
  const [major, minor] = node.slice(1).split('.').map(Number);
  const isNew = major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1]);
  return [
    { topic: 'program', state: 'ok', text: `${program.name} ${program.version}${checkout}` },
    isNew
      ? { topic: 'Node', state: 'ok', text: node }
      : {
          topic: 'Node',
          state: 'problem',
          text: `${node} is older than ${oldestNode.join('.')}`,
          wayOut: 'install Node 22 from nodejs.org, or with your version manager',
        },
    { topic: 'machine', state: 'ok', text: `${platform}, ${cpu}, ${threads} threads` },
    memoryFinding(availableMemory(), totalmem()),
  ];
}

export function memoryFinding(available: number, total: number): Finding {
  const text = `${sizeText(available)} of ${sizeText(total)} available`;
  if (available >= enoughMemory) return { topic: 'memory', state: 'ok', text };
  const wayOut = 'close other programs, or use a smaller dataset.limit and batchSize';
  return { topic: 'memory', state: 'warning', text, wayOut };
}

/** NVIDIA GPUs, as their driver tells. */
export async function gpuFindings(hasCuda: boolean): Promise<Finding[]> {
  const query = ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader'];
  const output = await outputOf('nvidia-smi', query);
  if (!('text' in output)) {
    if (!output.isThere)
      return [{ topic: 'GPU', state: 'absent', text: 'no NVIDIA driver (nvidia-smi)' }];
    const wayOut = 'install the driver again, or restart the machine after an update of it';
    return [{ topic: 'GPU', state: 'warning', text: `nvidia-smi fails: ${output.reason}`, wayOut }];
  }
  return output.text.split('\n').map((line, i): Finding => {
    const [name, memory, driver] = line.split(',').map((part) => part.trim());
    const finding = { topic: `GPU ${i}`, text: `${name}, ${memory}, driver ${driver}` };
    if (hasCuda) return { ...finding, state: 'ok' };
    const wayOut = 'fln backend install tensorflow --cuda';
    return { ...finding, state: 'warning', text: `${finding.text}; no backend uses it`, wayOut };
  });
}

export async function slurmFinding(): Promise<Finding> {
  const output = await outputOf('sbatch', ['--version']);
  if ('text' in output) return { topic: 'Slurm', state: 'ok', text: output.text };
  const local = 'sweeps run with --launcher local';
  if (!output.isThere) return { topic: 'Slurm', state: 'absent', text: `no sbatch; ${local}` };
  const wayOut = `ask who runs the cluster; ${local}`;
  return { topic: 'Slurm', state: 'warning', text: `sbatch fails: ${output.reason}`, wayOut };
}
