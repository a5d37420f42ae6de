import { execFileSync } from 'node:child_process';

/** Name of the GPU that TensorFlow takes, the first that it may see; `GPU` where nvidia-smi is no help. */
export function gpuName(): string {
  const [visible = ''] = process.env.CUDA_VISIBLE_DEVICES?.split(',') ?? [];
  const selected = visible.trim() === '' ? [] : ['-i', visible.trim()];
  try {
    const [name = ''] = execFileSync(
      'nvidia-smi',
      ['--query-gpu=name', '--format=csv,noheader', ...selected],
      { encoding: 'utf8', timeout: 10_000, stdio: ['ignore', 'pipe', 'ignore'] },
    ).split('\n');
    return name.trim() || 'GPU';
  } catch {
    return 'GPU';
  }
}
