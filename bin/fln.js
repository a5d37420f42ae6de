#!/usr/bin/env node
import { dirname } from 'node:path';

await import('../dist/cli/main.js').catch((error) => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  console.error(`fln is not built: run "npm run build" in ${dirname(import.meta.dirname)}`);
  process.exitCode = 4;
});
