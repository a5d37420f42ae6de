import { execFileSync } from 'node:child_process';

/** Name of the GPU that TensorFlow takes, the first that it may see; `GPU` where nvidia-smi is no help. */
export function gpuName(): string {
  const [visible = ''] = process.env.CUDA_VISIBLE_DEVICES?.split(',') ?? [];
  const selected = visible.trim() === '' ? [] : ['-i', visible.trim()];
  const [name] = ask('name', selected) ?? [];
  return name || 'GPU';
}

/** Index and UUID of every GPU of this machine; undefined where nvidia-smi is no help. */
export function listGpus(): { index: string; uuid: string }[] | undefined {
  return ask('index,uuid')?.map((line) => {
    const [index, uuid = ''] = line.split(',').map((part) => part.trim());
    return { index, uuid };
  });
}

/** What nvidia-smi says, a line for each GPU. */
function ask(fields: string, selected: readonly string[] = []): string[] | undefined {
  try {
    const printed = execFileSync(
      'nvidia-smi',
      [`--query-gpu=${fields}`, '--format=csv,noheader', ...selected],
      { encoding: 'utf8', timeout: 10_000, stdio: ['ignore', 'pipe', 'ignore'] },
    );
    return printed.split('\n').flatMap((line) => line.trim() || []);
  } catch {
    return undefined;
  }
}
