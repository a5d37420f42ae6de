/** A command's result goes to stdout, and nothing else does. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Everything else is said on stderr, a line at a time. */
export const note = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

/** What could not be read, and is left out. */
export function warn(problems: readonly { readonly message: string }[]): void {
  for (const { message } of problems) note(`warning: ${message}`);
}

export const printJson = (value: unknown): void => print(JSON.stringify(value, null, 2));
