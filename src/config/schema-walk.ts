import { z } from 'zod';
import type { Path } from './tree.js';

/** The fields of an object schema, looking through defaults and optionals. */
export function fieldsOf(schema: z.ZodType | undefined): Record<string, z.ZodType> | undefined {
  const inner = unwrap(schema);
  return inner instanceof z.ZodObject ? (inner.shape as Record<string, z.ZodType>) : undefined;
}

/** The schema of the elements of a list; of a tuple, that of the first. */
export function elementSchema(schema: z.ZodType | undefined): z.ZodType | undefined {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodTuple) return inner.def.items[0] as z.ZodType;
  return inner instanceof z.ZodArray ? (inner.element as z.ZodType) : undefined;
}

/** The forms of a field that has several, also where a form has several itself. */
export function optionsOf(schema: z.ZodType | undefined): z.ZodType[] {
  const inner = unwrap(schema);
  if (!(inner instanceof z.ZodUnion)) return [];
  return (inner.options as z.ZodType[]).flatMap((option) =>
    unwrap(option) instanceof z.ZodUnion ? optionsOf(option) : [option],
  );
}

/** The schema of the value at `path`; where a field has several forms, that of the form which `data` has. */
export function schemaAt(root: z.ZodType, data: unknown, path: Path): z.ZodType | undefined {
  let schema: z.ZodType | undefined = root;
  for (const [depth, step] of path.entries()) {
    const form = formFor(schema, valueAt(data, path.slice(0, depth)));
    const fields = fieldsOf(form);
    if (fields) schema = Object.hasOwn(fields, step) ? fields[step] : undefined;
    else if (form instanceof z.ZodRecord) schema = form.valueType as z.ZodType;
    else schema = elementSchema(form);
  }
  return schema;
}

/** The schema of a list or block; where a field has several forms, that of the form which `value` has. */
export function formFor(schema: z.ZodType | undefined, value: unknown): z.ZodType | undefined {
  const inner = unwrap(schema);
  if (!(inner instanceof z.ZodUnion)) return inner;
  return optionsOf(inner).find((option) =>
    Array.isArray(value)
      ? option instanceof z.ZodArray
      : option instanceof z.ZodObject || option instanceof z.ZodRecord,
  );
}

/** The value at `path` in plain data; undefined when there is none. */
export function valueAt(data: unknown, path: Path): unknown {
  let value = data;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step))
      return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

/** The schema inside defaults and optionals. */
export function unwrap(schema: z.ZodType | undefined): z.ZodType | undefined {
  let inner = schema;
  while (
    inner instanceof z.ZodDefault ||
    inner instanceof z.ZodPrefault ||
    inner instanceof z.ZodOptional
  ) {
    inner = inner.unwrap() as z.ZodType;
  }
  return inner;
}
