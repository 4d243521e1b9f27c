// Every tool, those that exist over stdio only among them, driven by foreign clients that check each result against the schema
// published for it: with least and most in it, and refused. The SDKs check results; an independent validator checks them again,
// and the arguments too.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import * as v1 from '@modelcontextprotocol/sdk/client/index.js';
import * as v1http from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import * as v1stdio from '@modelcontextprotocol/sdk/client/stdio.js';
import * as v2 from '@modelcontextprotocol/client';
import * as v2stdio from '@modelcontextprotocol/client/stdio';
import { answer, launch, tokenFor } from '../harness/browser.mjs';
import { desktop } from '../harness/desktop.mjs';
import { Program, binary, until } from '../harness/process.mjs';
import { closed, compile, long, mistakes } from '../harness/schema.mjs';
import { Server, person } from '../harness/server.mjs';

const scopes = ['paput.publish', 'paput.capture'];

let server, chromium, foreign;

before(async () => {
  server = await Server.start({ args: ['--calls-per-second', '0'] });
  chromium = await launch();
  foreign = await ofSomebodyElse();
});

after(async () => {
  await chromium?.close();
  await server?.stop();
});

const legacy = () => new v1.Client({ name: 'e2e-v1', version: '1.0.0' });
const modern = () => new v2.Client({ name: 'e2e-v2', version: '1.0.0' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } });

const ways = [
  { name: 'SDK v1 over HTTP', client: legacy, transport: overHTTP(v1http) },
  { name: 'SDK v2 over HTTP, protocol 2026-07-28', client: modern, transport: overHTTP(v2) },
  { name: 'SDK v1 over stdio', client: legacy, transport: overStdio(v1stdio) },
  { name: 'SDK v2 over stdio, protocol 2026-07-28', client: modern, transport: overStdio(v2stdio) },
];

function overHTTP({ StreamableHTTPClientTransport }) {
  return async (as) => {
    const token = await tokenFor(chromium, server, { scope: scopes.join(' ') }, as);
    return new StreamableHTTPClientTransport(new URL(server.url + '/mcp'), { requestInit: { headers: { authorization: `Bearer ${token}` } } });
  };
}

function overStdio({ StdioClientTransport }) {
  return async (as) => {
    const { env, opened } = await desktop(path.join(server.home, as.email));
    const login = new Program(binary('paput'), ['login', server.url, ...scopes.flatMap((scope) => ['--scope', scope])], { env });
    const page = await chromium.newPage();
    await answer(page, (await until('paput to open the browser', opened))[0], { as });
    assert.equal(await login.end, 0, login.stderr);
    await page.context().close();
    return new StdioClientTransport({ command: binary('paput'), args: ['mcp'], env });
  };
}

/** What this account has is not there for any other. */
async function ofSomebodyElse() {
  const client = legacy();
  await client.connect(await ways[0].transport(person));
  const call = async (name, args) => (await client.callTool({ name, arguments: args })).structuredContent;
  const memo = (await call('paput_create_memos', { memos: [{ title: 'Not yours' }] })).results[0].memo.id;
  const note = (await call('paput_create_note', { title: 'Not yours', memo_ids: [memo] })).note.id;
  const candidate = (await call('paput_add_knowledge_candidates', { candidates: [{ title: 'Nor this' }], source: 'other' })).results[0].id;
  assert(memo && note && candidate);
  await client.close();
  return { memo, note, candidate };
}

/** One account's way through all tools. What cases leave for each other is in its fields. */
class Way {
  static async open({ client, transport }, as) {
    const way = new Way();
    way.client = client();
    await way.client.connect(await transport(as));
    way.tools = new Map((await way.client.listTools()).tools.map((tool) => [tool.name, tool]));
    for (const tool of way.tools.values()) {
      tool.accepts = compile(tool.inputSchema);
      tool.answers = compile(closed(tool.outputSchema));
    }
    return way;
  }

