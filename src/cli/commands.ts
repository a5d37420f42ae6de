import type { CommandModule } from 'yargs';
import type { Command } from './describe.js';

/** Every command. Adding one is one file in commands/ and one entry here. */
export const commands: readonly Command[] = [
  {
    name: 'run',
    usage: 'run CONFIG [path=value ...]',
    summary: 'train the methods of an experiment, draw the figure',
    load: async () => erased((await import('./commands/run.js')).runCommand),
  },
  {
    name: 'sweep',
    usage: 'sweep SWEEP [path=value ...]',
    summary: 'run an experiment over a grid or random draws of settings',
    load: async () => erased((await import('./commands/sweep.js')).sweepCommand),
  },
  {
    name: 'sweep-trial',
    usage: 'sweep-trial DIR ID',
    summary: 'run one trial of a sweep, as launchers do',
    isInternal: true,
    load: async () => erased((await import('./commands/sweep-trial.js')).sweepTrialCommand),
  },
  {
    name: 'plot',
    usage: 'plot DIR...',
    summary: 'draw figures again from CSVs; overlay several runs',
    load: async () => erased((await import('./commands/plot.js')).plotCommand),
  },
  {
    name: 'ls',
    usage: 'ls [DIR...]',
    summary: 'list runs: choose and rank by results and settings',
    load: async () => erased((await import('./commands/ls.js')).lsCommand),
  },
  {
    name: 'compare',
    usage: 'compare DIR...',
    summary: "final accuracy per method, beside the paper's",
    load: async () => erased((await import('./commands/compare.js')).compareCommand),
  },
  {
    name: 'diff',
    usage: 'diff A B',
    summary: 'what differs between two runs: settings, results, batches',
    load: async () => erased((await import('./commands/diff.js')).diffCommand),
  },
  {
    name: 'verify',
    usage: 'verify DIR|CONFIG',
    summary: 'measured accuracies against expectations; exit 3 if worse',
    load: async () => erased((await import('./commands/verify.js')).verifyCommand),
  },
  {
    name: 'bound',
    usage: 'bound CONFIG [path=value ...]',
    summary: 'lifted and feed-forward objectives, and what they certify',
    load: async () => erased((await import('./commands/bound.js')).boundCommand),
  },
  {
    name: 'data',
    usage: 'data list|fetch|check [NAME]',
    summary: 'list, download or verify data sets',
    load: async () => erased((await import('./commands/data.js')).dataCommand),
  },
  {
    name: 'backend',
    usage: 'backend list|install|remove [NAME]',
    summary: 'tensor backends: which start here; install native TensorFlow, CUDA, WebGPU',
    load: async () => erased((await import('./commands/backend.js')).backendCommand),
  },
  {
    name: 'doctor',
    usage: 'doctor',
    summary: 'check Node, backends, GPUs, data sets and disk',
    load: async () => erased((await import('./commands/doctor.js')).doctorCommand),
  },
  {
    name: 'schema',
    usage: 'schema',
    summary: 'print the JSON Schema of config or sweep files',
    load: async () => erased((await import('./commands/schema.js')).schemaCommand),
  },
  {
    name: 'completion',
    usage: 'completion bash|zsh|fish',
    summary: 'print a script that completes all of this in a shell',
    load: async () =>
      erased((await import('./commands/completion.js')).completionCommand(commands)),
  },
];

/** Modules have arguments of different types; each is only ever given what its own builder parsed. */
function erased<Arguments>(module: CommandModule<object, Arguments>): CommandModule {
  return module as unknown as CommandModule;
}
