// The server is killed, and later stopped for longer than a token lives, and started again on the same data and port. Clients
// that were at work go on where they were, and nobody has to log in.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import * as v1 from '@modelcontextprotocol/sdk/client/index.js';
import * as v1http from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import * as v2 from '@modelcontextprotocol/client';
import * as v2stdio from '@modelcontextprotocol/client/stdio';
import { Keyring, listenForBrowser } from '../harness/app.mjs';
import { answer, launch } from '../harness/browser.mjs';
import { desktop } from '../harness/desktop.mjs';
import { Program, binary, until } from '../harness/process.mjs';
import { Server } from '../harness/server.mjs';

const modules = path.resolve(import.meta.dirname, '../node_modules');
const name = 'e2e restart';

let server, audit, chromium;

before(async () => {
  server = await Server.start({ args: ['--access-token-ttl', '1m'] });
  chromium = await launch();
  audit = server.audit();
});

after(async () => {
  for (const { close } of Object.values(logged)) await close();
  await chromium?.close();
  await audit?.stop();
  await server?.stop();
});

/** Answers, as the person, whoever wants to be let in at this URL. */
async function letIn(url) {
  const page = await chromium.newPage();
  const query = await answer(page, url);
  await page.getByText(/close|successful|complete/i).first().waitFor();
  await page.context().close();
  return query;
}

/** A client of an SDK, which leaves the browser to the test. */
async function sdk({ client, transport, finish }) {
  const browser = await listenForBrowser();
  const keyring = new Keyring(browser.redirect, name);
  const open = () => transport(new URL(server.url + '/mcp'), { authProvider: keyring });
  const stranger = open();
  await assert.rejects(client().connect(stranger), /unauthorized/i);
  await finish(stranger, await letIn(keyring.authorizationURL));
  keyring.authorizationURL = undefined;
  const one = client();
  await one.connect(open());
  return {
    client: one,
    list: async () => (await one.listTools()).tools,
    call: async (tool, args) => (await one.callTool({ name: tool, arguments: args })).structuredContent,
    askedAgain: async () => keyring.authorizationURL,
    close: async () => (await one.close(), browser.close()),
  };
}

const modern = () => new v2.Client({ name, version: '1.0.0' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } });

/** What a client of SDK v2 does, and what it was told since it was last asked. */
function listener(client) {
  let updates = [];
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => updates.push(params.uri));
  return {
    listen: async (uri) => {
      updates = [];
      const stream = await client.listen({ resourceSubscriptions: [uri] });
      assert.deepEqual(stream.honoredFilter.resourceSubscriptions, [uri]);
      return stream;
    },
    heard: () => updates,
    forget: () => { updates = []; },
  };
}

const clients = {
  'SDK v1': () => sdk({
    client: () => new v1.Client({ name, version: '1.0.0' }),
    transport: (url, options) => new v1http.StreamableHTTPClientTransport(url, options),
    finish: (transport, query) => transport.finishAuth(query.get('code')),
  }),

  // It does not listen again by itself, as its documentation says, but tells its owner how the stream ended. SDK v1 and
  // mcp-remote listen to nothing: they do not speak 2026-07-28, before which the server has no stream for updates.
  'SDK v2': async () => {
    const app = await sdk({
      client: modern,
      transport: (url, options) => new v2.StreamableHTTPClientTransport(url, options),
      finish: (transport, query) => transport.finishAuth(query),
    });
    const { listen, heard } = listener(app.client);
    app.listen = async (uri) => {
      const stream = await listen(uri);
      return { heard, over: async (signal) => assert.equal(await stream.closed, signal === 'SIGTERM' ? 'graceful' : 'remote') };
    };
    return app;
  },

  'mcp-remote': async () => {
    const home = path.join(server.home, 'remote');
    const { env, opened } = await desktop(home);
    env.MCP_REMOTE_CONFIG_DIR = path.join(home, 'config');
    const transport = new StdioClientTransport({
      command: process.execPath, args: [path.join(modules, 'mcp-remote/dist/proxy.js'), server.url + '/mcp', '--auth-timeout', '120'], env, stderr: 'pipe',
    });
    transport.stderr.resume();
    const client = new v1.Client({ name, version: '1.0.0' });
    const connected = client.connect(transport, { timeout: 150_000 });
    connected.catch(() => {}); // whoever waits for it is told
    await letIn((await until('mcp-remote to open the browser', opened))[0]);
    await connected;
    return {
      list: async () => (await client.listTools()).tools,
      call: async (tool, args) => (await client.callTool({ name: tool, arguments: args })).structuredContent,
      askedAgain: async () => (await opened()).length > 1,
      close: () => client.close(),
    };
  },

  // paput itself, over stdio. What it tells of goes on by itself, and after a gap it says that all may have changed.
  paput: async () => {
    const { env, opened } = await desktop(path.join(server.home, 'paput'));
    const login = new Program(binary('paput'), ['login', server.url], { env });
    await letIn((await until('paput to open the browser', opened))[0]);
    assert.equal(await login.end, 0, login.stderr);
    const client = modern();
    await client.connect(new v2stdio.StdioClientTransport({ command: binary('paput'), args: ['mcp'], env, stderr: 'ignore' }));
    const { listen, heard, forget } = listener(client);
    let stream;
    return {
      list: async () => (await client.listTools()).tools,
      call: async (tool, args) => (await client.callTool({ name: tool, arguments: args })).structuredContent,
      listen: async (uri) => {
        if (stream) {
          await until('paput to go on telling', () => heard().length > 0);
          await stream.close();
        }
        stream = await listen(uri);
        return { heard, over: forget };
      },
      askedAgain: async () => (await opened()).length > 1,
      close: () => client.close(),
    };
  },

  // The Inspector's mcpdo, whose connection is held by a daemon. Its command that listens ends with the stream.
  Inspector: async () => {
    const { env } = await desktop(path.join(server.home, 'inspector'));
    const { redirect, close } = await listenForBrowser();
    close();
    Object.assign(env, { MCP_OAUTH_CALLBACK_URL: redirect, MCP_INSPECTOR_SECRET_STORE: 'file' });
    const mcpdo = (...args) => new Program(path.join(modules, '.bin/mcpdo'), ['--format', 'json', ...args], { env });
    const result = async (...args) => {
      const program = mcpdo(...args);
      assert.equal(await program.end, 0, program.stderr);
      return JSON.parse(program.stdout);
    };
    const stop = () => mcpdo('daemon', 'stop').end;
    try {
      const { name: connection, authUrl } = await result('connect', server.url + '/mcp', '--era', 'modern');
      await letIn(authUrl);
      return {
        list: async () => (await result('tools/list', '--connection', connection)).tools,
        call: async (tool, args) => (await result('tools/call', tool, JSON.stringify(args), '--connection', connection)).structuredContent,
        listen: async (uri) => {
          const program = mcpdo('resources/subscribe', uri, '--connection', connection);
          await program.printed(/"subscribed"/);
          const heard = () => [...program.stdout.matchAll(/"resources\/updated",\s*"uri": "([^"]*)"/g)].map(([, uri]) => uri);
          return { heard, over: () => program.end };
        },
        askedAgain: async () => (await result('connections/list')).connections[0].pendingAuth,
        close: stop,
      };
    } catch (error) {
      await stop();
      throw error;
    }
  },
};