  /** Calls a tool. What comes must be as published, and what goes too unless it is refused. */
  async call(name, args) {
    const tool = this.tools.get(name);
    const result = await this.client.callTool({ name, arguments: args });
    const text = result.content.map((part) => part.text).join('\n');
    const where = `${name} ${JSON.stringify(args).slice(0, 300)}: ${text.slice(0, 600)}`;
    if (result.structuredContent !== undefined) {
      assert(tool.answers(result.structuredContent), `${where}\n${JSON.stringify(tool.answers.errors)}`);
    }
    if (!result.isError) {
      assert(tool.accepts(args), `accepted, although it is not valid: ${where}\n${JSON.stringify(tool.accepts.errors)}`);
      for (const [property, { type }] of Object.entries(tool.outputSchema.properties)) {
        if (type !== 'object') assert(Object.hasOwn(result.structuredContent, property), `${where}\nthere is no ${property}`);
      }
    }
    return { ...result, text, where };
  }

  /** Calls a tool, which must do it, and returns the structured content. */
  async accepts(name, args) {
    const result = await this.call(name, args);
    assert(!result.isError, result.where);
    return result.structuredContent;
  }

  /** Calls a tool, which must refuse, all of it or each item, in words that say what pattern matches. */
  async refuses(name, args, pattern) {
    const { isError, structuredContent, text, where } = await this.call(name, args);
    assert.equal(isError, true, `accepted: ${where}`);
    assert.match(text, pattern, where);
    assert.doesNotMatch(text, /went wrong inside|goroutine|sql|\.go:/i, where);
    for (const item of structuredContent?.results ?? []) {
      assert(item.error?.message, `an item of a refused call has no error: ${where}`);
      assert.match(item.error.code, /^[a-z_]+$/, where);
    }
  }

  /** Makes each mistake that the schema forbids in arguments that are good. */
  async refusesMistakes(name, args) {
    const tool = this.tools.get(name);
    assert(tool.accepts(args), `the example of ${name} is not valid itself`);
    for (const wrong of mistakes(tool.inputSchema, args)) {
      assert(!tool.accepts(wrong.value), `no mistake: ${name} ${JSON.stringify(wrong.value).slice(0, 300)}`);
      await this.refuses(name, wrong.value, new RegExp(`\\b${wrong.name}\\b`));
    }
  }
}

const types = ['knowledge', 'decision', 'operation', 'principle'];
const sources = ['claude', 'codex', 'claude-ai', 'chatgpt', 'other'];
const times = (n, make) => Array.from({ length: n }, (_, i) => make(i));
const names = (n, mark) => times(n, (i) => long(100, `${mark}${i} `));
/** A memo or candidate with as much in each field as it may hold, but for the body. */
const fullest = (i) => ({
  title: long(200, `題${i} `), summary: long(500, `要${i} `), body: long(1000, `# ${i}\n\n`), memo_types: types, categories: names(20, `分類${i}-`),
  projects: names(20, `案件${i}-`),
});
const body = long(200_000, '本文\n');
const unknown = 'memo_' + '0'.repeat(26);

/** Calls many times at once. */
const many = (n, call) => Promise.all(times(n, call));

