// The MCP conformance suite against the authorization server. The suite plays the app; the person is the test's.
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { listenForBrowser } from '../harness/app.mjs';
import { answer, launch } from '../harness/browser.mjs';
import { Program } from '../harness/process.mjs';
import { Server } from '../harness/server.mjs';

const suite = path.resolve(import.meta.dirname, '../node_modules/@modelcontextprotocol/conformance/dist/index.js');

let server, chromium;

before(async () => {
  server = await Server.start();
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
    assert.deepEqual(await verdicts(results), {
      'authorization-code-grant': 'SUCCESS',
      'authorization-server-metadata': 'SUCCESS',
      'authorization-server-metadata-cimd': 'SUCCESS',
    });
    assert.equal(program.ended, 0, program.stdout + program.stderr);
  });
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

/** What the suite found: the status of each check by its id, and what was wrong. */
async function verdicts(results) {
  const found = {};
  for (const scenario of await readdir(results)) {
    const checks = JSON.parse(await readFile(path.join(results, scenario, 'checks.json'), 'utf8'));
    for (const { id, status, errorMessage } of checks) found[id] = errorMessage ? `${status}: ${errorMessage}` : status;
  }
  return found;
}
