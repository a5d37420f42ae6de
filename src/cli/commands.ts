import type { CommandModule } from 'yargs';
import type { Command } from './describe.js';

/** A new command is one file in commands/ and one entry here. */
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
    name: 'tune',
    usage: 'tune CONFIG [path=value ...]',
    summary: 'search the settings of each method, with the same budget',
    load: async () => erased((await import('./commands/tune.js')).tuneCommand),
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
    summary: 'redraw figures from CSVs; overlay several runs',
    load: async () => erased((await import('./commands/plot.js')).plotCommand),
  },
  {
    name: 'ls',
    usage: 'ls [DIR...]',
    summary: 'list runs: filter and rank by results and settings',
    load: async () => erased((await import('./commands/ls.js')).lsCommand),
  },
  {
    name: 'compare',
    usage: 'compare DIR...',
    summary: "final accuracy per method, compared with the paper's or another method's",
    load: async () => erased((await import('./commands/compare.js')).compareCommand),
  },
  {
    name: 'diff',
    usage: 'diff A B',
    summary: 'differences between two runs: settings, results, batches',
    load: async () => erased((await import('./commands/diff.js')).diffCommand),
  },
  {
    name: 'evaluate',
    usage: 'evaluate RUN [FILE [LABELS]]',
    summary: 'evaluate trained networks again: accuracy, confusion matrix',
    load: async () => erased((await import('./commands/evaluate.js')).evaluateCommand),
  },
  {
    name: 'predict',
    usage: 'predict RUN FILES...',
    summary: 'classify own images or rows with a trained network',
    load: async () => erased((await import('./commands/predict.js')).predictCommand),
  },
  {
    name: 'export',
    usage: 'export DIR...',
    summary: 'write runs in the formats of other programs',
    load: async () => erased((await import('./commands/export.js')).exportCommand),
  },
  {
    name: 'watch',
    usage: 'watch DIR...',
    summary: 'follow runs in the terminal while they train',
    load: async () => erased((await import('./commands/watch.js')).watchCommand),
  },
  {
    name: 'serve',
    usage: 'serve [DIR]',
    summary: 'show runs on local web pages, with curves that grow',
    load: async () => erased((await import('./commands/serve.js')).serveCommand),
  },
  {
    name: 'playground',
    usage: 'playground [CONFIG] [path=value ...]',
    summary: 'write a page in which methods train in a browser',
    load: async () => erased((await import('./commands/playground.js')).playgroundCommand),
  },
  {
    name: 'verify',
    usage: 'verify DIR|CONFIG',
    summary: 'compare accuracies with expected or earlier ones; exit 3 if worse',
    load: async () => erased((await import('./commands/verify.js')).verifyCommand),
  },
  {
    name: 'bound',
    usage: 'bound CONFIG [path=value ...]',
    summary:
      'lifted and feed-forward objectives; certified lower bounds for one layer or one hidden layer',
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
    summary: 'list compute backends; install TensorFlow, CUDA, WebGPU',
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
    name: 'explain',
    usage: 'explain [NAME]',
    summary: 'explain a config field, a column or a file',
    load: async () => erased((await import('./commands/explain.js')).explainCommand),
  },
  {
    name: 'completion',
    usage: 'completion bash|zsh|fish',
    summary: 'print a shell completion script',
    load: async () =>
      erased((await import('./commands/completion.js')).completionCommand(commands)),
  },
  {
    name: 'complete-override',
    usage: 'complete-override CONFIG [TEXT]',
    summary: 'print how an override may continue, for completion scripts',
    isInternal: true,
    load: async () => erased((await import('./commands/completion.js')).completeOverrideCommand),
  },
];

/** Modules have arguments of different types; each receives only what its own builder parsed. */
function erased<Arguments>(module: CommandModule<object, Arguments>): CommandModule {
  return module as unknown as CommandModule;
}