// For each tool: the least that it can be asked or can answer; an ordinary call, whose arguments it returns; as much as
// possible; and refusals that no schema can express.
const cases = {
  paput_create_memos: {
    async least(w, call) {
      w.bare = (await call({ memos: [{ title: '題' }] })).results[0].memo;
      assert.equal(w.bare.title, '題');
    },
    async usual(w, call) {
      const memo = { title: '認証の方針', body: '不透明なトークン。', memo_types: ['decision'], categories: ['認証'], projects: ['paput'], create_time: '2026-01-31T09:00:00.123456789+09:00' };
      const args = { memos: [memo], idempotency_key: 'k' };
      const first = await call(args);
      assert.deepEqual(await call(args), first);
      w.memo = first.results[0].memo;
      assert.equal(w.memo.create_time, '2026-01-31T00:00:00.123Z');
      return { memos: [{ ...memo, title: 'x' }] };
    },
    async most(w, call) {
      const { results } = await call({ memos: times(100, fullest), idempotency_key: 'k'.repeat(128) });
      for (const [i, { memo }] of results.entries()) {
        const { body: _, ...want } = fullest(i);
        for (const [field, value] of Object.entries(want)) assert.deepEqual(memo[field], value);
      }
      w.full = results.map(({ memo }) => memo.id);
      w.many = [];
      for (let n = 0; n < 4; n++) w.many.push(...(await call({ memos: times(100, (i) => ({ title: `${n} ${i}` })) })).results.map(({ memo }) => memo.id));
      const long = await call({ memos: times(3, () => ({ title: 'Long', body })) });
      w.long = long.results.map(({ memo }) => memo.id);
    },
    async refused(w, refuse) {
      await refuse({ memos: [{ title: ' \u200b ' }] }, /title is empty/);
      await refuse({ memos: [{ title: 'a\nb' }, { title: 'x', categories: [' '] }] }, /one line[^]*categories\[0\] is empty/);
      await refuse({ memos: [{ title: 'x', create_time: '2999-01-01T00:00:00Z' }] }, /create_time/);
      const mixed = await w.call('paput_create_memos', { memos: [{ title: 'x' }, { title: '' }] });
      assert.equal(mixed.isError, true);
      assert.deepEqual(mixed.structuredContent.results.map(({ memo, error }) => [Boolean(memo), error?.code]), [[true, undefined], [false, 'invalid_argument']]);
    },
  },
  paput_update_memo: {
    async least(w, call) {
      assert.equal((await call({ id: w.bare.id, title: w.bare.title })).memo.revision, w.bare.revision);
    },
    async usual(w, call) {
      w.memo = (await call({ id: w.memo.id, etag: w.memo.etag, body: '書き換えた。', categories: [] })).memo;
      assert.deepEqual(w.memo.categories, []);
      return { id: w.memo.id, title: 'x' };
    },
    async most(w, call) {
      const { memo } = await call({ id: w.full[0], ...fullest(0), body });
      assert.equal(memo.body, body);
      assert.equal(memo.revision, 2);
      await many(103, (i) => call({ id: w.full[1], summary: `${i}` }));
    },
    async refused(w, refuse) {
      await refuse({ id: unknown, title: 'x' }, /not found/);
      await refuse({ id: foreign.memo, title: 'x' }, /not found/);
      await refuse({ id: w.memo.id, title: 'x', etag: w.bare.etag + 'stale' }, /etag/);
      await refuse({ id: w.memo.id, from_revision: 99 }, /revision/);
      await refuse({ id: w.memo.id, from_revision: 1, title: 'x' }, /from_revision/);
    },
  },
  paput_restore_memos: {
    least: (w, call) => call({ ids: [w.bare.id] }),
    async usual(w, call) {
      await w.accepts('paput_delete_memos', { ids: [w.memo.id] });
      await call({ ids: [w.memo.id] });
      return { ids: [w.memo.id] };
    },
    async most(w, call) {
      await w.accepts('paput_delete_memos', { ids: w.many.slice(0, 100), confirm: true });
      assert.equal((await call({ ids: w.many.slice(0, 100) })).results.length, 100);
    },
    refused: (w, refuse) => refusesIDs(refuse),
  },
  paput_delete_memos: {
    async least(w, call) {
      const gone = (await w.accepts('paput_create_memos', { memos: [{ title: 'Gone' }] })).results[0].memo.id;
      const once = await call({ ids: [gone] });
      assert.deepEqual(await call({ ids: [gone] }), once);
    },
    async usual(w, call) {
      const gone = (await w.accepts('paput_create_memos', { memos: [{ title: 'Gone' }, { title: 'Gone' }] })).results.map(({ memo }) => memo.id);
      await call({ ids: gone });
      return { ids: gone };
    },
    async most(w, call) {
      assert.equal((await call({ ids: w.many.slice(300), confirm: true })).results.length, 100);
      await w.accepts('paput_restore_memos', { ids: w.many.slice(300) });
    },
    async refused(w, refuse) {
      await refusesIDs(refuse);
      await refuse({ ids: w.many.slice(0, 6) }, /Nothing was done.*confirm: true/);
    },
  },
  paput_publish_memos: {
    async least(w, call) {
      const once = await call({ ids: [w.bare.id], confirm: true });
      assert.deepEqual(await call({ ids: [w.bare.id], confirm: true }), once);
    },
    async usual(w, call) {
      const { results } = await call({ ids: [w.memo.id], confirm: true });
      assert.equal(results[0].public_url, `${server.url}/m/${w.memo.id}`);
      return { ids: [w.memo.id], confirm: true };
    },
    async most(w, call) {
      const { results } = await call({ ids: w.full, confirm: true });
      assert.equal(new Set(results.map(({ public_url }) => public_url)).size, 100);
    },
    async refused(w, refuse) {
      await refusesIDs((args, pattern) => refuse({ ...args, confirm: true }, pattern));
      await refuse({ ids: [w.memo.id] }, /Nothing was done.*confirm: true/);
      await refuse({ ids: [w.memo.id], confirm: false }, /Nothing was done.*confirm: true/);
    },
  },
  paput_unpublish_memos: {
    async least(w, call) {
      const once = await call({ ids: [w.bare.id] });
      assert.deepEqual(await call({ ids: [w.bare.id] }), once);
    },
    async usual(w, call) {
      await call({ ids: [w.memo.id] });
      return { ids: [w.memo.id] };
    },
    most: async (w, call) => assert.equal((await call({ ids: w.full })).results.length, 100),
    refused: (w, refuse) => refusesIDs(refuse),
  },
  paput_create_note: {
    least: async (w, call) => (w.emptyNote = (await call({ title: '空' })).note),
    async usual(w, call) {
      w.note = (await call({ title: '読む順', memo_ids: [w.memo.id, w.bare.id] })).note;
      assert.equal(w.note.memo_count, 2);
      return { title: 'x', memo_ids: [w.memo.id] };
    },
    async most(w, call) {
      const { note, results } = await call({ title: long(200, '全部 '), memo_ids: [...w.full, ...w.many] });
      assert.equal(note.memo_count, 500);
      assert.equal(results.length, 500);
      w.fullNote = note;
      await many(101, (i) => call({ title: `Shelf ${i}` }));
    },
    async refused(w, refuse) {
      await refuse({ title: '\u200b' }, /title/);
      await refuse({ title: 'x', memo_ids: [unknown, foreign.memo] }, /Nothing was done: 2 of 2 failed[^]*not found/);
    },
  },
  paput_update_note: {
    async least(w, call) {
      assert.equal((await call({ id: w.emptyNote.id, title: '空' })).note.etag, w.emptyNote.etag);
    },
    async usual(w, call) {
      w.note = (await call({ id: w.note.id, etag: w.note.etag, memo_ids: [w.bare.id, w.memo.id] })).note;
      return { id: w.note.id, add_memo_ids: [w.memo.id] };
    },
    async most(w, call) {
      assert.equal((await call({ id: w.fullNote.id, title: long(200, '逆 '), memo_ids: [...w.many, ...w.full] })).results.length, 500);
      assert.equal((await call({ id: w.fullNote.id, add_memo_ids: [...w.full, ...w.many] })).note.memo_count, 500);
      assert.equal((await call({ id: w.fullNote.id, remove_memo_ids: [...w.full, ...w.many] })).note.memo_count, 0);
      assert.equal((await call({ id: w.fullNote.id, add_memo_ids: [...w.full, ...w.many] })).note.memo_count, 500);
    },
    async refused(w, refuse) {
      await refuse({ id: foreign.note, title: 'x' }, /not found/);
      await refuse({ id: w.note.id, title: 'x', etag: 'stale' }, /etag/);
      await refuse({ id: w.note.id, memo_ids: [], add_memo_ids: [w.memo.id] }, /memo_ids/);
      await refuse({ id: w.fullNote.id, add_memo_ids: [w.long[0]] }, /500/);
    },
  },
  paput_add_knowledge_candidates: {
    least: async (w, call) => (w.candidate = (await call({ candidates: [{ title: '案' }], source: 'claude-ai' })).results[0].id),
    async usual(w, call) {
      const { results } = await call({
        candidates: [{ title: '認証の方針', body: '書き換えた。さらに。', confidence: 0.5, memo_types: ['decision'] }, { title: 'Another' }], source: 'codex', session_id: 's1',
      });
      w.similar = results[0].id;
      return { candidates: [{ title: 'x' }], source: 'other' };
    },
    async most(w, call) {
      const { results } = await call({ candidates: times(100, (i) => ({ ...fullest(i), title: long(200, `案${i} `), confidence: 1 })), source: 'chatgpt', session_id: long(200) });
      w.candidates = results.map(({ id }) => id);
      const { results: second } = await call({ candidates: [...times(99, (i) => ({ title: `Candidate ${i}`, confidence: 0 })), { title: 'Long', body: long(200_000, '案\n') }], source: 'other' });
      w.more = second.map(({ id }) => id);
    },
    async refused(w, refuse) {
      await refuse({ candidates: [{ title: '案' }], source: 'other' }, /already_exists/);
      await refuse({ candidates: [{ title: 'a\nb' }], source: 'other' }, /title/);
    },
  },
  paput_discard_pending_candidates: {
    async least(w, call) {
      const { results } = await w.accepts('paput_add_knowledge_candidates', { candidates: [{ title: '要らない' }], source: 'other' });
      const once = await call({ ids: [results[0].id] });
      assert.deepEqual(await call({ ids: [results[0].id] }), once);
    },
    async usual(w, call) {
      await call({ ids: [w.similar], reason: '既にある' });
      return { ids: [w.similar], reason: 'x' };
    },
    most: async (w, call) => assert.equal((await call({ ids: w.candidates, reason: long(500) })).results.length, 100),
    refused: (w, refuse) => refusesIDs(refuse),
  },
  paput_save_pending_candidates: {
    async least(w, call) {
      const once = await call({ candidates: [{ id: w.candidate }] });
      assert.deepEqual(await call({ candidates: [{ id: w.candidate }] }), once);
    },
    async usual(w, call) {
      const { results } = await w.accepts('paput_add_knowledge_candidates', { candidates: [{ title: 'To be saved' }], source: 'other' });
      const saved = await call({ candidates: [{ id: results[0].id, title: 'Saved', body: '承認した。' }] });
      const read = await w.accepts('paput_search_memo', { ids: [saved.results[0].memo_id] });
      assert.equal(read.memos[0].title, 'Saved');
      return { candidates: [{ id: results[0].id, title: 'x' }] };
    },
    async most(w, call) {
      const { title, summary, body } = fullest(0);
      assert.equal((await call({ candidates: w.more.map((id) => ({ id, title, summary, body })) })).results.length, 100);
    },
    async refused(w, refuse) {
      await refuse({ candidates: [{ id: foreign.candidate }, { id: unknown }] }, /not found/);
      await refuse({ candidates: [{ id: w.similar }] }, /discarded/);
    },
  },
  paput_mark_processed_sessions: {
    async least(w, call) {
      const once = await call({ source: 'claude', session_ids: ['s'] });
      assert.deepEqual(await call({ source: 'claude', session_ids: ['s'] }), once);
    },
    async usual(w, call) {
      for (const source of sources) await call({ source, session_ids: ['s'] });
      return { source: 'claude', session_ids: ['s'] };
    },
    async most(w, call) {
      w.sessions = times(100, (i) => long(200, `${i} `));
      assert.equal((await call({ source: 'codex', session_ids: w.sessions })).results.length, 100);
    },
    refused: (w, refuse) => refuse({ source: 'claude', session_ids: ['', 'a\nb'] }, /Nothing was done: 2 of 2 failed/),
  },
  paput_update_capture_policy: {
    async least(w, call) {
      assert.equal((await call({ text: '', confirm: true })).policy.text, '');
    },
    async usual(w, call) {
      w.policy = (await call({ text: '決定は残す。', confirm: true })).policy;
      return { text: 'x', confirm: true };
    },
    async most(w, call) {
      const text = long(20_000, '# 方針\n');
      assert.equal((await call({ text, etag: w.policy.etag, confirm: true })).policy.text, text);
    },
    async refused(w, refuse) {
      await refuse({ text: 'x', etag: w.policy.etag, confirm: true }, /etag/);
      await refuse({ text: 'x' }, /Nothing was done.*confirm: true/);
    },
  },
  paput_search_memo: {
    async least(w, call) {
      const { entries, memos, next_page_token } = await call({});
      assert.deepEqual([entries, memos, next_page_token], [[], [], '']);
      assert.notEqual((await call({ query: '何もない' })).hint, undefined);
    },
    async usual(w, call) {
      assert.equal((await call({ query: '書き換えた', page_size: 1 })).entries[0].id, w.memo.id);
      return { query: 'x' };
    },
    async most(w, call) {
      const page = await call({ page_size: 100 });
      assert.equal(page.entries.length, 100);
      assert.equal((await call({ page_size: 100, page_token: page.next_page_token })).entries.length, 100);
      const read = await call({ ids: [...w.long, ...w.full.slice(0, 97)] });
      assert.equal(read.memos.length + read.rest_ids.length, 100);
      assert(read.rest_ids.length > 0, 'there is no bound on what is read at once');
      assert.equal(read.memos[0].body, body);
      await call({
        query: long(500), categories: names(20, '分類1-'), memo_types: types, projects: names(20, '案件1-'), created_after: '0001-01-01T00:00:00Z',
        created_before: '9999-12-31T23:59:59.999999999Z', updated_after: '0001-01-01T00:00:00Z', updated_before: '9999-12-31T23:59:59Z',
        include_deleted: true, is_public: false, page_size: 100,
      });
    },
    async refused(w, refuse) {
      const missing = await w.call('paput_search_memo', { ids: [unknown, foreign.memo] });
      assert.deepEqual([missing.isError, missing.structuredContent.missing_ids], [undefined, [unknown, foreign.memo]]);
      await refuse({ ids: [w.memo.id], query: 'x' }, /ids/);
      await refuse({ page_token: 'x' }, /page_token/);
    },
  },
  paput_get_memo_history: {
    async least(w, call) {
      const { results } = await w.accepts('paput_create_memos', { memos: [{ title: 'History' }] });
      const { revisions } = await call({ id: results[0].memo.id });
      assert.deepEqual(revisions.map(({ action }) => action), ['created']);
    },
    async usual(w, call) {
      assert.equal((await call({ id: w.memo.id, revision: 1 })).revisions[0].memo.body, '不透明なトークン。');
      return { id: w.memo.id };
    },
    async most(w, call) {
      const page = await call({ id: w.full[1], page_size: 100 });
      assert.equal(page.revisions.length, 100);
      await call({ id: w.full[1], page_size: 100, page_token: page.next_page_token });
      assert.equal((await call({ id: w.full[0], revision: 2 })).revisions[0].memo.body, body);
    },
    async refused(w, refuse) {
      await refuse({ id: foreign.memo }, /not found/);
      await refuse({ id: w.memo.id, revision: 2_147_483_647 }, /revision/);
      await refuse({ id: w.memo.id, page_token: 'x' }, /page_token/);
    },
  },
  paput_get_categories: {
    least: async (w, call) => assert.deepEqual((await call({})).categories, []),
    async usual(w, call) {
      await w.accepts('paput_create_memos', { memos: [{ title: 'Filed', categories: ['Go', 'go', '認証'] }] });
      assert.deepEqual((await call({})).categories.map(({ name }) => name).sort(), ['Go', '認証']);
      return {};
    },
    async most(w, call) {
      const page = await call({});
      assert.equal(page.categories.length, 100);
      assert.equal((await call({ page_token: page.next_page_token })).categories.length, 100);
    },
    refused: (w, refuse) => refuse({ page_token: 'x' }, /page_token/),
  },
  paput_search_notes: {
    least: async (w, call) => assert.deepEqual((await call({})).notes, []),
    async usual(w, call) {
      assert.equal((await call({ query: '順' })).notes[0].id, w.note.id);
      return { query: 'x' };
    },
    async most(w, call) {
      const page = await call({ page_size: 100 });
      assert.equal(page.notes.length, 100);
      await call({ page_size: 100, page_token: page.next_page_token });
      await call({ query: long(500) });
    },
    refused: (w, refuse) => refuse({ page_token: 'x' }, /page_token/),
  },
  paput_get_note: {
    async least(w, call) {
      const { note } = await w.accepts('paput_create_note', { title: 'Empty' });
      assert.deepEqual((await call({ id: note.id })).memos, []);
    },
    async usual(w, call) {
      assert.deepEqual((await call({ id: w.note.id })).memos.map(({ id }) => id), [w.bare.id, w.memo.id]);
      return { id: w.note.id };
    },
    async most(w, call) {
      let page = { next_page_token: undefined };
      for (let n = 0; n < 5; n++) {
        page = await call({ id: w.fullNote.id, page_size: 100, ...(page.next_page_token && { page_token: page.next_page_token }) });
        assert.equal(page.memos.length, 100);
      }
      assert.equal(page.next_page_token, '');
    },
    async refused(w, refuse) {
      await refuse({ id: foreign.note }, /not found/);
      await refuse({ id: w.note.id, page_token: 'x' }, /page_token/);
    },
  },
  paput_list_pending_candidates: {
    least: async (w, call) => assert.deepEqual((await call({})).candidates, []),
    async usual(w, call) {
      assert.equal((await call({ status: 'discarded' })).candidates[0].id, w.similar);
      assert.deepEqual((await call({ ids: [w.similar, unknown, foreign.candidate] })).missing_ids, [unknown, foreign.candidate]);
      return { status: 'pending' };
    },
    async most(w, call) {
      const { candidates } = await call({ ids: w.candidates });
      assert.deepEqual(candidates.map(({ id }) => id), w.candidates);
      const page = await call({ status: 'discarded' });
      await call({ status: 'discarded', page_token: page.next_page_token });
    },
    async refused(w, refuse) {
      await refuse({ ids: [w.similar], status: 'saved' }, /ids/);
      await refuse({ page_token: 'x' }, /page_token/);
    },
  },
  paput_list_processed_sessions: {
    least: async (w, call) => assert.deepEqual((await call({})).sessions, []),
    async usual(w, call) {
      assert.equal((await call({ session_ids: ['s', 'never'] })).sessions.length, sources.length);
      return { session_ids: ['s'] };
    },
    async most(w, call) {
      const page = await call({ session_ids: w.sessions });
      await call({ session_ids: w.sessions, page_token: page.next_page_token });
    },
    refused: (w, refuse) => refuse({ page_token: 'x' }, /page_token/),
  },
  paput_get_capture_policy: {
    least: async (w, call) => assert.equal((await call({})).policy.text, ''),
    async usual(w, call) {
      assert.equal((await call({})).policy.text, '決定は残す。');
      return {};
    },
    most: async (w, call) => assert.equal([...(await call({})).policy.text].length, 20_000),
    refused: () => {},
  },
  paput_get_discard_policy_context: {
    least: async (w, call) => assert.deepEqual((await call({})).discards, []),
    async usual(w, call) {
      assert.equal((await call({})).discards[0].reason, '既にある');
      return {};
    },
    async most(w, call) {
      const { discards } = await call({});
      assert(discards.length > 1 && discards.every(({ reason }) => reason === long(500)));
    },
    refused: () => {},
  },
};

