import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, it, vi } from 'vitest';
import { install, remove } from '../../src/backend/install/install.js';
import { listInstallations } from '../../src/backend/install/list.js';
import { packageFolders } from '../../src/backend/packages.js';
import { checkDefinition, locateDefinition } from '../../src/data/inspect.js';
import { loadDefinition } from '../../src/data/load.js';
import { folderFinding } from '../../src/doctor/doctor.js';
import { DataError, EnvironmentError } from '../../src/errors.js';
import { defaultCacheDir } from '../../src/files/cache.js';
import { names, plainFiles, tinyDataset } from '../data/tiny-dataset.js';
import { temporaryFolder } from '../experiment/tiny.js';

/** As Node does for a user number without an entry in the password database and without HOME. */
const none = vi.hoisted(() => () => {
  throw Object.assign(new Error('ENOENT: no such file or directory, uv_os_homedir'), {
    code: 'ENOENT',
    syscall: 'uv_os_homedir',
  });
});
vi.mock('node:os', async (original) => ({
  ...(await original<typeof import('node:os')>()),
  homedir: none,
  userInfo: none,
}));

beforeEach(() => {
  for (const name of ['FLN_CACHE_DIR', 'XDG_CACHE_HOME', 'FLN_DATA_DIR']) vi.stubEnv(name, '');
});

const request = { name: 'tiny', preprocessing: 'scale' } as const;
const definition = tinyDataset();

it('is not known for a user without a home folder, and never in the current folder', () => {
  const home = () => '/home/me';
  expect(defaultCacheDir({}, 'linux', [none, none])).toBeUndefined();
  expect(defaultCacheDir({}, 'darwin', [() => '', none])).toBeUndefined();
  expect(defaultCacheDir({}, 'linux', [() => 'relative', home])).toBe('/home/me/.cache/fln');
  expect(defaultCacheDir({ XDG_CACHE_HOME: '/c' }, 'linux', [none])).toBe('/c/fln');
  expect(defaultCacheDir()).toBeUndefined();
});

it('is not needed for data that is at hand, nor to look around', async () => {
  const dataDir = temporaryFolder();
  expect(await locateDefinition(definition, { dataDir })).toMatchObject({ state: 'absent' });
  for (const name of names) writeFileSync(join(dataDir, name), plainFiles[name]);
  const { train } = await loadDefinition(definition, request, { dataDir });
  expect([...train.labels]).toEqual([...plainFiles['train-labels'].subarray(8)]);
  const checks = await checkDefinition(definition, { dataDir });
  expect(checks.map(({ state }) => state)).toEqual(names.map(() => 'ok'));
  expect(await listInstallations()).toEqual([]);
  expect(packageFolders('FLN_NO_SUCH_VARIABLE', ['tensorflow'])).toHaveLength(1);
});

it('that is needed and not known is one sentence with the way out', async () => {
  const way = /no place for a cache: .*FLN_CACHE_DIR \(or XDG_CACHE_HOME\)/;
  const load = (options: object) =>
    loadDefinition(definition, request, options).catch((error: unknown) => error);
  const wanted = await load({ mirrors: ['http://127.0.0.1:1/'] });
  expect(wanted).toBeInstanceOf(DataError);
  expect((wanted as DataError).message).toMatch(way);
  const offline = await load({ offline: true });
  expect(offline).toBeInstanceOf(DataError);
  expect((offline as DataError).message).toMatch(way);

  const recipe = { name: 'thing', summary: '', present: async () => undefined, methods: [] };
  const options = { signal: new AbortController().signal, say: () => {} };
  const refused = await install(recipe, options).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(EnvironmentError);
  expect((refused as EnvironmentError).message).toMatch(way);
  await expect(remove('thing')).rejects.toThrow(way);
  expect(folderFinding('cache folder', undefined)).toMatchObject({
    state: 'warning',
    text: expect.stringMatching(way),
  });
});
