// Step-up: an app that was allowed to read calls a tool that writes, is told what that takes, and asks its person again.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import * as v1 from '@modelcontextprotocol/sdk/client/index.js';
import * as v1http from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import * as v2 from '@modelcontextprotocol/client';
import { Keyring, listenForBrowser, notingFetch } from '../harness/app.mjs';
import { answer, launch } from '../harness/browser.mjs';
import { desktop } from '../harness/desktop.mjs';
import { until } from '../harness/process.mjs';
import { Server } from '../harness/server.mjs';

const proxy = path.resolve(import.meta.dirname, '../node_modules/mcp-remote/dist/proxy.js');

const write = { name: 'paput_create_memos', arguments: { memos: [{ title: 'Step-up works', body: '段階的な許可' }] } };
const read = { name: 'paput_search_memo', arguments: { query: '段階的な許可' } };

let server, chromium;

before(async () => {
  server = await Server.start();
  chromium = await launch();
});

after(async () => {
  await chromium?.close();
  await server?.stop();
});

const first = {
  name: 'SDK v1',
  client: () => new v1.Client({ name: 'e2e-v1', version: '1.0.0' }),
  transport: (url, options) => new v1http.StreamableHTTPClientTransport(url, options),
  finish: (transport, query) => transport.finishAuth(query.get('code')),
  // It asks for what the challenge names, which allows what it had too.
  asks: ['paput.write'],
};

const second = (era, mode) => ({
  name: `SDK v2, protocol ${era}`,
  client: () => new v2.Client({ name: 'e2e-v2', version: '1.0.0' }, { versionNegotiation: { mode } }),
  transport: (url, options) => new v2.StreamableHTTPClientTransport(url, options),
  finish: (transport, query) => transport.finishAuth(query),
  asks: ['offline_access', 'paput.read', 'paput.write'],
});

/** An app of the kind that its person, asked for reading and writing, allowed to read. */
async function reader(kind, endpoint, page, { refreshes }) {
  const browser = await listenForBrowser();
  const keyring = new Keyring(browser.redirect, `e2e ${kind.name}`);
  if (!refreshes) keyring.clientMetadata.grant_types = ['authorization_code'];
  const fetch = notingFetch();
  const options = { authProvider: keyring, fetch };
  const url = new URL(server.url + endpoint);
  const stranger = kind.transport(url, options);
  await assert.rejects(kind.client().connect(stranger), /unauthorized/i);
  await kind.finish(stranger, await answer(page, keyring.authorizationURL, { untick: ['paput.write'] }));
  assert.equal(keyring.saved.scope, 'paput.read');
  assert.equal(Boolean(keyring.saved.refresh_token), refreshes);
  const transport = kind.transport(url, options);
  const client = kind.client();
  await client.connect(transport);
  const { tools } = await client.listTools();
  assert(tools.some((tool) => tool.name === write.name), 'a tool that is not listed is never called');
  assert.equal((await client.callTool(read)).isError, undefined);
  return { keyring, fetch, transport, client, url, options, close: async () => (await client.close(), browser.close()) };
}

/** The scopes that an authorization request asks for, in order. */
const asked = (url) => url.searchParams.get('scope').split(' ').sort();

for (const { kind, endpoint, refreshes } of [
  { kind: first, endpoint: '/mcp', refreshes: false },
  { kind: second('legacy', 'legacy'), endpoint: '/mcp', refreshes: true },
  { kind: second('2026-07-28', { pin: '2026-07-28' }), endpoint: '', refreshes: true },
]) {
  test(`${kind.name}: the person says no, then yes`, { timeout: 120_000 }, async () => {
    const page = await chromium.newPage();
    const app = await reader(kind, endpoint, page, { refreshes });
    try {
      // Whoever asks for writing alone cannot be allowed less but nothing.
      const refusal = kind === first ? { decision: 'deny' } : { untick: ['paput.write'] };
      for (const decision of [refusal, {}]) {
        const before = app.fetch.requests.length;
        app.keyring.authorizationURL = undefined;
        await assert.rejects(app.client.callTool(write), /unauthorized/i);
        const refused = app.fetch.lines().slice(before).filter((line) => line.endsWith('403'));
        assert.deepEqual(refused, [`POST ${app.url.pathname} 403`], 'it tried more than once');
        assert.deepEqual(asked(app.keyring.authorizationURL), kind.asks);
        const query = await answer(page, app.keyring.authorizationURL, decision);
        if (query.has('code')) await kind.finish(app.transport, query);
        if (decision === refusal && kind === first) {
          // It knows the challenge again, and asks nobody until something else has worked.
          await assert.rejects(app.client.callTool(write), /403 after trying upscoping/);
          await app.client.callTool(read);
        }
      }
      const created = await app.client.callTool(write);
      assert.equal(created.structuredContent.results.length, 1);
      const found = await app.client.callTool(read);
      assert(found.structuredContent.entries.some((entry) => entry.title === 'Step-up works'), 'reading was lost on the way');
    } finally {
      await app.close();
      await page.context().close();
    }
  });
}

