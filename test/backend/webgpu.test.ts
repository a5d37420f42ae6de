import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { startBackend } from '../../src/backend/registry.js';
import { type GpuDevice, loadPackages } from '../../src/backend/webgpu/packages.js';
import { type GpuBackend, guardBackend } from '../../src/backend/webgpu/webgpu.js';
import { EnvironmentError, RunError } from '../../src/errors.js';
import { startTestBackend, testBackend } from '../backends.js';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('the packages of the backend webgpu', () => {
  it('are asked for in plain words where they are not installed', async () => {
    vi.stubEnv('FLN_WEBGPU_DIR', mkdtempSync(join(tmpdir(), 'fln-no-webgpu-')));
    await expect(loadPackages()).rejects.toThrow(EnvironmentError);
    await expect(loadPackages()).rejects.toThrow('fln backend install webgpu');
  });
});

/** A device and a backend that do nothing. */
function fakes(limit: number) {
  let lose: (info: { reason: string; message: string }) => void = () => {};
  const lost = new Promise<{ reason: string; message: string }>((resolve) => {
    lose = resolve;
  });
  const limits = {
    maxStorageBufferBindingSize: limit,
    maxBufferSize: 2 * limit,
    maxComputeWorkgroupsPerDimension: 65535,
  };
  const device = Object.assign(new EventTarget(), { limits, lost }) as GpuDevice;
  const tensor = { dtype: 'float32', shape: [5, 5] };
  const uploads: object[] = [];
  const backend: GpuBackend = {
    tensorMap: { get: () => tensor },
    read: async () => [1, 2],
    uploadToGPU: (dataId) => {
      uploads.push(dataId);
    },
  };
  guardBackend(backend, device);
  return { device, backend, uploads, lose };
}

describe('the guard of the backend webgpu', () => {
  it('makes every read after an error throw, and tells the first error', async () => {
    const { device, backend } = fakes(1000);
    expect(await backend.read({})).toEqual([1, 2]);
    for (const message of ['binding too large', 'and so on']) {
      const event = Object.assign(new Event('uncapturederror'), { error: new Error(message) });
      device.dispatchEvent(event);
    }
    await expect(backend.read({})).rejects.toThrow(RunError);
    await expect(backend.read({})).rejects.toThrow('binding too large');
  });

  it('makes reads throw when the device is lost', async () => {
    const { backend, lose } = fakes(1000);
    lose({ reason: 'unknown', message: 'driver reset' });
    await expect(backend.read({})).rejects.toThrow('the device was lost (unknown): driver reset');
  });

  it('refuses tensors beyond the limit before anything is uploaded', () => {
    const { backend, uploads } = fakes(99);
    expect(() => backend.uploadToGPU({})).toThrow(RunError);
    expect(() => backend.uploadToGPU({})).toThrow('takes 100 bytes, and this GPU allows 99');
    expect(uploads).toEqual([]);
    const roomy = fakes(100);
    roomy.backend.uploadToGPU({});
    expect(roomy.uploads).toHaveLength(1);
  });
});

describe.skipIf(testBackend !== 'webgpu')('the backend webgpu (FLN_TEST_BACKEND=webgpu)', () => {
  beforeAll(startTestBackend);

  it('says which adapter it computes on', async () => {
    const report = await startBackend('webgpu');
    expect(report.name).toBe('webgpu');
    expect(report.version).toMatch(/^\d+\.\d+/);
    expect(report.detail).toMatch(/^Dawn, ./);
    expect(tf.getBackend()).toBe('webgpu');
  });

  it('refuses a tensor that the device cannot hold, and goes on', async () => {
    const { limits } = (tf.backend() as unknown as { device: GpuDevice }).device;
    const rows = Math.ceil(limits.maxStorageBufferBindingSize / 4096) + 1;
    const column = tf.ones([rows, 1]);
    expect(() => tf.mul(column, tf.ones([1, 1024]))).toThrow(RunError);
    expect([...(await tf.add([1, 2], 1).data())]).toEqual([2, 3]);
  });

  // Last: the device is not trusted after it.
  it('throws at the read after an error that WebGPU only reports', async () => {
    const { device } = tf.backend() as unknown as {
      device: { createBuffer(descriptor: object): unknown };
    };
    // May be mapped for reading, and bound as storage: the two exclude each other.
    device.createBuffer({ size: 16, usage: 1 | 128 });
    await expect(tf.add([1, 2], 1).data()).rejects.toThrow('the GPU reported an error');
  });
});
