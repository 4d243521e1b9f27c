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

/** An app that speaks OAuth with nothing but fetch. */
export class App {
  /** Registers an app that waits for the browser on a loopback port; close() ends the waiting. */
  static async register(server, name) {
    const app = new App();
    app.server = server;
    Object.assign(app, await listenForBrowser());
    const response = await fetch(server.url + '/register', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ client_name: name, redirect_uris: [app.redirect], token_endpoint_auth_method: 'none' }),
    });
    if (response.status !== 201) throw new Error(`/register answered ${response.status}: ${await response.text()}`);
    app.id = (await response.json()).client_id;
    return app;
  }

  /** Where to send the person for a code. set replaces parameters; undefined removes one. */
  async authorizationURL(set = {}) {
    this.verifier = crypto.randomUUID() + crypto.randomUUID();
    const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(this.verifier));
    const url = new URL(this.server.url + '/authorize');
    const parameters = {
      response_type: 'code', client_id: this.id, redirect_uri: this.redirect, state: 'a state', resource: this.server.url,
      scope: 'paput.read paput.write', code_challenge_method: 'S256', code_challenge: Buffer.from(hash).toString('base64url'),
      ...set,
    };
    for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value);
    return url;
  }

  /** Exchanges a code for tokens. */
  async redeem(code) {
    const response = await fetch(this.server.url + '/token', {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code', client_id: this.id, redirect_uri: this.redirect, code, code_verifier: this.verifier,
      }),
    });
    return { status: response.status, ...(await response.json()) };
  }

  /** Sends one MCP request with an access token. */
  async mcp(token, method, params = {}) {
    const response = await fetch(this.server.url, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2025-11-25',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
    return { status: response.status, challenge: response.headers.get('www-authenticate'), body: await response.json() };
  }
}
