import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { UsageError } from '../../src/errors.js';
import { readRecord } from '../../src/runs/run-json.js';
import { temporaryFolder } from './tiny.js';

it('a run.json that cannot be read is an error that names the way out', () => {
  const directory = temporaryFolder();
  expect(readRecord(directory)).toBeUndefined();
  mkdirSync(join(directory, 'run.json'));
  expect(() => readRecord(directory)).toThrow(UsageError);
  expect(() => readRecord(directory)).toThrow(
    /run\.json cannot be read \(.*\)\. Choose another --out DIR$/,
  );
});
