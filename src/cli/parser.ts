import yargs, { type Argv } from 'yargs';
import { programInfo } from '../experiment/provenance.js';
import { dataCommand } from './commands/data.js';
import { plotCommand } from './commands/plot.js';
import { runCommand } from './commands/run.js';
import { schemaCommand } from './commands/schema.js';

/** The command line. Commands load what they need when they run, so that help answers at once. */
export function buildParser(args: readonly string[]): Argv {
  return (
    yargs([...args])
      .scriptName('fln')
      .usage('$0 COMMAND\n\nTrains Fenchel lifted networks beside their baselines.')
      .command(runCommand)
      .command(plotCommand)
      .command(dataCommand)
      .command(schemaCommand)
      .demandCommand(1, 'name a command')
      .strict()
      .version(programInfo().version)
      .alias({ h: 'help' })
      .example('$0 run configs/quickstart.yaml', 'train and draw, no download needed')
      .example('$0 run configs/mnist-mlp.yaml epochs=2', 'with one value changed')
      .epilogue(
        'Exit codes: 0 ok, 1 a run failed, 2 usage or config, 4 backend, 5 data, 130 interrupted.',
      )
      // Messages are matched and reworded in usage.ts: they must not follow the user's locale.
      .locale('en')
      .parserConfiguration({ 'dot-notation': false })
      .wrap(Math.min(100, process.stdout.columns ?? 80))
      .exitProcess(false)
      .fail(false)
  );
}