test('SDK v1 with a refresh token: it refreshes first, gives up with a clear error, and works after a new log-in', { timeout: 120_000 }, async () => {
  const page = await chromium.newPage();
  const app = await reader(first, '', page, { refreshes: true });
  try {
    const before = app.fetch.requests.length;
    await assert.rejects(app.client.callTool(write), /403 after trying upscoping/);
    assert.deepEqual(app.fetch.lines().slice(before).filter((line) => line.startsWith('POST')), ['POST / 403', 'POST /token 200', 'POST / 403']);

    app.keyring.saved = undefined;
    await assert.rejects(app.client.callTool(write), /unauthorized/i);
    assert.deepEqual(asked(app.keyring.authorizationURL), ['paput.read', 'paput.write']);
    await first.finish(app.transport, await answer(page, app.keyring.authorizationURL));
    assert.equal((await app.client.callTool(write)).structuredContent.results.length, 1);
  } finally {
    await app.close();
    await page.context().close();
  }
});

test('mcp-remote: the person says no, then yes', { timeout: 240_000 }, async () => {
  const home = path.join(server.home, 'remote');
  const { env, opened } = await desktop(home);
  env.MCP_REMOTE_CONFIG_DIR = path.join(home, 'config');
  const transport = new StdioClientTransport({
    command: process.execPath, args: [proxy, server.url + '/mcp', '--auth-timeout', '120'], env, stderr: 'pipe',
  });
  let said = '';
  transport.stderr.on('data', (data) => (said += data));
  const client = new v1.Client({ name: 'e2e-stdio', version: '1.0.0' });
  const connected = client.connect(transport, { timeout: 150_000 });
  connected.catch(() => {}); // whoever waits for it is told
  const page = await chromium.newPage();
  /** Waits until the browser has been opened for the nth time, and answers. Returns the scopes that were asked for. */
  const consent = async (n, decision) => {
    const urls = await until(`the browser to be opened for time ${n}`, async () => {
      const urls = await opened();
      return urls?.length >= n && urls;
    }).catch((error) => {
      throw new Error(`${error.message}\n${said}`);
    });
    await answer(page, urls[n - 1], decision);
    return asked(new URL(urls[n - 1]));
  };
  const both = ['offline_access', 'paput.read', 'paput.write'];
  try {
    await consent(1, { untick: ['paput.write'] });
    await connected;
    const { tools } = await client.listTools();
    assert(tools.some((tool) => tool.name === write.name), 'a tool that is not listed is never called');

    // It tries the call again with what it got, asks once more, and leaves it at that.
    const refused = assert.rejects(client.callTool(write), /unauthorized/i);
    assert.deepEqual(await consent(2, { untick: ['paput.write'] }), both);
    await refused;
    assert.equal((await opened()).length, 3, said);

    // The page that it asks with is still open, and its answer completes the next call.
    const call = client.callTool(write);
    call.catch(() => {}); // whoever waits for it is told
    assert.deepEqual(await consent(3), both);
    assert.equal((await call).structuredContent.results.length, 1);
    assert.equal((await client.callTool(read)).isError, undefined);
    assert.equal((await opened()).length, 3, said);
  } finally {
    await client.close();
    await page.context().close();
  }
});
