import { UsageError } from '../../errors.js';
import { didYouMean } from '../../shared/suggest.js';
import type { Device } from '../backend.js';
import { packageFolders, resolves } from '../packages.js';
import { bindings, tensorflowFolderVariable } from '../tensorflow/binding.js';
import { driverLibrary } from '../tensorflow/cuda.js';
import { packages, webgpuFolderVariable } from '../webgpu/packages.js';
import { npm, npmInstall } from './npm.js';
import { tensorLibraryVersion, webgpuVersion } from './pinned.js';
import { probeBackend, type Trial } from './probe.js';
import {
  type BuildContext,
  type CheckResult,
  type InstalledPackages,
  MethodError,
  type Recipe,
  rewordErrors,
} from './recipe.js';
import { buildAgainstWheel, packageFolder } from './wheel.js';

/**
 * Dawn and the tensor library's WebGPU backend. The second copy of the tensor library that npm brings
 * with it shares the program's engine.
 */
const webgpuRecipe: Recipe = {
  name: 'webgpu',
  summary: "WebGPU on any vendor's graphics card, by Dawn",
  present: async () => {
    const folder = packageFolders(webgpuFolderVariable, ['webgpu']).find((candidate) =>
      packages.every((name) => resolves(candidate, name)),
    );
    return folder && `${packages.join(' and ')} in ${folder}`;
  },
  methods: [
    {
      title: 'the packages of npm, which hold prebuilt libraries',
      bytes: 400e6,
      build: async (work) => {
        const npm = [`webgpu@${webgpuVersion}`, `${packages[1]}@${tensorLibraryVersion}`];
        await npmInstall(npm, work);
        return { npm };
      },
      check: async ({ folder }) => {
        const missing = packages.find((name) => !resolves(folder, name));
        if (missing) throw new MethodError(`${missing} is not there after its installation`);
        // Whether they find a GPU depends on the machine that computes.
        return { text: `webgpu ${webgpuVersion}, ${packages[1]} ${tensorLibraryVersion}` };
      },
    },
  ],
};

/** Every installation that `fln backend install` can make. Adding one is one file and one entry here. */
export const recipes: readonly Recipe[] = [
  tensorflowRecipe('cpu'),
  tensorflowRecipe('cuda'),
  webgpuRecipe,
];

/** @throws UsageError for an unknown name */
export function findRecipe(name: string): Recipe {
  const found = recipes.find((recipe) => recipe.name === name);
  if (found !== undefined) return found;
  const names = recipes.map((recipe) => recipe.name);
  throw new UsageError(
    `there is no installation named "${name}"${didYouMean(name, names) || '.'} The installations are ${names.join(', ')}`,
  );
}

/** TensorFlow for CPUs, or with everything that it needs for NVIDIA GPUs but the driver. */
function tensorflowRecipe(device: Device): Recipe {
  const cuda = device === 'cuda';
  const name = cuda ? 'tensorflow-cuda' : 'tensorflow';
  const packageName = cuda ? bindings[0] : bindings[1];
  const check = (work: BuildContext) => checkBuilt(device, work);
  return {
    name,
    summary: cuda
      ? 'TensorFlow with CUDA 12 and cuDNN, for NVIDIA GPUs'
      : "TensorFlow's native kernels, for CPUs",
    present: (signal) => findInstalled(device, signal),
    methods: [
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

/** Any binding that loads; for CUDA one that is built for it. */
async function findInstalled(device: Device, signal: AbortSignal): Promise<string | undefined> {
  const trial = await probeBackend('tensorflow', signal, { prefer: device });
  if (!trial.works || trial.binding === undefined) return undefined;
  if (device === 'cuda' && faultsForCuda(trial) !== undefined) return undefined;
  return `${describe(trial)}, from ${trial.binding.folder}`;
}

/** As npm would, but with a time limit: where the host of its download is blocked it may hang. */
async function runOwnInstaller(
  packageName: string,
  cuda: boolean,
  work: BuildContext,
): Promise<InstalledPackages> {
  const npmPackages = [`${packageName}@${tensorLibraryVersion}`];
  await npmInstall(npmPackages, work);
  const limitSeconds = cuda ? 1800 : 900;
  work.say(
    `its installer, which downloads TensorFlow's C library (for at most ${limitSeconds / 60} minutes)`,
  );
  const cwd = packageFolder(work.folder, packageName);
  const stall = { seconds: 90, folder: cwd };
  await rewordErrors(
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
async function checkBuilt(device: Device, work: BuildContext): Promise<CheckResult> {
  const trial = await probeBackend('tensorflow', work.signal, {
    env: { [tensorflowFolderVariable]: work.folder },
  });
  if (!trial.works) throw new MethodError(trial.reason);
  if (device === 'cuda') {
    const fault = faultsForCuda(trial);
    if (fault !== undefined) throw new MethodError(fault);
  }
  return { text: describe(trial) };
}

/** Why a binding cannot use CUDA. The driver may be missing here: clusters install on machines without a GPU. */
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
