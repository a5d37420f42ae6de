/** A mistake in a config is an error that says where it is, and what would fix it. */
import { FlnError, parseExperiment } from 'fenchel-lifted-networks';

try {
  parseExperiment('name: x\nepochs: many\n', 'x.yaml');
} catch (error) {
  if (!(error instanceof FlnError)) throw error;
  console.log(error.exitCode, error.message);
}
