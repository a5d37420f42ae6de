import { beforeAll, describe, expect, it } from 'vitest';
import { methods } from '../../src/core/methods/registry.js';
import { methodConformance, someSetting, stepsOf } from '../../src/testing/conformance.js';
import { startTestBackend } from '../backends.js';

/** Methods that write layers.csv: those that do not train by back-propagation. */
const lifted = ['fenchel', 'taylor-admm', 'lau-bcd', 'askari-bcd', 'zhang-brand', 'mac', 'lpom'];

/**
 * What every method must do on every network: a new entry of the registry is tested by being there, with the
 * checks that plugins are tested with.
 * @param part a few settings of each method, or all others
 */
export function describeConformance(part: 'representatives' | 'others'): void {
  const entries = methods
    .map((definition) => ({
      checks: methodConformance(definition, part),
      definition,
      ...definition,
    }))
    .filter(({ checks }) => checks.length > 0);
  describe.each(entries)('$name $solver', ({ checks, definition }) => {
    beforeAll(startTestBackend);
    for (const { name, run } of checks) it(name, run);

    if (part === 'others' || !lifted.includes(definition.name)) return;
    it('measures its layers', async () => {
      const { steps } = await stepsOf(definition, someSetting(definition, 1), () => {});
      expect(steps[0].layers).toBeDefined();
    });
  });
}
