// What an app that asks for access needs besides its protocol library: somewhere for the browser to come back to, and
// somewhere to keep what it was given.
import { createServer } from 'node:http';
import { once } from 'node:events';

/** Listens on a loopback port for the browser. Returns the redirect URI and a function that stops it. */
export async function listenForBrowser(host = '127.0.0.1') {
  const listener = createServer((_, response) => response.end('You can close this page.'));
  listener.listen(0, host);
  await once(listener, 'listening');
  return { redirect: `http://${host}:${listener.address().port}/callback`, close: () => listener.close() };
}

/**
 * An OAuthClientProvider of the MCP SDKs (both generations) that keeps everything in memory and leaves the browser to
 * the test: authorizationURL is where it wants the person to go.
 */
export class Keyring {
  authorizationURL = undefined;

  constructor(redirect, name) {
    this.redirectUrl = redirect;
    this.clientMetadata = {
      client_name: name,
      redirect_uris: [redirect],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }

  state() {
    return (this.expectedState ??= crypto.randomUUID());
  }
  clientInformation() {
    return this.client;
  }
  saveClientInformation(client) {
    this.client = client;
  }
  tokens() {
    return this.saved;
  }
  saveTokens(tokens) {
    this.saved = tokens;
  }
  discoveryState() {
    return this.discovered;
  }
  saveDiscoveryState(state) {
    this.discovered = state;
  }
  redirectToAuthorization(url) {
    this.authorizationURL = url;
  }
  saveCodeVerifier(verifier) {
    this.verifier = verifier;
  }
  codeVerifier() {
    return this.verifier;
  }

  /** Makes the access token useless, as if it had expired. */
  spoil() {
    this.saved = { ...this.saved, access_token: 'paput_at_' + 'x'.repeat(43) };
  }
}

/** A fetch that notes every request: method, URL, status, and the grant type of token requests. */
export function notingFetch() {
  const requests = [];
  const noting = async (url, init = {}) => {
    const response = await fetch(url, init);
    const grant = init.body instanceof URLSearchParams ? init.body.get('grant_type') : undefined;
    requests.push({ method: init.method ?? 'GET', url: String(url), status: response.status, grant });
    return response;
  };
  noting.requests = requests;
  /** The requests as short lines: "POST /token 200". */
  noting.lines = () => requests.map((r) => `${r.method} ${new URL(r.url).pathname} ${r.status}`);
  return noting;
}
