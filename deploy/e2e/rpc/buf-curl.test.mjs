// The RPCs, called by a client that knows nothing but the address and asks the server for the rest by reflection: buf curl,
// in each of the three protocols on the one port.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { launch, tokenFor } from '../harness/browser.mjs';
import { run } from '../harness/process.mjs';
import { Server } from '../harness/server.mjs';

const root = path.resolve(import.meta.dirname, '../../..');
const memos = 'paput.memo.v1.MemoService';

// buf curl ends with the gRPC code times eight.
const code = { invalid_argument: 3 * 8, not_found: 5 * 8, permission_denied: 7 * 8, unauthenticated: 16 * 8 };

const buf = (...args) => run('go', ['tool', '-modfile=deploy/tools/go.mod', 'buf', ...args], { cwd: root, fails: true });

let server, token;

before(async () => {
  await buf('--version'); // builds it, which may take its time
  server = await Server.start();
  const chromium = await launch();
  token = await tokenFor(chromium, server).finally(() => chromium.close());
  assert(token);
}, { timeout: 290_000 });

after(() => server?.stop());

/** Calls an RPC; the result has the exit code, the answer, and what was said on standard error. */
async function call(protocol, method, request, { as = token } = {}) {
  const args = ['curl', '--protocol', protocol, '--http2-prior-knowledge', '--data', JSON.stringify(request), server.url + '/' + method];
  if (as) args.push('--header', `Authorization: Bearer ${as}`);
  const { code, stdout, stderr } = await buf(...args);
  return { code, stderr, answer: code === 0 ? JSON.parse(stdout) : undefined };
}

test('reflection lists the services that are meant for clients, and no other', { timeout: 120_000 }, async () => {
  const { code, stdout, stderr } = await buf('curl', '--http2-prior-knowledge', '--list-services', server.url);
  assert.equal(code, 0, stderr);
  const services = stdout.trim().split('\n').sort();
  for (const name of [memos, 'paput.account.v1.AccountService', 'paput.oauth.v1.OAuthService', 'grpc.health.v1.Health']) {
    assert(services.includes(name), `${name} is not among ${services}`);
  }
  assert(!services.some((name) => name.includes('Admin')), `administration is among ${services}`);
});

for (const protocol of ['grpc', 'grpcweb', 'connect']) {
  test(`${protocol}: create, search, read back, and be refused`, { timeout: 120_000 }, async () => {
    const body = `${protocol} で書いたメモ。Written by buf curl.`;
    const created = await call(protocol, memos + '/CreateMemos', { memos: [{ title: `buf curl ${protocol}`, body, memoTypes: ['knowledge'] }] });
    assert.equal(created.code, 0, created.stderr);
    const { id } = created.answer.results[0].memo;
    assert.match(id, /^memo_[0-9a-z]{26}$/);
    const found = await call(protocol, memos + '/SearchMemos', { query: '書いたメモ' });
    assert(found.answer.entries.some((entry) => entry.id === id), found.stderr);
    const read = await call(protocol, memos + '/SearchMemos', { ids: [id] });
    assert.equal(read.answer.memos[0].body, body);

    const refused = await call(protocol, memos + '/ListMemoRevisions', { id: 'memo_x' });
    assert.equal(refused.code, code.not_found, refused.stderr);
    assert.match(refused.stderr, /memo_x not found; search first/);
    const invalid = await call(protocol, memos + '/SearchMemos', { pageSize: 101 });
    assert.equal(invalid.code, code.invalid_argument, invalid.stderr);
    assert.match(invalid.stderr, /page_size is 101, at most 100/);
    const stranger = await call(protocol, memos + '/SearchMemos', {}, { as: null });
    assert.equal(stranger.code, code.unauthenticated, stranger.stderr);
    const forged = await call(protocol, memos + '/SearchMemos', {}, { as: 'paput_at_' + 'a'.repeat(43) });
    assert.equal(forged.code, code.unauthenticated, forged.stderr);
  });

  test(`${protocol}: health`, { timeout: 120_000 }, async () => {
    for (const service of ['', memos]) {
      const health = await call(protocol, 'grpc.health.v1.Health/Check', { service }, { as: null });
      assert.deepEqual(health.answer, { status: 'SERVING' }, health.stderr);
    }
    const unknown = await call(protocol, 'grpc.health.v1.Health/Check', { service: 'no.such.Service' }, { as: null });
    assert.equal(unknown.code, code.not_found, unknown.stderr);
  });
}

test('a token says whose it is', { timeout: 120_000 }, async () => {
  const { answer: account } = await call('grpc', 'paput.account.v1.AccountService/GetAccount', {});
  assert.equal(account.account.email, 'aiko@example.com');
  const { answer: told } = await call('connect', 'paput.oauth.v1.OAuthService/GetToken', {});
  assert.deepEqual(told.scopes.sort(), ['paput.read', 'paput.write']);
  assert.equal(told.resource, server.url);
});
