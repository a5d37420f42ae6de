import { collectProvenance } from '../../src/shared/provenance.js';

/** The provenance of a script's results, on one line. */
export async function measuredOn(): Promise<string> {
  const { git, node, platform, cpu, threads } = await collectProvenance();
  const commit = git ? `${git.commit}${git.dirty ? ' with changes' : ''}` : 'no checkout';
  return `${commit}, Node ${node.slice(1)}, ${platform}, ${cpu}, ${threads} threads`;
}
