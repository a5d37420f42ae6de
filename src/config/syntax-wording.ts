import type { ErrorCode } from 'yaml';

export const tooDeep = 'lists and blocks are nested too deeply';

/**
 * Describes a YAML syntax error to a reader who does not know the grammar.
 *
 * @param detail the parser's own message
 * @param character the character at the error's position
 */
export function syntaxMessage(code: ErrorCode, detail: string, character: string): string {
  switch (code) {
    case 'TAB_AS_INDENT':
      return 'a tab is used for indentation; use spaces';
    case 'MULTIPLE_DOCS':
      return 'a second document starts here; a file contains one experiment';
    case 'BAD_SCALAR_START':
      return `a value cannot start with "${character}"; put it in quotes`;
    case 'TAG_RESOLVE_FAILED':
      return `tags are not supported (${detail.replace(/^Unresolved tag: /, '')}); remove it`;
    case 'BLOCK_AS_IMPLICIT_KEY':
    case 'MULTILINE_IMPLICIT_KEY':
      return 'the structure is unclear here: check the indentation of this line and the next, commas inside { }, and quotes around text that contains ": "';
    case 'BAD_INDENT':
    case 'MISSING_CHAR':
      return missing(detail);
    case 'UNEXPECTED_TOKEN':
      return 'unexpected text: check the indentation, and quotes inside quoted text';
    case 'BLOCK_IN_FLOW':
      return 'the structure is unclear here: a comma may be missing after this, or a block without { } stands inside { } or [ ]';
    case 'BAD_ALIAS':
      return 'an alias needs the name of an anchor, as in *name';
    default:
      return /call stack/i.test(detail) ? tooDeep : `this is not valid YAML (${detail})`;
  }
}

function missing(detail: string): string {
  if (detail.includes('end with a ]')) return 'the list opened with "[" is not closed with "]"';
  if (detail.includes('end with a }')) return 'the block opened with "{" is not closed with "}"';
  if (detail.includes('closing "')) return 'a closing double quote is missing';
  if (detail.includes("closing '")) return 'a closing single quote is missing';
  if (detail.includes('Missing , or :')) return 'a comma or a colon is missing before this';
  if (detail.includes('Missing , between')) return 'a comma is missing before this';
  if (detail.includes('followed by map values')) {
    return 'a key needs a colon and a value, as in "epochs: 10"';
  }
  return 'the indentation differs from the lines above; use the same number of spaces';
}
