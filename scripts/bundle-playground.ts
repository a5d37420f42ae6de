import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const source = fileURLToPath(new URL('../src/playground/browser', import.meta.url));

/**
 * Bundles the page of the playground and its worker, each as one script that needs nothing else, into `folder`.
 * @returns whether it worked; esbuild has printed why not
 */
export function bundlePlayground(folder: string): boolean {
  try {
    buildSync({
      entryPoints: [join(source, 'page.ts'), join(source, 'worker.ts')],
      outdir: folder,
      bundle: true,
      minify: true,
      platform: 'browser',
      format: 'iife',
      target: 'es2022',
      // The legal comments of the libraries stay, at the end.
      legalComments: 'eof',
      logLevel: 'warning',
    });
    return true;
  } catch {
    return false;
  }
}
