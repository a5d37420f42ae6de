/**
 * What is wrong with the content of a data file. The message continues a sentence whose subject is the
 * file: `is empty`, `has label 11 in record 5`. The caller, which knows where the file came from, turns
 * it into a DataError.
 */
export class ContentError extends Error {
  override name = 'ContentError';
}
