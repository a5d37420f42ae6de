import { copyFileSync, existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { UsageError } from '../errors.js';
import { writeFileAtomic } from '../files/atomic.js';
import { guardDisk } from '../files/disk.js';
import { isFolder, makeFolder } from '../files/folder.js';
import { type Model, weightsFile, weightsName, withoutBatchNorms } from '../runs/model-file.js';
import { onnxFile } from './onnx-file.js';
import type { ExportOptions } from './onnx-graph.js';
import { torchModule } from './torch.js';

/**
 * Writes a model as an ONNX file; an existing one is replaced.
 * @returns its path
 * @throws UsageError, DiskError
 */
export function writeOnnx(model: Model, file: string, options: ExportOptions = {}): string {
  if (isFolder(file)) throw new UsageError(`--onnx: ${file} is a folder; give a file`);
  requireFolderOf(file, '--onnx');
  writeFileAtomic(file, onnxFile(model, options));
  return file;
}

/**
 * Writes a model as a Python file and its weights, into which batch norms are folded; existing ones are replaced.
 * @param target FILE.py, or a folder for model.py
 * @returns the paths
 * @throws UsageError, DiskError
 */
export function writeTorch(model: Model, target: string, options: ExportOptions = {}): string[] {
  const isFile = target.endsWith('.py') && !isFolder(target);
  if (!isFile && existsSync(target) && !isFolder(target)) {
    throw new UsageError(`--torch: ${target} is a file; give FILE.py, or a folder`);
  }
  if (isFile) requireFolderOf(target, '--torch');
  else makeFolder(target);
  const file = isFile ? target : join(target, 'model.py');
  const weights = join(dirname(file), `${basename(file, '.py')}.safetensors`);
  const source = join(model.folder, weightsName);
  const isOwn = resolve(source) === resolve(weights);
  if (model.weights.some(({ statistics }) => statistics)) {
    if (isOwn) {
      throw new UsageError(
        `--torch: ${weights} is the trained model itself, and the exported weights are others, with the batch norms folded in; give another FILE.py`,
      );
    }
    writeFileAtomic(weights, weightsFile(withoutBatchNorms(model)));
  } else if (!isOwn) guardDisk(weights, () => copyFileSync(source, weights));
  writeFileAtomic(file, torchModule(model, options));
  return [file, weights];
}

function requireFolderOf(file: string, option: string): void {
  if (isFolder(dirname(resolve(file)))) return;
  throw new UsageError(`${option}: the folder of ${file} does not exist`);
}
