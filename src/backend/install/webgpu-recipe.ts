import { requireFrom } from '../packages.js';
import { npmInstall } from './npm.js';
import { tensorLibraryVersion, webgpuVersion } from './pinned.js';
import { type Recipe, WayError } from './recipe.js';

const packages = ['webgpu', '@tensorflow/tfjs-backend-webgpu'] as const;

/**
 * Dawn and the tensor library's WebGPU backend. The second copy of the tensor library that npm brings
 * with it shares the program's engine.
 */
export const webgpuRecipe: Recipe = {
  name: 'webgpu',
  summary: "WebGPU on any vendor's graphics card, by Dawn",
  present: async () => undefined,
  ways: [
    {
      title: 'the packages of npm, which hold prebuilt libraries',
      bytes: 400e6,
      build: async (work) => {
        const npm = [`webgpu@${webgpuVersion}`, `${packages[1]}@${tensorLibraryVersion}`];
        await npmInstall(npm, work);
        return { npm };
      },
      check: async ({ folder }) => {
        for (const name of packages) {
          try {
            requireFrom(folder).resolve(name);
          } catch (error) {
            throw new WayError(`${name} is not there after its installation`, { cause: error });
          }
        }
        return { text: `webgpu ${webgpuVersion}, ${packages[1]} ${tensorLibraryVersion}` };
      },
    },
  ],
};
