import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { onTestFinished } from 'vitest';

/**
 * A page that is closed after the test, and its complaints: what it says on the console, its errors, and what it requests
 * beside `isExpected`.
 * @param prepare called before the page is loaded
 */
export async function openPage(
  browser: Browser,
  url: string,
  {
    isExpected,
    prepare,
    ...options
  }: BrowserContextOptions & {
    readonly isExpected: (requested: string) => boolean;
    readonly prepare?: (page: Page) => Promise<unknown>;
  },
): Promise<{ readonly page: Page; readonly complaints: string[] }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => {
    if (!isExpected(request.url())) complaints.push(request.url());
  });
  await prepare?.(page);
  await page.goto(url);
  return { page, complaints };
}
