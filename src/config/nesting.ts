import { Lexer } from 'yaml';

/** No config nests deeper. The YAML composer recurses: thousands of levels take the process down. */
export const maxDepth = 100;
export const tooDeep = 'lists and blocks are nested too deeply';

/** Whether lists or blocks nest beyond what any config needs; found without recursion. */
export function nestedTooDeeply(text: string): boolean {
  let flow = 0;
  let inLine = 0;
  let isText = false;
  for (const token of new Lexer().lex(text)) {
    if (!isText) {
      if (token === '[' || token === '{') flow++;
      else if ((token === ']' || token === '}') && flow > 0) flow--;
      else if (token === '-' || token === '?') inLine++;
      else if (token === '\n' || token === '\r\n') inLine = 0;
      // Block levels need a space each at least.
      else if (/^ +$/.test(token) && inLine === 0 && token.length > 4 * maxDepth) return true;
      if (flow > maxDepth || inLine > maxDepth) return true;
    }
    isText = token === '\u001f';
  }
  return false;
}
