import { basename } from 'node:path';
import type { CommandModule } from 'yargs';
import { sizeText } from '../../shared/text.js';
import { manual, once, overridesArgument } from '../options.js';
import { print, shortPath } from '../render/print.js';

interface PlaygroundArguments {
  config?: string;
  overrides?: string[];
  out: string;
}

/** `fln playground [CONFIG] [path=value ...] [--out FILE]` */
export const playgroundCommand: CommandModule<object, PlaygroundArguments> = {
  command: 'playground [config] [overrides..]',
  describe: 'write one HTML page, which works offline, in which methods train in a browser',
  builder: (yargs) =>
    yargs
      .positional('config', {
        type: 'string',
        describe: 'experiment that the page opens with [default: configs/quickstart.yaml]',
      })
      .positional('overrides', overridesArgument('change the experiment'))
      .options({
        out: {
          type: 'string',
          default: 'playground.html',
          describe: 'write to this file',
          coerce: once('out'),
        },
      })
      .example('$0 playground', 'writes playground.html; open it in a browser')
      .example('$0 playground configs/quickstart.yaml batchSize=50', 'opens with an experiment')
      .epilogue(
        manual(
          'The page trains fully connected networks on generated digits, or on the files of MNIST that are dropped onto it ' +
            '(docs/playground.md). It loads nothing and sends nothing.',
          { 0: 'ok', 2: 'usage, config, or the page cannot show the experiment' },
        ),
      ) as never,
  handler: playground,
};

async function playground({ config, overrides = [], out }: PlaygroundArguments): Promise<void> {
  const { defaultExperiment, playgroundExperiment } = await import(
    '../../playground/experiment.js'
  );
  const { writePlayground } = await import('../../playground/write-page.js');
  const experiment = playgroundExperiment(config ?? defaultExperiment, overrides.map(String));
  const bytes = writePlayground(out, experiment);
  print(
    `Wrote ${shortPath(out)} (${sizeText(bytes)}): ${basename(config ?? defaultExperiment)}, open it in a browser.`,
  );
}
