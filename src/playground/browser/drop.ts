import type { DroppedFile } from '../protocol.js';
import { byId, say } from './dom.js';

/** Ample for the files of MNIST, and no more than a page should read. */
const mostBytes = 64 * 2 ** 20;

/** Hands on the content of files that are dropped onto the page or chosen. */
export function listenForFiles(use: (files: readonly DroppedFile[]) => void): void {
  const area = byId('drop');
  const chosen = byId<HTMLInputElement>('files');
  chosen.addEventListener('change', () => void take([...(chosen.files ?? [])], use));
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    area.classList.add('over');
  });
  document.addEventListener('dragleave', () => area.classList.remove('over'));
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    area.classList.remove('over');
    void take([...(event.dataTransfer?.files ?? [])], use);
  });
}

async function take(
  files: readonly File[],
  use: (files: readonly DroppedFile[]) => void,
): Promise<void> {
  const large = files.find(({ size }) => size > mostBytes);
  if (files.length === 0) return;
  if (large) return say('data-status', `Not used: ${large.name} is longer than any file of MNIST.`);
  if (files.length > 4)
    return say('data-status', `Not used: ${files.length} files; MNIST has four.`);
  say('data-status', 'Reading …');
  try {
    const read = files.map(async (file) => ({
      name: file.name,
      bytes: new Uint8Array(await file.arrayBuffer()),
    }));
    use(await Promise.all(read));
  } catch {
    say('data-status', 'Not used: the files cannot be read. A folder is none.');
  }
}
