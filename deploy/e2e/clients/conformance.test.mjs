// The MCP conformance suite: as an app against the authorization server, and as a client against the MCP endpoint in both
// eras of the protocol, every scenario that the suite scores. The person is the test's.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { listenForBrowser } from '../harness/app.mjs';
import { answer, launch, tokenFor } from '../harness/browser.mjs';
import { addingToken, clean, findings, required, suite } from '../harness/conformance.mjs';
import { Program } from '../harness/process.mjs';
import { Server } from '../harness/server.mjs';

let server, chromium;

before(async () => {
  server = await Server.start({ fixtures: true });
  chromium = await launch();
});

after(async () => {
  await chromium?.close();
  await server?.stop();
});

for (const endpoint of ['', '/mcp']) {
  test(`authorization for ${endpoint || 'the root'}`, { timeout: 120_000 }, async () => {
    const redirect = await freeRedirect();
    const results = path.join(server.home, 'conformance' + endpoint);
    const program = new Program(process.execPath, [
      suite, 'authorization', '--url', server.url, '--client-id', await register(redirect), '--resource', server.url + endpoint,
      '--port', new URL(redirect).port, '--output-dir', results,
    ]);
    const person = await chromium.newPage();
    try {
      const [url] = await program.printed(/^http\S+\/authorize\?\S+$/m);
      assert.equal(new URL(url).searchParams.get('resource'), server.url + endpoint);
      await answer(person, url);
      await program.end;
    } finally {
      await person.context().close();
      await program.stop();
    }
    // Not the exit code alone: it forgives warnings and skipped checks.
    const found = Object.values(await findings(results)).flat();
    const verdicts = found.map(({ id, status, errorMessage }) => [id, errorMessage ? `${status}: ${errorMessage}` : status]);
    assert.deepEqual(Object.fromEntries(verdicts), {
      'authorization-code-grant': 'SUCCESS',
      'authorization-server-metadata': 'SUCCESS',
      'authorization-server-metadata-cimd': 'SUCCESS',
    });
    assert.equal(program.ended, 0, program.stdout + program.stderr);
  });
}

for (const { revision, count } of [{ revision: '2025-11-25', count: 30 }, { revision: '2026-07-28', count: 37 }]) {
  for (const endpoint of ['', '/mcp']) {
    test(`a server of ${revision} at ${endpoint || 'the root'}`, { timeout: 180_000 }, async (t) => {
      const results = path.join(server.home, revision + endpoint);
      const proxy = await addingToken(server.url, await tokenFor(chromium, server, { resource: server.url + endpoint }));
      const program = new Program(process.execPath, [
        suite, 'server', '--url', proxy.url + endpoint, '--requirements', revision, '--output-dir', results,
      ]);
      try {
        await program.end;
      } finally {
        await program.stop();
        proxy.close();
      }
      const scenarios = await required(revision);
      assert.equal(scenarios.length, count);
      const found = await findings(results);
      for (const scenario of scenarios) await t.test(`${revision}${endpoint} ${scenario}`, () => clean(found[scenario]));
      assert.equal(program.ended, 0, program.stdout + program.stderr);
    });
  }
}

/** The suite's redirect URI at a port that nothing listens on. */
async function freeRedirect() {
  const { redirect, close } = await listenForBrowser();
  close();
  return redirect;
}

/** Registers the app that the suite plays and returns its id. */
async function register(redirect) {
  const response = await fetch(server.url + '/register', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_name: 'Conformance', redirect_uris: [redirect], token_endpoint_auth_method: 'none' }),
  });
  assert.equal(response.status, 201);
  return (await response.json()).client_id;
}
