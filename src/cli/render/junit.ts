import { escapeHtml, printable } from '../../shared/text.js';

/** A test of a JUnit report. */
export interface TestCase {
  readonly name: string;
  /** Why it failed; absent when it passed. */
  readonly failure?: string;
  readonly isSkipped?: boolean;
}

/** A JUnit XML report, which CI systems read. */
export function junitXml(suite: string, cases: readonly TestCase[]): string {
  const failures = cases.filter(({ failure }) => failure !== undefined).length;
  const skipped = cases.filter(({ isSkipped }) => isSkipped).length;
  const counts = `tests="${cases.length}" failures="${failures}" skipped="${skipped}" errors="0"`;
  const name = attribute(suite);
  const lines = cases.map(({ name: text, failure, isSkipped }) => {
    const start = `    <testcase classname="${name}" name="${attribute(text)}"`;
    if (isSkipped) return `${start}><skipped/></testcase>`;
    if (failure === undefined) return `${start}/>`;
    return `${start}><failure message="${attribute(failure)}"/></testcase>`;
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="fln verify" ${counts}>`,
    `  <testsuite name="${name}" ${counts}>`,
    ...lines,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

const attribute = (text: string) => escapeHtml(printable(text));
