// The MCP conformance suite, unmodified, and what stands between it and the server.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, readdir } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import path from 'node:path';

const home = path.resolve(import.meta.dirname, '../node_modules/@modelcontextprotocol/conformance');

/** The suite's program. */
export const suite = path.join(home, 'dist/index.js');

/** The scenarios that a server must pass for a revision of the specification. */
export async function required(revision) {
  const text = await readFile(path.join(home, 'requirements', revision + '.yaml'), 'utf8');
  const [, list] = text.match(/^server:\n((?: {2}- .*\n)+)/m);
  return list.match(/\S+$/gm);
}

/**
 * What the suite found, by scenario: each check with its id and status, in order. Not its exit code alone is to be
 * believed, for that forgives warnings.
 */
export async function findings(directory) {
  const found = {};
  for (const run of await readdir(directory)) {
    const checks = JSON.parse(await readFile(path.join(directory, run, 'checks.json'), 'utf8'));
    found[run.replace(/^server-/, '').replace(/-\d{4}-\d\d-\d\dT.*$/, '')] = checks;
  }
  return found;
}

/** Fails unless a scenario has checks, and none of them found anything wrong. */
export function clean(checks) {
  assert(checks?.length > 0, 'the scenario was not run');
  const wrong = checks.filter(({ status }) => status !== 'SUCCESS' && status !== 'INFO' && status !== 'SKIPPED');
  assert.deepEqual(wrong.map(({ id, status, errorMessage }) => `${status} ${id}: ${errorMessage}`), []);
  assert(checks.some(({ status }) => status === 'SUCCESS'), 'no check was made');
}

/**
 * A reverse proxy that adds an access token, because the suite has none, and changes nothing else: not the Host, which one
 * scenario forges.
 */
export async function addingToken(server, token) {
  const { hostname, port } = new URL(server);
  const proxy = createServer((from, to) => {
    const headers = { ...from.headers, authorization: `Bearer ${token}` };
    const onward = request({ hostname, port, method: from.method, path: from.url, headers }, (answer) => {
      to.writeHead(answer.statusCode, answer.rawHeaders);
      to.flushHeaders();
      answer.pipe(to);
    });
    onward.on('error', () => to.destroy());
    to.on('close', () => onward.destroy());
    from.pipe(onward);
  });
  proxy.listen(0, 'localhost');
  await once(proxy, 'listening');
  return { url: `http://localhost:${proxy.address().port}`, close: () => proxy.close() };
}
