import { packageFolders, resolves } from '../packages.js';
import { folderVariable, packages } from '../webgpu/packages.js';
import { npmInstall } from './npm.js';
import { tensorLibraryVersion, webgpuVersion } from './pinned.js';
import { type Recipe, WayError } from './recipe.js';

/**
 * Dawn and the tensor library's WebGPU backend. The second copy of the tensor library that npm brings
 * with it shares the program's engine.
 */
export const webgpuRecipe: Recipe = {
  name: 'webgpu',
  summary: "WebGPU on any vendor's graphics card, by Dawn",
  present: async () => {
    const folder = packageFolders(folderVariable, ['webgpu']).find((candidate) =>
      packages.every((name) => resolves(candidate, name)),
    );
    return folder && `${packages.join(' and ')} in ${folder}`;
  },
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
        const missing = packages.find((name) => !resolves(folder, name));
        if (missing) throw new WayError(`${missing} is not there after its installation`);
        // Whether they find a GPU is for the machine that computes to say.
        return { text: `webgpu ${webgpuVersion}, ${packages[1]} ${tensorLibraryVersion}` };
      },
    },
  ],
};
