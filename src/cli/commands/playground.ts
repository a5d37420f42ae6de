import { basename, resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { UsageError } from '../../errors.js';
import { sizeText } from '../../shared/text.js';
import { manual, once, overridesArgument } from '../options.js';
import { print, shortPath } from '../render/print.js';
import { writeText } from './schema.js';

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
          requiresArg: true,
          default: 'playground.html',
          describe: 'write to this file, which is replaced if it exists',
          coerce: once('out'),
        },
      })
      .example('$0 playground', 'writes playground.html; open it in a browser')
      .example('$0 playground configs/quickstart.yaml batchSize=50', 'opens with an experiment')
      .epilogue(
        manual(
          'The page trains fully connected networks on generated digits, or on the files of MNIST that are dropped onto it ' +
            '(docs/playground.md). It loads nothing and sends nothing.',
          {
            0: 'ok',
            2: 'usage, config, the page cannot show the experiment, or the file cannot be written',
          },
        ),
      ) as never,
  handler: playground,
};

async function playground({ config, overrides = [], out }: PlaygroundArguments): Promise<void> {
  const { defaultExperiment, playgroundExperiment } = await import(
    '../../playground/experiment.js'
  );
  const { playgroundHtml, readScripts } = await import('../../playground/write-page.js');
  const file = config ?? defaultExperiment;
  if (resolve(out) === resolve(file)) {
    throw new UsageError(`--out: ${out} is the experiment itself; give another file`);
  }
  const html = playgroundHtml(playgroundExperiment(file, overrides.map(String)), readScripts());
  writeText(out, html);
  const size = sizeText(Buffer.byteLength(html));
  print(`Wrote ${shortPath(out)} (${size}): ${basename(file)}, open it in a browser.`);
}
