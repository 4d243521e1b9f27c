// The MCP TypeScript SDK's clients, both generations and both protocol eras: they know the URL and nothing else.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as v1 from '@modelcontextprotocol/sdk/client/index.js';
import * as v1http from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import * as v2 from '@modelcontextprotocol/client';
import { Keyring, listenForBrowser, notingFetch } from '../harness/app.mjs';
import { answer, launch } from '../harness/browser.mjs';
import { until } from '../harness/process.mjs';
import { Server, secrets } from '../harness/server.mjs';

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

const clients = [
  {
    name: 'SDK v1',
    host: '127.0.0.1',
    client: () => new v1.Client({ name: 'e2e-v1', version: '1.0.0' }),
    transport: (url, options) => new v1http.StreamableHTTPClientTransport(url, options),
    finish: (transport, query) => transport.finishAuth(query.get('code')),
    protocol: () => '2025-11-25',
  },
  ...[
    { era: 'legacy', mode: 'legacy', version: '2025-11-25' },
    { era: '2026-07-28', mode: { pin: '2026-07-28' }, version: '2026-07-28' },
    { era: 'either', mode: 'auto', version: '2026-07-28' },
  ].map(({ era, mode, version }) => ({
    name: `SDK v2, protocol ${era}`,
    host: 'localhost',
    client: () => new v2.Client({ name: 'e2e-v2', version: '1.0.0' }, { versionNegotiation: { mode } }),
    transport: (url, options) => new v2.StreamableHTTPClientTransport(url, options),
    finish: (transport, query) => transport.finishAuth(query),
    protocol: (client) => client.getNegotiatedProtocolVersion(),
    version,
  })),
];

/** Creates a memo, finds it by words of either language, and reads the same text back. */
async function keepAndFind(client, mark) {
  const memo = {
    title: `認証方式の決定 ${mark}: refresh tokens rotate`,
    body: `## 決めたこと\n\nアクセストークンは15分で失効する。Clients refresh with a *derived* successor, so two processes never log each other out.\n\n${mark} 🔑 — "quoted" <b>markup</b> & ｶﾀｶﾅ\n`,
    memo_types: ['decision'],
    categories: ['認証', 'OAuth'],
  };
  const created = (await client.callTool({ name: 'paput_create_memos', arguments: { memos: [memo] } })).structuredContent;
  assert.equal(created.results.length, 1);
  assert.equal(created.results[0].error, undefined);
  const { id } = created.results[0].memo;
  for (const query of [`失効 ${mark}`, `derived successor ${mark}`, '認証 決定']) {
    const found = (await client.callTool({ name: 'paput_search_memo', arguments: { query } })).structuredContent;
    assert(found.entries.some((entry) => entry.id === id), `${query} does not find the memo`);
  }
  const read = (await client.callTool({ name: 'paput_search_memo', arguments: { ids: [id] } })).structuredContent;
  assert.equal(read.memos.length, 1);
  assert.equal(read.memos[0].title, memo.title);
  assert.equal(read.memos[0].body, memo.body);
  assert.deepEqual(read.memos[0].memo_types, memo.memo_types);
  assert.deepEqual(read.memos[0].categories, memo.categories);
  return id;
}

for (const [index, kind] of clients.entries()) {
  for (const path of ['', '/mcp']) {
    test(`${kind.name} at ${path || 'the root'}: log in, write, read, refresh`, { timeout: 240_000 }, async () => {
      const app = await listenForBrowser(kind.host);
      const person = await chromium.newPage();
      try {
        await logInWriteReadRefresh(kind, path, app.redirect, person, `印${index}${path.length}`);
      } finally {
        await person.context().close();
        app.close();
      }
    });
  }
}

async function logInWriteReadRefresh(kind, path, redirect, page, mark) {
  const url = new URL(server.url + path);
  const keyring = new Keyring(redirect, `e2e ${kind.name}`);
  const fetch = notingFetch();
  const options = { authProvider: keyring, fetch };

  // Without a token: the challenge, the metadata, a registration, and then the browser.
  const first = kind.transport(url, options);
  await assert.rejects(kind.client().connect(first), /unauthorized/i);
  const lines = fetch.lines();
  const endpoint = new URL(url).pathname;
  assert.equal(lines[0], `POST ${endpoint} 401`);
  assert(lines.includes(`GET /.well-known/oauth-protected-resource${path} 200`), lines.join('\n'));
  assert(lines.includes('GET /.well-known/oauth-authorization-server 200'), lines.join('\n'));
  assert(lines.includes('POST /register 201'), lines.join('\n'));
  const request = keyring.authorizationURL.searchParams;
  assert.equal(request.get('code_challenge_method'), 'S256');
  assert.equal(new URL(request.get('resource')).href, url.href);

  const query = await answer(page, keyring.authorizationURL);
  assert.equal(query.get('state'), request.get('state'));
  assert.equal(query.get('iss'), server.url);
  await kind.finish(first, query);
  assert(keyring.saved.refresh_token, 'the client got no refresh token');
  assert.equal(keyring.saved.token_type.toLowerCase(), 'bearer');
  assert.equal(keyring.saved.expires_in, 60);

  const client = kind.client();
  await client.connect(kind.transport(url, options));
  try {
    if (kind.version) assert.equal(kind.protocol(client), kind.version);
    assert.equal(client.getServerVersion().name, 'paput');
    const { tools } = await client.listTools();
    const names = tools.map((tool) => tool.name);
    for (const name of ['paput_create_memos', 'paput_search_memo', 'paput_update_memo', 'paput_get_memo_history']) {
      assert(names.includes(name), `${name} is not among ${names}`);
    }
    const id = await keepAndFind(client, mark);

    // The access token stops being good: it expires in earnest once, and is spoilt for the other clients.
    const before = { ...keyring.saved };
    if (mark === '印00') await until('the access token to expire', () => expired(before.access_token), { timeout: 120_000 });
    else keyring.spoil();
    const again = (await client.callTool({ name: 'paput_search_memo', arguments: { ids: [id] } })).structuredContent;
    assert.equal(again.memos[0].id, id);
    assert.equal(fetch.requests.filter((r) => r.grant === 'refresh_token' && r.status === 200).length, 1);
    assert.notEqual(keyring.saved.access_token, before.access_token);
    assert.notEqual(keyring.saved.refresh_token, before.refresh_token);
    await until('the refresh to be in the audit stream', () => refreshedBy(keyring.client.client_id));
  } finally {
    await client.close();
  }
  assert.doesNotMatch(fetch.requests.map((r) => r.url).join('\n'), secrets, 'a token travelled in a URL');
}

/** Whether the server refuses an access token. */
async function expired(token) {
  const response = await fetch(server.url + '/mcp', {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
  });
  await response.text();
  return response.status === 401;
}

/** Whether the audit stream tells of the client's registration and of one refresh in the grant that it was given. */
function refreshedBy(clientID) {
  const registered = audit.of('client.registered').filter((event) => event.subject === 'client/' + clientID);
  const grants = audit.of('grant.consent_granted').filter((event) => JSON.stringify(event.data).includes(clientID));
  const refreshes = audit.of('grant.token_refreshed').filter((event) => event.subject === grants[0]?.subject);
  return registered.length === 1 && grants.length === 1 && refreshes.length === 1;
}
