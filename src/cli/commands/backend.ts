import type { CommandModule } from 'yargs';
import type { ListedBackend, ListedInstallation } from '../../backend/install/list.js';
import { Interrupted, type Recipe } from '../../backend/install/recipe.js';
import { ExitCode, FlnError, UsageError } from '../../errors.js';
import { sizeText } from '../../shared/text.js';
import { interruptible } from '../interrupt.js';
import { actionNamed, json, manual } from '../options.js';
import { note, print, printJson } from '../render/print.js';

interface BackendArguments {
  action?: string;
  name?: string;
  cuda?: boolean;
  force?: boolean;
  json?: boolean;
}

const actions = { list, install, remove };

/** `fln backend list|install|remove [NAME]` */
export const backendCommand: CommandModule<object, BackendArguments> = {
  command: 'backend [action] [name]',
  describe: 'list, install or remove compute backends',
  builder: (yargs) =>
    yargs
      .usage(
        'fln backend list|install|remove [NAME]\n\n' +
          'list     start every backend: version and device, or why it does not start\n' +
          'install  tensorflow or webgpu, into a private folder; an existing installation is\n' +
          '         replaced only by a new one that works\n' +
          'remove   delete a private installation',
      )
      .positional('action', { type: 'string', describe: 'list, install or remove' })
      .positional('name', { type: 'string', describe: 'tensorflow, tensorflow-cuda or webgpu' })
      .options({
        cuda: { type: 'boolean', describe: 'tensorflow with CUDA 12, for NVIDIA GPUs' },
        force: { type: 'boolean', describe: 'install even if it is already available' },
        json,
      })
      .example('$0 backend list', 'which backends start here, and why others do not')
      .example('$0 backend install tensorflow', 'native kernels, faster than wasm')
      .example('$0 backend install tensorflow --cuda', 'the same with CUDA, for NVIDIA GPUs')
      .example('$0 backend remove tensorflow --cuda', 'free its disk space')
      .epilogue(
        manual(
          'Installations are in FLN_CACHE_DIR/backends, by default in the cache folder of the system. ' +
            'FLN_TENSORFLOW_DIR names a folder whose node_modules has your own TensorFlow.',
          {
            0: 'ok',
            2: 'usage',
            4: 'not available on this machine',
            130: 'Ctrl-C: nothing was changed',
          },
        ),
      ) as never,
  handler: async (args) => {
    await actionNamed('backend', actions, args.action)(args);
  },
};

async function list({ name, json }: BackendArguments): Promise<void> {
  if (name !== undefined) throw new UsageError('fln backend list takes no name');
  const { listBackends, listInstallations } = await import('../../backend/install/list.js');
  const backends = await untilInterrupted(listBackends);
  const installations = await listInstallations();
  if (json) printJson({ backends, installations });
  else print(listText(backends, installations));
}

/** What `fln backend list` prints. */
export const listText = (
  backends: readonly ListedBackend[],
  installations: readonly ListedInstallation[],
): string => [...backends.map(backendText), ...installations.map(installationText)].join('\n');

async function install(args: BackendArguments): Promise<void> {
  const recipe = await recipeOf(args, 'install');
  const engine = await import('../../backend/install/install.js');
  const say = args.json ? () => {} : note;
  const result = await untilInterrupted((signal) =>
    engine.install(recipe, { force: args.force, signal, say }),
  );
  if (args.json) return printJson(result);
  if (result.status === 'present') {
    return print(
      `${result.name} is already available: ${result.detail}. --force installs it anyway.`,
    );
  }
  print(
    `Installed ${result.name}: ${result.detail}\n  ${result.folder}, ${sizeText(result.bytes ?? 0)}`,
  );
}

async function remove(args: BackendArguments): Promise<void> {
  const { name } = await recipeOf(args, 'remove');
  const engine = await import('../../backend/install/install.js');
  const bytes = await engine.remove(name);
  if (args.json) printJson({ name, removed: bytes !== undefined, bytes });
  else if (bytes === undefined) print(`There is no private installation of ${name}.`);
  else print(`Removed ${name}: ${sizeText(bytes)} freed.`);
}

async function recipeOf({ name, cuda }: BackendArguments, action: string): Promise<Recipe> {
  const { findRecipe, recipes } = await import('../../backend/install/recipes.js');
  if (name === undefined) {
    const list = recipes.map((recipe) => `  ${recipe.name.padEnd(16)}${recipe.summary}`);
    throw new UsageError(`fln backend ${action} needs a name:\n${list.join('\n')}`);
  }
  if (!cuda) return findRecipe(name === 'tensorflow-gpu' ? 'tensorflow-cuda' : name);
  if (!name.startsWith('tensorflow')) {
    const { name: known } = findRecipe(name);
    throw new UsageError(`--cuda is for tensorflow, not for ${known}`);
  }
  return findRecipe('tensorflow-cuda');
}

/** Ctrl-C ends the programs that run; the existing installation stays. */
async function untilInterrupted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stopping = () => note('Stopping; the existing installation stays.');
  try {
    return await interruptible(stopping, work);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    throw new FlnError('Interrupted; nothing was changed.', ExitCode.interrupted);
  }
}

function backendText({ name, summary, trial }: ListedBackend): string {
  const lines = trial.works
    ? [`  works: ${trial.report.version} (${trial.report.detail})`]
    : [`  not available: ${trial.reason}`];
  if (trial.works && trial.binding) lines.push(`  from ${trial.binding.folder}`);
  return [`${name}: ${summary}`, ...lines].join('\n');
}

function installationText({ name, folder, bytes, made }: ListedInstallation): string {
  return [
    `\nprivate installation ${name}: ${sizeText(bytes)}`,
    `  ${folder}`,
    ...(made ? [`  ${made}`] : []),
  ].join('\n');
}
