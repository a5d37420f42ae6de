/** How progress is shown. */
export const progressModes = ['auto', 'bar', 'text', 'none'] as const;
export type ProgressMode = (typeof progressModes)[number];

/** `auto`: bars on a terminal that can move its cursor, lines elsewhere, nothing beside JSON. */
export function resolveMode(
  mode: ProgressMode,
  json: boolean,
  stream: { readonly isTTY?: boolean },
  env: NodeJS.ProcessEnv = process.env,
): Exclude<ProgressMode, 'auto'> {
  if (mode !== 'auto') return mode;
  if (json) return 'none';
  return stream.isTTY && env.TERM !== 'dumb' && !env.CI ? 'bar' : 'text';
}
