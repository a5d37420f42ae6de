/**
 * Text of several lines made fit for a terminal: characters that it obeys, rather than shows, become
 * spaces. Messages quote files and paths, and those hold whatever somebody put there.
 */
export function withoutControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, ' ');
}
