import { describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands.js';
import { describeCommand } from '../../src/cli/describe.js';
import { buildParser } from '../../src/cli/parser.js';

/** A command line in words, as a shell splits it. */
const wordsOf = (line: string) =>
  [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word);

describe.each(commands.filter(({ isInternal }) => !isInternal))(
  'fln $name --help',
  ({ name, load }) => {
    it('ends with examples and exit codes, and fits the screen', async () => {
      const module = await load();
      const help = await new Promise<string>((resolve) => {
        buildParser([], module).parse([name, '--help'], {}, (_error, _argv, output) =>
          resolve(output),
        );
      });
      expect(help).toMatch(/\nExamples:\n[\s\S]+\nExit codes:\n( {2}\d+ +\S.*\n?)+$/);
      expect(help).toMatch(/\n {2}0 +\S/);
      const widths = help.split('\n').map((line) => line.length);
      expect(Math.max(...widths)).toBeLessThanOrEqual(100);
    });

    it('has examples that the parser takes', async () => {
      const module = await load();
      const { examples } = describeCommand(module);
      expect(examples.length).toBeGreaterThan(0);
      for (const example of examples) {
        const [program, ...args] = wordsOf(example);
        expect(program).toBe('fln');
        expect(args[0]).toBe(name);
        let isHandled = false;
        const handler = () => {
          isHandled = true;
        };
        await buildParser(args, { ...module, handler }).parseAsync();
        expect(isHandled, example).toBe(true);
      }
    });
  },
);
