// What cannot be taken back is confirmed by the person: through the client where it can ask, else through the model.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as v1 from '@modelcontextprotocol/sdk/client/index.js';
import * as v1http from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import * as v2 from '@modelcontextprotocol/client';
import { launch, tokenFor } from '../harness/browser.mjs';
import { Server } from '../harness/server.mjs';

let server, token;

before(async () => {
  server = await Server.start();
  const chromium = await launch();
  token = await tokenFor(chromium, server, { scope: 'paput.publish' }).finally(() => chromium.close());
});

after(() => server?.stop());

const clients = [
  {
    name: 'SDK v1',
    client: (capabilities) => new v1.Client({ name: 'e2e-v1', version: '1.0.0' }, { capabilities }),
    transport: (url, options) => new v1http.StreamableHTTPClientTransport(url, options),
    onQuestion: (client, reply) => client.setRequestHandler(ElicitRequestSchema, reply),
  },
  ...['legacy', { pin: '2026-07-28' }].map((mode) => ({
    name: `SDK v2, protocol ${mode.pin ?? mode}`,
    client: (capabilities) => new v2.Client({ name: 'e2e-v2', version: '1.0.0' }, { capabilities, versionNegotiation: { mode } }),
    transport: (url, options) => new v2.StreamableHTTPClientTransport(url, options),
    onQuestion: (client, reply) => client.setRequestHandler('elicitation/create', reply),
  })),
];

/** A client that is logged in. Given action, it can ask its person, who does that with each question. */
async function connect(kind, { action, questions = [] } = {}) {
  const client = kind.client(action ? { elicitation: {} } : {});
  if (action) {
    kind.onQuestion(client, ({ params }) => {
      questions.push(params.message);
      return action === 'accept' ? { action, content: {} } : { action };
    });
  }
  await client.connect(kind.transport(new URL(server.url + '/mcp'), { requestInit: { headers: { authorization: `Bearer ${token}` } } }));
  // The SDKs check results against the schemas of the tools that they have listed.
  await client.listTools();
  return client;
}

for (const kind of clients) {
  test(`${kind.name}: publish only what the person agrees to`, { timeout: 60_000 }, async () => {
    const quiet = await connect(kind);
    const memos = [{ title: `公開する判断 ${kind.name}`, body: 'x' }];
    const created = await quiet.callTool({ name: 'paput_create_memos', arguments: { memos } });
    const { id } = created.structuredContent.results[0].memo;
    const publish = (client, confirm) => client.callTool({ name: 'paput_publish_memos', arguments: { ids: [id], ...confirm } });
    const isPublic = async () => (await fetch(`${server.url}/m/${id}`)).status === 200;

    const unasked = await publish(quiet);
    assert.equal(unasked.isError, true);
    assert.match(unasked.content[0].text, new RegExp(`${memos[0].title}\nNothing was done.*confirm: true`));
    assert.equal(await isPublic(), false);

    const questions = [];
    const against = await connect(kind, { action: 'decline', questions });
    const declined = await publish(against, { confirm: true });
    assert.equal(declined.isError, true);
    assert.match(declined.content[0].text, /did not agree/);
    assert.equal(await isPublic(), false);

    const willing = await connect(kind, { action: 'accept', questions });
    const published = await publish(willing);
    assert.equal(published.isError, undefined, JSON.stringify(published));
    assert.equal(await isPublic(), true);
    assert.equal(questions.length, 2);
    for (const question of questions) assert.match(question, new RegExp(`^Publish these memos.*\n- ${memos[0].title}$`));

    await quiet.callTool({ name: 'paput_unpublish_memos', arguments: { ids: [id] } });
    assert.equal(await isPublic(), false);
    const agreed = await publish(quiet, { confirm: true });
    assert.equal(agreed.isError, undefined);
    assert.equal(await isPublic(), true);
    await Promise.all([quiet, against, willing].map((client) => client.close()));
  });
}
