import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { installFakeBinding } from '../backend/fake-tools.js';
import { tinyConfig } from '../experiment/tiny.js';
import { fln, workplace } from './fln.js';

/** Where NVIDIA's driver is installed, a fake binding cannot stand for a machine without it. */
const driver = ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/usr/lib'].some((folder) =>
  existsSync(join(folder, 'libcuda.so.1')),
);

describe('fln backend', () => {
  it.each([
    [[], 'Use fln backend list, fln backend install or fln backend remove.'],
    [['lst'], 'There is no "fln backend lst"; did you mean "list"?'],
    [['list', 'wasm'], 'fln backend list takes no name'],
    [['install'], 'fln backend install needs a name:\n  tensorflow '],
    [
      ['install', 'tensorflw'],
      'there is no installation named "tensorflw"; did you mean "tensorflow"?',
    ],
    [['install', 'webgpu', '--cuda'], '--cuda is for tensorflow, not for webgpu'],
    [['remove', 'wasm'], 'there is no installation named "wasm". The installations are'],
    [['list', '--jsn'], 'did you mean'],
  ])('%j is exit 2', async (args, message) => {
    const { code, stderr, stdout } = await fln(['backend', ...args], {
      cwd: workplace(''),
      separate: false,
    });
    expect(stderr).toContain(message);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });
});

describe('fln run --device cuda', () => {
  const run = (binding: string, args: readonly string[], env = {}, separate = true) => {
    const cwd = workplace(tinyConfig);
    installFakeBinding(cwd, binding);
    const all = { FLN_TENSORFLOW_DIR: cwd, CUDA_VISIBLE_DEVICES: '0', ...env };
    return fln(['run', 'tiny.yaml', '--out', 'out', '--progress', 'text', ...args], {
      cwd,
      env: all,
      separate,
    }).then((outcome) => ({ ...outcome, started: existsSync(join(cwd, 'out')) }));
  };

  it
    .skipIf(driver || process.platform !== 'linux')
    .each([
      [['--device', 'cuda']],
      [['--backend', 'tensorflow', 'device=cuda']],
      [['--backend', 'tensorflow-gpu']],
    ])('%j without a driver is exit 4 and names the library that is missing', async (args) => {
    const { code, stderr, started } = await run('@tensorflow/tfjs-node-gpu', args);
    expect(stderr).toMatch(/needs libcuda\.so\.1, which cannot be opened .*NVIDIA's driver/);
    expect(code).toBe(4);
    expect(started).toBe(false);
  });

  it('with a build for CPUs is exit 4 and says where to get the other', async () => {
    const { code, stderr } = await run('@tensorflow/tfjs-node', ['--device', 'cuda']);
    expect(stderr).toContain('is a build for CPUs alone');
    expect(stderr).toContain('fln backend install tensorflow --cuda');
    expect(code).toBe(4);
  });

  it('with all GPUs hidden says so', async () => {
    const { code, stderr } = await run('@tensorflow/tfjs-node-gpu', ['--device', 'cuda'], {
      CUDA_VISIBLE_DEVICES: '-1',
    });
    expect(stderr).toContain('CUDA_VISIBLE_DEVICES="-1" hides them all');
    expect(code).toBe(4);
  });

  it('with a backend that has no GPU is exit 2, found by --dry-run', async () => {
    const args = ['--device', 'cuda', '--backend', 'wasm', '--dry-run'];
    const { code, stderr } = await run('@tensorflow/tfjs-node', args, {}, false);
    expect(stderr).toContain('the backend "wasm" does not compute on the device "cuda"');
    expect(code).toBe(2);
  });
});
