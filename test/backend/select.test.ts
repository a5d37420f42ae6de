import { getBackend, registerBackend, removeBackend, setBackend } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { backends, startBackend } from '../../src/backend/registry.js';
import { activate } from '../../src/backend/start.js';
import { EnvironmentError, UsageError } from '../../src/errors.js';

const native = await startBackend('tensorflow').then(
  ({ device }) => device,
  () => undefined,
);

/** They need nothing but the program itself. */
const embedded = ['wasm', 'cpu'];

describe('starting a backend', () => {
  it.for(Object.keys(backends))(
    'starts %s by name and reports what it is',
    async (name, { skip }) => {
      const report = await startBackend(name).catch((error: Error) => {
        skip(error instanceof EnvironmentError && !embedded.includes(name), error.message);
        throw error;
      });
      expect(report.name).toBe(name);
      expect(report.version).toMatch(/^\d+\.\d+\.\d+/);
      expect(getBackend()).toBe(name.replace('-gpu', ''));
    },
  );

  it('auto takes the fastest that loads', async () => {
    await setBackend('cpu');
    expect((await startBackend('auto')).name).toBe(native ? 'tensorflow' : 'wasm');
  });

  it('says what is missing where the native binding is not installed, and what to do', async ({
    skip,
  }) => {
    skip(native !== undefined, 'the native binding is installed');
    await expect(startBackend('tensorflow')).rejects.toThrow(EnvironmentError);
    await expect(startBackend('tensorflow')).rejects.toThrow(
      'neither @tensorflow/tfjs-node-gpu nor @tensorflow/tfjs-node is installed',
    );
  });

  it('refuses a name that is none, and says which there are', async () => {
    await expect(startBackend('gpu')).rejects.toThrow(UsageError);
    await expect(startBackend('gpu')).rejects.toThrow(
      `there is no backend "gpu"; the backends are auto, ${Object.keys(backends).join(', ')}`,
    );
  });

  it('refuses a device that the backend does not compute on', async () => {
    await expect(startBackend('wasm', 'cuda')).rejects.toThrow(UsageError);
    await expect(startBackend('wasm', 'cuda')).rejects.toThrow(
      'the backend "wasm" does not compute on the device "cuda"; backends that do: tensorflow, tensorflow-gpu',
    );
  });

  it('auto on a GPU is TensorFlow or an error, never the CPU', async ({ skip }) => {
    skip(native === 'cuda', 'there is a GPU that can be used');
    await expect(startBackend('auto', 'cuda')).rejects.toThrow(EnvironmentError);
  });

  it('never falls back to another backend when one does not initialise', async () => {
    await setBackend('cpu');
    // The library's own reaction to this is a line on stderr and `false`.
    const silenced = console.warn;
    console.warn = () => {};
    registerBackend('broken', () => Promise.reject(new Error('no such device')), 0);
    try {
      const start = activate('broken', 'Mend it', 'try another');
      await expect(start).rejects.toThrow(EnvironmentError);
      await expect(start).rejects.toThrow('the backend "broken" does not start');
      await expect(start).rejects.toThrow('gave no reason. Mend it, or try another');
      await expect(start).rejects.toMatchObject({
        problem: 'the backend "broken" does not start: the tensor library gave no reason. Mend it',
      });
      await expect(activate('never-registered', 'Mend it', 'try another')).rejects.toThrow(
        EnvironmentError,
      );
    } finally {
      removeBackend('broken');
      console.warn = silenced;
    }
  });
});