/** What every tool that takes ids says of those that are nobody's and of those that are somebody else's. */
async function refusesIDs(refuse) {
  await refuse({ ids: [unknown, ...Object.values(foreign)] }, /Nothing was done: 4 of 4 failed[^]*not found/);
}

for (const [index, kind] of ways.entries()) {
  test(`${kind.name}: every tool keeps to its schemas`, { timeout: 240_000 }, async () => {
    const as = { ...person, email: `tools${index}@example.com` };
    await server.addAccount(as);
    const w = await Way.open(kind, as);
    const usual = {};
    try {
      assert.deepEqual([...w.tools.keys()].sort(), Object.keys(cases).sort(), 'the tools are not those that have cases');
      // An account has nothing before something is written, and something to read only afterwards.
      const reads = Object.keys(cases).filter((name) => w.tools.get(name).annotations.readOnlyHint);
      const writes = Object.keys(cases).filter((name) => !reads.includes(name));
      const phase = async (what, order, drive) => {
        for (const name of order) {
          await drive(name).catch((error) => {
            error.message = `${name}, ${what}: ${error.message}`;
            throw error;
          });
        }
      };
      const accepting = (name) => (args) => w.accepts(name, args);
      await phase('the least', [...reads, ...writes], async (name) => cases[name].least(w, accepting(name)));
      await phase('the usual', [...writes, ...reads], async (name) => (usual[name] = await cases[name].usual(w, accepting(name))));
      await phase('the most', [...writes, ...reads], async (name) => cases[name].most(w, accepting(name)));
      await phase('what is refused', [...writes, ...reads], async (name) => {
        await cases[name].refused(w, (args, pattern) => w.refuses(name, args, pattern));
        await w.refusesMistakes(name, usual[name]);
      });
    } finally {
      await w.client.close();
    }
  });
}