/** The clients that are logged in, and what each wrote last: its id and its title. */
const logged = {};
const wrote = {};

async function write(kind, title) {
  const { results } = await logged[kind].call('paput_create_memos', { memos: [{ title: `${kind}: ${title}`, body: title }] });
  wrote[kind] = results[0].memo;
}

async function readBack(kind) {
  const { memos } = await logged[kind].call('paput_search_memo', { ids: [wrote[kind].id] });
  assert.deepEqual(memos.map(({ title }) => title), [wrote[kind].title]);
}

/** Listens to what this client wrote, and is told when somebody else changes it. */
async function hear(kind, change) {
  const app = logged[kind];
  const uri = `memo://${wrote[kind].id}`;
  app.stream = await app.listen(uri);
  ({ memo: wrote[kind] } = await logged['SDK v1'].call('paput_update_memo', { id: wrote[kind].id, title: `${kind}: ${change}` }));
  await until('the update', () => app.stream.heard().length > 0);
  assert.deepEqual(app.stream.heard(), [uri]);
}

const kinds = Object.keys(clients);
const refreshes = () => audit.of('grant.token_refreshed');

for (const kind of kinds) {
  test(`${kind}: log in, list, write`, { timeout: 120_000 }, async () => {
    logged[kind] = await clients[kind]();
    assert((await logged[kind].list()).some((tool) => tool.name === 'paput_create_memos'));
    await write(kind, '初め');
    if (logged[kind].listen) await hear(kind, '聞こえる');
  });
}

for (const { signal, pause } of [
  { signal: 'SIGKILL', pause: 0 },
  { signal: 'SIGTERM', pause: 61_000 },
]) {
  test(`all go on after ${signal}`, { timeout: 150_000 }, async (t) => {
    const before = refreshes().length;
    await server.restart(signal, async () => {
      for (const kind of kinds) {
        await assert.rejects(readBack(kind), `${kind} reads although there is no server`);
        await logged[kind].stream?.over(signal);
      }
      await new Promise((wake) => setTimeout(wake, pause));
    });
    for (const kind of kinds) {
      await t.test(`${kind}: go on after ${signal}`, async () => {
        await readBack(kind);
        await write(kind, signal);
        await readBack(kind);
        if (logged[kind].listen) await hear(kind, `聞こえる ${signal}`);
        assert(!(await logged[kind].askedAgain()), 'the person was asked again');
      });
    }
    if (pause > 0) {
      await until('each to have refreshed', () => new Set(refreshes().slice(before).map(({ subject }) => subject)).size === kinds.length);
    }
    assert.equal(audit.of('grant.consent_granted').length, kinds.length);
    assert.equal(audit.of('client.registered').length, kinds.length);
  });
}
