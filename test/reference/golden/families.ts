import { baselineFamilies } from './baseline-families.js';
import type { Family } from './family.js';
import { fenchelFamilies } from './fenchel-families.js';

/** Every family of golden sub-problems. */
export const families = { ...fenchelFamilies, ...baselineFamilies };

export type FamilyName = keyof typeof families;

/** undefined for a name that is none. */
export const familyNamed = (name: string): Family | undefined =>
  (families as Readonly<Record<string, Family>>)[name];
