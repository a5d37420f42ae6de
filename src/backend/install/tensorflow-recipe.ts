import type { Device } from '../backend.js';
import { bindings, folderVariable } from '../tensorflow/binding.js';
import { driverLibrary } from '../tensorflow/cuda.js';
import { npm, npmInstall } from './npm.js';
import { tensorLibraryVersion } from './pinned.js';
import {
  type Ingredients,
  type Recipe,
  rewording,
  type Verdict,
  WayError,
  type Workshop,
} from './recipe.js';
import { tryBackend } from './trial.js';
import type { Trial } from './trial-outcome.js';
import { buildAgainstWheel, packageFolder } from './wheel-build.js';

/** TensorFlow for CPUs, or with everything that it needs for NVIDIA GPUs but the driver. */
export function tensorflowRecipe(device: Device): Recipe {
  const cuda = device === 'cuda';
  const name = cuda ? 'tensorflow-cuda' : 'tensorflow';
  const packageName = cuda ? bindings[0] : bindings[1];
  const check = (work: Workshop) => checkBuilt(device, work);
  return {
    name,
    summary: cuda
      ? 'TensorFlow with CUDA 12 and cuDNN, for NVIDIA GPUs'
      : "TensorFlow's native kernels, for CPUs",
    present: (signal) => lookAround(device, signal),
    ways: [
      {
        title: `the installer of ${packageName} itself`,
        bytes: cuda ? 3e9 : 1e9,
        build: (work) => runOwnInstaller(packageName, cuda, work),
        check,
      },
      {
        title: "a build of the binding against TensorFlow's Python wheel",
        // Measured: 6.3 GB and 1.7 GB while it works, 6.0 GB and 1.2 GB in the end.
        bytes: cuda ? 7e9 : 2e9,
        build: (work) => buildAgainstWheel(packageName, device, work),
        check,
      },
    ],
  };
}

/** Any binding that loads will do, but for CUDA one that is built for it. */
async function lookAround(device: Device, signal: AbortSignal): Promise<string | undefined> {
  const trial = await tryBackend('tensorflow', signal, { prefer: device });
  if (!trial.works || trial.binding === undefined) return undefined;
  if (device === 'cuda' && faultsForCuda(trial) !== undefined) return undefined;
  return `${describe(trial)}, from ${trial.binding.folder}`;
}

/** As npm would, but with a limit: where the host of its download is closed off it may hang. */
async function runOwnInstaller(
  packageName: string,
  cuda: boolean,
  work: Workshop,
): Promise<Ingredients> {
  const npmPackages = [`${packageName}@${tensorLibraryVersion}`];
  await npmInstall(npmPackages, work);
  const limitSeconds = cuda ? 1800 : 900;
  work.say(
    `its installer, which downloads TensorFlow's C library (for at most ${limitSeconds / 60} minutes)`,
  );
  const cwd = packageFolder(work.folder, packageName);
  const stall = { seconds: 90, folder: cwd };
  await rewording(
    () =>
      npm(['run', 'install', '--loglevel=error'], {
        cwd,
        signal: work.signal,
        limitSeconds,
        stall,
      }),
    (reason) =>
      `${reason}\n  It downloads from storage.googleapis.com; TFJS_NODE_CDN_STORAGE names another host`,
  );
  return { npm: npmPackages };
}

/** Loads it exactly as a run will. */
async function checkBuilt(device: Device, work: Workshop): Promise<Verdict> {
  const trial = await tryBackend('tensorflow', work.signal, {
    env: { [folderVariable]: work.folder },
  });
  if (!trial.works) throw new WayError(trial.reason);
  if (device === 'cuda') {
    const fault = faultsForCuda(trial);
    if (fault !== undefined) throw new WayError(fault);
  }
  return { text: describe(trial), trial };
}

/** The driver may be missing here: clusters install on machines without a GPU. */
function faultsForCuda({ binding, report }: Trial & { works: true }): string | undefined {
  if (!binding?.cudaBuild) return 'it is a build for CPUs alone';
  const closed = binding.closed.find(({ name }) => name !== driverLibrary);
  return (
    closed &&
    `TensorFlow ${report.version} needs ${closed.name}, which cannot be opened (${closed.reason})`
  );
}

function describe({ report, binding }: Trial & { works: true }): string {
  const driver = binding?.closed.some(({ name }) => name === driverLibrary);
  const note = driver ? `; no NVIDIA driver here (${driverLibrary})` : '';
  return `TensorFlow ${report.version} (${report.detail}${note})`;
}
