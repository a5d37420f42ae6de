import { UsageError } from '../../errors.js';
import { didYouMean } from '../../shared/suggest.js';
import type { Recipe } from './recipe.js';
import { tensorflowRecipe } from './tensorflow-recipe.js';
import { webgpuRecipe } from './webgpu-recipe.js';

/** Every installation that `fln backend install` can make. Adding one is one file and one entry here. */
export const recipes: readonly Recipe[] = [
  tensorflowRecipe('cpu'),
  tensorflowRecipe('cuda'),
  webgpuRecipe,
];

/** @throws UsageError for a name that is none */
export function findRecipe(name: string): Recipe {
  const found = recipes.find((recipe) => recipe.name === name);
  if (found !== undefined) return found;
  const names = recipes.map((recipe) => recipe.name);
  throw new UsageError(
    `there is nothing to install or remove by the name "${name}"${didYouMean(name, names) || '.'} The names are ${names.join(', ')}`,
  );
}
