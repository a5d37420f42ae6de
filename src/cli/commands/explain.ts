import type { CommandModule } from 'yargs';
import { UsageError } from '../../errors.js';
import { didYouMean } from '../../shared/suggest.js';
import { json, listOf, manual, once } from '../options.js';
import type { Entry, Section } from '../reference.js';
import { registryWith, writeText } from './schema.js';

interface ExplainArguments {
  name?: string;
  plugins?: string[];
  json?: boolean;
  markdown: boolean;
  out?: string;
}

/** `fln explain [NAME] [--plugins FILE,...]` */
export const explainCommand: CommandModule<object, ExplainArguments> = {
  command: 'explain [name]',
  describe: 'explain a config field, a column of metrics.csv or a file of a run directory',
  builder: (yargs) =>
    yargs
      .positional('name', {
        type: 'string',
        describe: 'path or name of a field, column or file; without one, an overview',
      })
      .options({
        plugins: {
          type: 'string',
          describe: 'modules to explain: FILE,...; they run as code',
          coerce: listOf('plugins'),
        },
        json,
        markdown: {
          type: 'boolean',
          default: false,
          describe: 'print Markdown; without a name, docs/reference.md',
        },
        out: {
          type: 'string',
          describe: 'write to this file instead of stdout',
          coerce: once('out'),
        },
      })
      .example('$0 explain methods.fenchel', 'the fields of a method')
      .example('$0 explain rmsChange', 'a field, wherever it occurs')
      .example('$0 explain dataset', 'a block of the config')
      .example('$0 explain --plugins mine.mjs', 'what a plugin defines (docs/plugins.md)')
      .example('$0 explain residual', 'a column of metrics.csv')
      .epilogue(manual('', { 0: 'ok', 2: 'usage, or nothing has this name' })) as never,
  handler: async ({ name, plugins, json, markdown, out }) => {
    if (json && markdown)
      throw new UsageError('--json and --markdown are given together: choose one');
    const { knownNames, lookUp, reference, referenceMarkdown, sectionsOfPlugin } = await import(
      '../reference.js'
    );
    const registry = await registryWith(plugins ?? []);
    const all = reference(registry);
    const own = registry.plugins.flatMap((plugin) => sectionsOfPlugin(all, plugin));
    const found = name !== undefined ? lookUp(all, name) : registry.plugins.length > 0 ? own : all;
    if (name !== undefined && found.length === 0) {
      throw new UsageError(
        `There is no field, column or file "${name}"${didYouMean(name, knownNames(all)) || '.'} "fln explain" lists what there is`,
      );
    }
    const text = json
      ? `${JSON.stringify(found, null, 2)}\n`
      : markdown
        ? referenceMarkdown(found)
        : found === all
          ? overview(all)
          : found.map(sectionText).join('\n');
    if (out === undefined) process.stdout.write(text);
    else writeText(out, text);
  },
};

/** Columns of the terminal. */
const width = 100;

function overview(sections: readonly Section[]): string {
  const lines = sections.map(({ name, title, entries }) => {
    const names = entries.map((entry) => entry.name.split('.').at(-1)).join(', ');
    return `${title}: fln explain ${name}\n${wrapped(names, '  ')}`;
  });
  return `${lines.join('\n\n')}\n\nfln explain NAME explains any of them.\n`;
}

function sectionText({ title, text, entries }: Section): string {
  const head = text === undefined ? title : `${title}\n${wrapped(text, '')}`;
  return `${head}\n\n${entries.map(entryText).join('\n')}`;
}

function entryText(entry: Entry): string {
  const facts = [
    ...(entry.type === undefined ? [] : [`type: ${entry.type}`]),
    ...(entry.default === undefined ? [] : [`default: ${entry.default}`]),
    ...(entry.isRequired ? ['required'] : []),
  ];
  return [
    entry.name,
    ...[entry.description, facts.join('; '), ...(entry.advice ?? [])]
      .filter((line) => line !== '')
      .map((line) => wrapped(line, '    ')),
    '',
  ].join('\n');
}

function wrapped(text: string, indent: string): string {
  const lines: string[] = [];
  let line = indent;
  for (const part of text.split(' ')) {
    if (line.length + 1 + part.length > width && line !== indent) {
      lines.push(line);
      line = indent;
    }
    line += line === indent ? part : ` ${part}`;
  }
  return [...lines, line].join('\n');
}
