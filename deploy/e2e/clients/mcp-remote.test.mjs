// mcp-remote, as an assistant that knows only stdio starts it.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { answer, launch } from '../harness/browser.mjs';
import { desktop } from '../harness/desktop.mjs';
import { until } from '../harness/process.mjs';
import { Server } from '../harness/server.mjs';

const proxy = path.resolve(import.meta.dirname, '../node_modules/mcp-remote/dist/proxy.js');

let server, audit, chromium;

before(async () => {
  server = await Server.start({ args: ['--access-token-ttl', '1m'] });
  chromium = await launch();
  audit = server.audit();
});

after(async () => {
  await chromium?.close();
  await audit?.stop();
  await server?.stop();
});

async function connect(url, env) {
  const transport = new StdioClientTransport({
    command: process.execPath, args: [proxy, url, '--auth-timeout', '120'], env, stderr: 'pipe',
  });
  let said = '';
  transport.stderr.on('data', (data) => (said += data));
  const client = new Client({ name: 'e2e-stdio', version: '1.0.0' });
  const connected = client.connect(transport, { timeout: 150_000 });
  connected.catch(() => {}); // whoever waits for it is told
  return { client, connected, said: () => said };
}

for (const endpoint of ['', '/mcp']) {
  test(`mcp-remote at ${endpoint || 'the root'}: log in, write, read, refresh, come back without a browser`, { timeout: 240_000 }, async () => {
    const home = path.join(server.home, 'remote' + endpoint);
    const { env, opened } = await desktop(home);
    env.MCP_REMOTE_CONFIG_DIR = path.join(home, 'config');
    const url = server.url + endpoint;
    const { client, connected, said } = await connect(url, env);
    const text = `プロキシ経由のメモ。Written through the proxy at ${endpoint || '/'}.`;
    let id;
    try {
      const [authorizationURL] = await until('mcp-remote to open the browser', opened).catch((error) => {
        throw new Error(`${error.message}\n${said()}`);
      });
      const page = await chromium.newPage();
      await answer(page, authorizationURL);
      await page.getByText(/authorization successful|you can close|may now close|close this/i).first().waitFor();
      await page.context().close();
      await connected;

      const { tools } = await client.listTools();
      assert(tools.some((tool) => tool.name === 'paput_create_memos'));
      const created = await client.callTool({
        name: 'paput_create_memos', arguments: { memos: [{ title: `mcp-remote ${endpoint}`, body: text }] },
      });
      id = created.structuredContent.results[0].memo.id;
      const found = await client.callTool({ name: 'paput_search_memo', arguments: { query: 'プロキシ経由' } });
      assert(found.structuredContent.entries.some((entry) => entry.id === id));
    } finally {
      await client.close();
    }

    // A token of one minute is, to mcp-remote, always about to expire: it refreshes by itself, and no browser opens.
    const before = audit.of('grant.token_refreshed').length;
    const second = await connect(url, env);
    try {
      await second.connected;
      const read = await second.client.callTool({ name: 'paput_search_memo', arguments: { ids: [id] } });
      assert.equal(read.structuredContent.memos[0].body, text);
    } finally {
      await second.client.close();
    }
    assert.equal((await opened())?.length, 1, `the browser was opened again:\n${second.said()}`);
    await until('a refresh to be in the audit stream', () => audit.of('grant.token_refreshed').length > before);
  });
}
