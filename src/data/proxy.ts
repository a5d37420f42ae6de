import type { Agent } from 'node:http';
import { HttpProxyAgent } from 'http-proxy-agent';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { getProxyForUrl } from 'proxy-from-env';

/** The proxy that the environment sets for a URL. */
export interface ProxyServer {
  readonly url: URL;
  /** For messages, without the password: `http://user:***@host:3128, from HTTPS_PROXY` */
  readonly description: string;
}

/**
 * HTTPS_PROXY or HTTP_PROXY by the scheme of the URL, else ALL_PROXY, each in lower case first; none
 * for hosts in NO_PROXY. A proxy without a scheme is an http:// one, as for curl.
 * @throws Error that names the variable when its value is not a usable proxy
 */
export function proxyFor(target: string): ProxyServer | undefined {
  if (getProxyForUrl(target) === '') return undefined;
  const scheme = new URL(target).protocol.slice(0, -1);
  const variable = [`${scheme}_proxy`, 'all_proxy']
    .flatMap((name) => [name, name.toUpperCase()])
    .find((name) => process.env[name])!;
  const value = process.env[variable]!.trim();
  const text = value.includes('://') ? value : `http://${value}`;
  if (!URL.canParse(text)) {
    throw new Error(
      `the value of ${variable} is not a proxy URL: expected http://HOST:PORT or ` +
        'http://USER:PASSWORD@HOST:PORT, with special characters written as %XX',
    );
  }
  const url = new URL(text);
  const user = url.username === '' ? '' : `${url.username}${url.password === '' ? '' : ':***'}@`;
  const shown = `${url.protocol}//${user}${url.host}`;
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new Error(`${variable} is ${shown}: only http:// and https:// proxies are supported`);
  }
  return { url, description: `${shown}, from ${variable}` };
}

/** Forwards requests for http:// URLs, and tunnels those for https:// ones (CONNECT). */
export function proxyAgent({ url }: ProxyServer, target: URL): Agent {
  return target.protocol === 'https:' ? new HttpsProxyAgent(url) : new HttpProxyAgent(url);
}
