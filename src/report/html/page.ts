import { createHash } from 'node:crypto';
import { escapeHtml } from '../../shared/text.js';
import { pageAssets } from './assets.js';

export interface PageContent {
  readonly title: string;
  readonly subtitle: string;
  /** HTML, escaped by those who made it. */
  readonly main: readonly string[];
  readonly styles?: readonly string[];
  readonly scripts?: readonly string[];
}

/**
 * One HTML page that requests nothing from anywhere. The browser runs its scripts and no others: they
 * are named by their hashes, so that not even a mistake in escaping could run what is in a label.
 */
export function htmlPage({
  title,
  subtitle,
  main,
  styles = [],
  scripts = [],
}: PageContent): string {
  const all = [pageAssets.tables(), ...scripts].map((code) => `\n${code}\n`);
  const hashes = all.map(
    (code) => `'sha256-${createHash('sha256').update(code).digest('base64')}'`,
  );
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src ${hashes.join(' ')}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escapeHtml(title)}</title>
<style>
${[...styles, pageAssets.style()].join('\n')}
</style>
</head>
<body>
<header>
<h1>${escapeHtml(title)}</h1>
<p class="subtitle">${escapeHtml(subtitle)}</p>
</header>
<main>
${main.filter((part) => part !== '').join('\n')}
</main>
${all.map((code) => `<script>${code}</script>`).join('\n')}
</body>
</html>
`;
}
