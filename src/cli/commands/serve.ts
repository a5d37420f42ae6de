import { spawn } from 'node:child_process';
import type { CommandModule } from 'yargs';
import { UsageError } from '../../errors.js';
import { isFolder } from '../../files/folder.js';
import { json, manual, once } from '../options.js';
import { note, print, shortPath } from '../render/print.js';

interface ServeArguments {
  dir: string;
  port?: number;
  open: boolean;
  json?: boolean;
}

/** `fln serve [DIR]` */
export const serveCommand: CommandModule<object, ServeArguments> = {
  command: 'serve [dir]',
  describe: 'show the runs in a folder on local web pages, with curves that grow',
  builder: (yargs) =>
    yargs
      .positional('dir', {
        type: 'string',
        default: 'results',
        describe: 'folder with run directories and sweeps',
      })
      .options({
        port: {
          type: 'string',
          describe: 'TCP port; 0: any that is free [default: 8080, or the next that is free]',
          coerce: portOf,
        },
        open: { type: 'boolean', default: false, describe: 'open the page in a browser' },
        json: { ...json, describe: 'print {"url": ...} instead of a line of text' },
      })
      .example('$0 serve', 'the runs below results')
      .example('$0 serve results/reference --port 9000', 'another folder and port')
      .epilogue(
        manual(
          'Only this machine can open the pages (127.0.0.1). They only show: nothing is written, and nothing outside ' +
            'of the folder is read. From another machine: ssh -L 8080:127.0.0.1:8080 HOST',
          {
            0: 'ended by Ctrl-C or SIGTERM',
            2: 'usage, or there is no such folder',
            4: 'the port is in use',
          },
        ),
      ) as never,
  handler: serve,
};

function portOf(value: string | string[] | undefined): number | undefined {
  const given = once('port')(value);
  if (given === undefined) return undefined;
  if (/^\d{1,5}$/.test(given) && Number(given) <= 65535) return Number(given);
  throw new UsageError(`--port: expected a number from 0 to 65535, got "${given}"`);
}

async function serve({ dir, port, open, json }: ServeArguments): Promise<void> {
  const root = String(dir);
  if (!isFolder(root)) {
    throw new UsageError(
      `there is no folder ${root}. Give a folder with run directories: fln serve DIR`,
    );
  }
  const { serveRuns } = await import('../../live/server.js');
  const { comparisonTable, wordColumns } = await import('../render/comparison.js');
  const { formatDiff } = await import('../render/diff.js');
  const server = await serveRuns(root, {
    port,
    texts: {
      comparison: ({ rows }) => comparisonTable(rows),
      words: wordColumns,
      diff: formatDiff,
    },
    onError: (error) => note(`error: ${error instanceof Error ? error.stack : error}`),
  });
  if (json) print(JSON.stringify({ url: server.url }));
  else print(`Runs in ${shortPath(root)}: ${server.url} (Ctrl-C ends)`);
  if (open) openBrowser(server.url);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  await server.close();
}

function openBrowser(url: string): void {
  const [command, ...args] =
    process.platform === 'darwin'
      ? ['open']
      : process.platform === 'win32'
        ? ['cmd', '/c', 'start', '']
        : ['xdg-open'];
  const child = spawn(command, [...args, url], { stdio: 'ignore', detached: true });
  child.on('error', () => note(`note: no browser could be opened (${command}); open ${url}`));
  child.unref();
}
