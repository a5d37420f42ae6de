import type { CommandModule } from 'yargs';
import type { Command } from '../command.js';
import { manual } from '../manual.js';
import { actionNamed } from '../options/action.js';

interface CompletionArguments {
  shell?: string;
}

/**
 * `fln completion bash|zsh|fish`
 * @param commands what is completed, this command among them
 */
export const completionCommand = (
  commands: readonly Command[],
): CommandModule<object, CompletionArguments> => ({
  command: 'completion [shell]',
  describe: 'print a script that completes commands, options and their values in a shell',
  builder: (yargs) =>
    yargs
      .positional('shell', { type: 'string', describe: 'bash, zsh or fish' })
      .example('$0 completion bash', 'in ~/.bashrc: source <(fln completion bash)')
      .example('$0 completion zsh', 'in ~/.zshrc, after compinit: source <(fln completion zsh)')
      .example('$0 completion fish', 'in config.fish: fln completion fish | source')
      .epilogue(manual('', { 0: 'ok', 2: 'usage' })) as never,
  handler: async ({ shell }) => {
    const script = await actionNamed('completion', shells, shell)();
    const { completionEntries } = await import('../completion/entries.js');
    process.stdout.write(script(await completionEntries(commands)));
  },
});

const shells = {
  bash: async () => (await import('../completion/bash.js')).bashCompletion,
  zsh: async () => (await import('../completion/zsh.js')).zshCompletion,
  fish: async () => (await import('../completion/fish.js')).fishCompletion,
};
