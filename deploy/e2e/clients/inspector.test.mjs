// The MCP Inspector's command line in both eras: it lists everything without a complaint about schemas, and reads and calls. Where it
// says that it shows apps, it finds them.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { launch, tokenFor } from '../harness/browser.mjs';
import { run } from '../harness/process.mjs';
import { Server } from '../harness/server.mjs';

const inspector = path.resolve(import.meta.dirname, '../node_modules/.bin/mcp-inspector');

let server, token;

before(async () => {
  server = await Server.start();
  const chromium = await launch();
  token = await tokenFor(chromium, server, { scope: 'paput.publish' }).finally(() => chromium.close());
});

after(() => server?.stop());

/** The lines that the Inspector prints for a method; it may not complain. */
async function lines(era, method, ...args) {
  const { stdout, stderr } = await run(
    inspector,
    ['--cli', server.url + '/mcp', '--transport', 'http', '--protocol-era', era, '--header', `Authorization: Bearer ${token}`, '--method', method, ...args],
    { env: { HOME: server.home } },
  );
  assert.equal(stderr, '');
  return stdout;
}

/** What the Inspector prints for a method. */
const inspect = async (...args) => JSON.parse(await lines(...args));

/** What the Inspector finds out about the apps of the tools that have one, by the tools' names. */
async function apps(era, ...args) {
  const found = (await lines(era, 'tools/list', '--app-info', ...args)).trim().split('\n').map((line) => JSON.parse(line));
  assert(found.length > 15, `${found.length} tools`);
  return Object.fromEntries(found.filter(({ hasApp }) => hasApp).map(({ toolName, hasApp, ...about }) => [toolName, about]));
}

for (const era of ['legacy', 'modern', 'auto']) {
  test(`Inspector, ${era}`, { timeout: 120_000 }, async () => {
    const { tools } = await inspect(era, 'tools/list', '--strict');
    assert(tools.length > 15, `${tools.length} tools`);
    const { resources } = await inspect(era, 'resources/list');
    assert.deepEqual(resources.map(({ uri }) => uri), ['memo://categories', 'memo://recent']);
    const app = {
      resourceUri: 'ui://paput/app', csp: { connectDomains: [], resourceDomains: [], frameDomains: [], baseUriDomains: [] }, prefersBorder: true,
      resourceMimeType: 'text/html;profile=mcp-app',
    };
    assert.deepEqual(await apps(era, '--advertise-apps'), { paput_list_pending_candidates: app, paput_search_memo: app });
    assert.deepEqual(await apps(era), {});
    const { tools: shown } = await inspect(era, 'tools/list', '--strict', '--advertise-apps');
    assert.equal(shown.length, tools.length);
    const { prompts } = await inspect(era, 'prompts/list');
    assert.equal(prompts.length, 4);
    const memos = JSON.stringify([{ title: `検査 ${era}`, body: 'x', categories: ['検査'] }]);
    const created = await inspect(era, 'tools/call', '--tool-name', 'paput_create_memos', '--tool-arg', `memos=${memos}`);
    const { id } = created.structuredContent.results[0].memo;
    const { contents } = await inspect(era, 'resources/read', '--uri', `memo://${id}`);
    assert.match(contents[0].text, new RegExp(`^---\nid: ${id}\ntitle: "検査 ${era}"\n`));
    const { messages } = await inspect(era, 'prompts/get', '--prompt-name', 'recall_before_deciding', '--prompt-args', 'topic=検査');
    assert.match(messages[0].content.text, /検査/);
  });
}
