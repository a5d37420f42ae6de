import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/*
 * Stand-ins for npm, python3 with pip, g++ and make, so that `fln backend install` meets every machine
 * without a network. What they do is told by variables:
 *
 * FAKE_NPM       ok, network, enospc
 * FAKE_OWN       what the binding's own installer does: fail, ok
 * FAKE_PIP       ok, absent, network, hash, enospc, hang (and writes its number to FAKE_PID_FILE)
 * FAKE_COMPILER  ok, fail
 * FAKE_BINDING   what the built package does: ok, throws, wrong, crash
 * FAKE_GPUS      values of CUDA_VISIBLE_DEVICES with which it computes on a GPU: 0,1
 */

const require = createRequire(import.meta.url);

/** Tools that a test may leave out. */
export type Tool = 'npm' | 'python3' | 'g++' | 'make';

/** A folder that is the whole PATH. */
export function fakeTools(
  folder: string,
  tools: readonly Tool[] = ['npm', 'python3', 'g++', 'make'],
): string {
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  const scripts = { npm, python3, 'g++': '', make: '' };
  for (const name of tools) {
    const file = join(bin, name);
    writeFileSync(file, `#!${process.execPath}\n${prelude}${scripts[name]}`);
    chmodSync(file, 0o755);
  }
  return bin;
}

const prelude = `
const fs = require('node:fs');
const path = require('node:path');
const args = process.argv.slice(2);
const told = (name, fallback = 'ok') => process.env[name] ?? fallback;
const fail = (text) => { process.stderr.write(text + '\\n'); process.exit(1); };
`;

const npm = `
if (args[0] === 'install') {
  if (told('FAKE_NPM') === 'network') fail('npm error code ENOTFOUND\\nnpm error network request to https://registry.npmjs.org failed');
  if (told('FAKE_NPM') === 'enospc') fail('npm error code ENOSPC\\nnpm error nospc no space left on device');
  for (const arg of args.slice(1)) {
    const match = /^(@?[a-z][^@]*)@([0-9.]+)$/.exec(arg);
    if (match) makePackage(match[1], match[2]);
  }
} else if (args[0] === 'run') {
  if (told('FAKE_OWN', 'fail') === 'fail') fail('Error: 403 Forbidden: storage.googleapis.com');
  fs.writeFileSync('built', '');
} else if (args[0] === 'exec') {
  if (told('FAKE_COMPILER') === 'fail') fail('binding/tfjs_backend.cc:18:10: fatal error: tensorflow/c/c_api.h');
  if (!fs.existsSync('deps/lib/libtensorflow.so')) fail('ld: cannot find -ltensorflow');
  fs.writeFileSync('built', '');
}

function makePackage(name, version) {
  const folder = path.join(process.cwd(), 'node_modules', name);
  fs.mkdirSync(path.join(folder, 'dist/proto'), { recursive: true });
  fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name, version, main: 'index.js' }));
  fs.writeFileSync(path.join(folder, 'dist/proto/api_pb.js'), '');
  fs.writeFileSync(path.join(folder, 'index.js'), \`
    const behaviour = \${JSON.stringify(told('FAKE_BINDING'))};
    \${${JSON.stringify(fakeBinding())}}
  \`);
}
`;

const python3 = `
if (args[1] === 'pip' && args[2] === '--version') {
  if (told('FAKE_PIP') === 'absent') fail('No module named pip');
  console.log('pip 24.0');
} else if (args[1] === 'pip') {
  const folder = args[args.indexOf('-d') + 1];
  switch (told('FAKE_PIP')) {
    case 'network': fail("WARNING: Retrying: Failed to establish a new connection\\nERROR: No matching distribution found");
    case 'hash': fail('ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.');
    case 'enospc': fail("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device");
    case 'hang': fs.writeFileSync(told('FAKE_PID_FILE'), String(process.pid)); setInterval(() => {}, 1000); break;
    default: fs.writeFileSync(path.join(folder, 'fake.whl'), '');
  }
} else {
  const [wheel, target, ...rules] = args.slice(2);
  for (const rule of rules) {
    const place = path.join(target, rule.split('=')[1]);
    fs.mkdirSync(path.dirname(place), { recursive: true });
    if (!place.endsWith('/')) fs.writeFileSync(place, 'a library');
  }
}
`;

/** Puts a binding that works into a folder's node_modules, as its user would. */
export function installFakeBinding(folder: string, name: string): void {
  const target = join(folder, 'node_modules', name);
  mkdirSync(join(target, 'dist', 'proto'), { recursive: true });
  writeFileSync(join(target, 'package.json'), JSON.stringify({ name, main: 'index.js' }));
  writeFileSync(join(target, 'dist', 'proto', 'api_pb.js'), '');
  writeFileSync(join(target, 'built'), '');
  writeFileSync(join(target, 'index.js'), `const behaviour = 'ok';\n${fakeBinding()}`);
}

/** A package that registers the tensor library's JavaScript kernels as TensorFlow's. */
function fakeBinding(): string {
  const tensorLibrary = require.resolve('@tensorflow/tfjs');
  const cpu = createRequire(tensorLibrary).resolve('@tensorflow/tfjs-backend-cpu');
  return `
    const fs = require('node:fs');
    if (!fs.existsSync(__dirname + '/built')) throw new Error('the native module is not there');
    if (behaviour === 'throws') throw new Error('GLIBCXX_3.4.32 not found');
    if (behaviour === 'crash') process.kill(process.pid, 'SIGILL');
    const tf = require(${JSON.stringify(tensorLibrary)});
    const { MathBackendCPU } = require(${JSON.stringify(cpu)});
    class FakeBackend extends MathBackendCPU {
      isUsingGpuDevice = (process.env.FAKE_GPUS ?? '').split(',').includes(process.env.CUDA_VISIBLE_DEVICES);
      binding = { TF_Version: '2.21.0', TF_ATTR_TYPE: 1, TF_FLOAT: 1 };
      executeSingleOutput(name, attributes, [a]) {
        const [n] = a.shape;
        const values = a.dataSync();
        const l = new Float32Array(n * n);
        for (let j = 0; j < n; j++) for (let i = j; i < n; i++) {
          let sum = values[i * n + j];
          for (let k = 0; k < j; k++) sum -= l[i * n + k] * l[j * n + k];
          l[i * n + j] = i === j ? Math.sqrt(sum) : sum / l[j * n + j];
        }
        if (behaviour === 'wrong') l[0] += 1;
        return tf.tensor2d(l, [n, n]);
      }
    }
    tf.copyRegisteredKernels('cpu', 'tensorflow');
    tf.registerBackend('tensorflow', () => new FakeBackend());
  `;
}
