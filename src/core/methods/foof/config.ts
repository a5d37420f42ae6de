import { z } from 'zod';
import * as fields from '../fields.js';
import { preconditionedFields } from '../preconditioned/config.js';

export const FoofConfig = z.strictObject({
  name: z.literal('foof'),
  label: fields.label,
  ...preconditionedFields,
});

export type FoofConfig = z.output<typeof FoofConfig>;
