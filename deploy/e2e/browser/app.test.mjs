// The MCP App, as a host shows it: the specification's bridge and a real client between a real page and the real server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { App } from '../harness/app.mjs';
import { answer, launch, picture } from '../harness/browser.mjs';
import { Host, connect } from '../harness/host.mjs';
import { until } from '../harness/process.mjs';
import { Server, person } from '../harness/server.mjs';

const search = 'paput_search_memo';
const list = 'paput_list_pending_candidates';
const save = 'paput_save_pending_candidates';
const discard = 'paput_discard_pending_candidates';

let server, chromium;

before(async () => {
  server = await Server.start();
  chromium = await launch();
});

after(async () => {
  await chromium?.close();
  await server?.stop();
});

const words = {
  en: {
    locale: 'en-GB', waiting: (n) => `Memos to approve (${n})`, memos: (n, more) => `Memos (${n}${more ? '+' : ''})`, approve: 'Approve', cancel: 'Cancel', why: 'Why?', discard: 'Discard', read: 'Read', hide: 'Hide',
    more: 'Show more', reload: 'Reload', saved: 'Approved: it is a memo now.', discarded: 'Discarded.', only: 'only you approve memos', readOnly: 'You can read these here',
    failed: 'Nothing was changed.', unsure: 'There was no answer.', nothing: 'Nothing is waiting', noMemos: 'No memos were found.', sure: '82% sure', decision: 'Decision', lost: 'This could not be loaded.',
  },
  ja: {
    locale: 'ja-JP', waiting: (n) => `承認を待つメモ（${n} 件）`, memos: (n, more) => `メモ（${n} 件${more ? '以上' : ''}）`, approve: '承認', cancel: 'キャンセル', why: '理由', discard: '破棄', read: '読む', hide: '閉じる',
    more: 'さらに表示', reload: '再読み込み', saved: '承認し、メモとして保存しました。', discarded: '破棄しました。', only: 'あなただけがメモを承認できます', readOnly: 'ここでは読むことだけができます',
    failed: '変更されていません。', unsure: '応答がありませんでした。', nothing: '承認を待つメモはありません', noMemos: 'メモは見つかりませんでした。', sure: '確信度 82%', decision: '決定', lost: '読み込めませんでした。',
  },
};
const looks = { en: { theme: 'light', mode: 'legacy' }, ja: { theme: 'dark', mode: { pin: '2026-07-28' } } };

/** A person of their own, and a token for a URL of the server with scopes. */
async function newcomer(name) {
  const as = { ...person, email: `${name}@example.com` };
  await server.addAccount(as);
  const context = await chromium.newContext();
  const token = async (scope, resource = server.url) => {
    const app = await App.register(server, 'Test host');
    try {
      const query = await answer(await context.newPage(), await app.authorizationURL({ scope, resource }), { as, tick: scope.split(' ') });
      return (await app.redeem(query.get('code'))).access_token;
    } finally {
      app.close();
    }
  };
  return { token };
}

/** The schema of any answer. */
const anything = { '~standard': { version: 1, vendor: 'e2e', validate: (value) => ({ value }) } };

const drafts = [
  { title: '認証トークンは 15 分で失効させる', body: '## 決めたこと\n\n漏れたときの被害を小さくする。\n', summary: '短くする理由と、更新のしかた。', memo_types: ['decision'], categories: ['認証', 'OAuth'], projects: ['paput'], confidence: 0.82 },
  { title: 'Deploy on Tuesdays, never before a holiday', body: 'Whoever deploys stays for two hours.', summary: 'When we deploy, and who watches.', memo_types: ['operation'], categories: ['Ops'] },
  { title: 'Keep the log append-only', body: 'Everything else can be made again from it.' },
];

/** Proposes memos as an assistant does, and returns their ids by their titles. */
async function propose(client, candidates = drafts) {
  const { structuredContent } = await client.callTool({ name: 'paput_add_knowledge_candidates', arguments: { source: 'codex', candidates } });
  assert.deepEqual(structuredContent.results.map(({ error }) => error), candidates.map(() => undefined));
  return Object.fromEntries(structuredContent.results.map(({ id }, i) => [candidates[i].title, id]));
}

/** The candidates with a status, by their titles, as another client of the person sees them. */
async function titles(client, status) {
  const { structuredContent } = await client.callTool({ name: list, arguments: { status } });
  return structuredContent.candidates.map(({ title }) => title).sort();
}

async function open({ locale, width = 640, ...options }, ...show) {
  const context = await chromium.newContext({ locale, viewport: { width, height: 800 }, ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on('console', (message) => message.type() === 'error' && page.complaints.push(message.text()));
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  const host = await Host.show(page, ...show);
  await host.frame.locator('h1, .fault').first().waitFor();
  return host;
}

const card = (host, title) => host.frame.locator('.card', { has: host.frame.getByRole('heading', { level: 2, name: title, exact: true }) });
const button = (host, title, name) => card(host, title).getByRole('button', { name: `${name} ${title}`, exact: true });
const said = (host) => host.frame.getByRole('status').textContent();
const focused = (host) => host.frame.evaluate(() => ({ text: document.activeElement.textContent, ring: document.activeElement.matches(':focus-visible') }));

/** Checks what the app must be whatever it shows, takes its picture, and closes it. */
async function inspect(host, language, name) {
  const found = await host.frame.evaluate(() => {
    const name = (e) => (e.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent).join(' ').trim() || e.textContent.trim();
    const channels = (color) => color.match(/[\d.]+/g).map(Number);
    const luminance = (color) => channels(color).slice(0, 3).map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (e) => {
      const color = getComputedStyle(e).backgroundColor;
      return channels(color)[3] === 0 ? ground(e.parentElement) : color;
    };
    const contrast = (e) => {
      const [dark, light] = [luminance(getComputedStyle(e).color), luminance(ground(e))].sort((a, b) => a - b);
      return (light + 0.05) / (dark + 0.05);
    };
    const all = [...document.querySelectorAll('body *')];
    const ids = all.map((e) => e.id).filter(Boolean);
    return {
      language: document.documentElement.lang,
      h1: document.querySelectorAll('h1').length, main: document.querySelectorAll('main').length, status: document.querySelectorAll('[role=status]').length,
      doubled: ids.filter((id, i) => ids.indexOf(id) !== i),
      unnamed: [...document.querySelectorAll('button, [role=region]')].filter((e) => !name(e)).map((e) => e.outerHTML),
      unlabelled: [...document.querySelectorAll('input')].filter((e) => !e.labels[0]?.textContent).length,
      small: [...document.querySelectorAll('button')].filter((e) => Math.min(e.getBoundingClientRect().height, e.getBoundingClientRect().width) < 24).map(name),
      pale: all.filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) && e.tagName !== 'SCRIPT' && contrast(e) < 4.5).map((e) => `${e.textContent} ${contrast(e)}`),
      moving: document.getAnimations().length + all.filter((e) => getComputedStyle(e).transitionDuration !== '0s' || getComputedStyle(e).scrollBehavior !== 'auto').length,
      made: document.querySelectorAll('img, a, iframe, form, object, embed, link, body style, body script:not(:last-child)').length,
      pwned: globalThis.pwned, title: document.title,
    };
  });
  assert.deepEqual(found, {
    language, h1: Math.min(found.h1, 1), main: 1, status: 1, doubled: [], unnamed: [], unlabelled: 0, small: [], pale: [], moving: 0, made: 0, pwned: undefined, title: 'Paput',
  });
  const look = async (width, name) => {
    await host.fit(width);
    await picture(host.page, name);
  };
  await look(640, `app-${name}-${language}`);
  await look(320, `app-${name}-${language}-320`);
  const overflow = await host.frame.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert(overflow <= 0, `${overflow} pixels to scroll sideways at a width of 320`);
  assert.deepEqual(await host.violations(), [], 'the policy refused something');
  assert.deepEqual(host.requests, [], 'the app asked the network for something');
  assert.deepEqual(host.page.complaints, [], 'the browser complains');
  assert.deepEqual(await host.bridge.teardownResource({}), {});
  await host.page.context().close();
}

for (const language of ['en', 'ja']) {
  const say = words[language];
  const { theme, mode } = looks[language];
  const context = { theme, locale: say.locale };

  test(`${language}, ${theme}: approve one, discard one, leave one`, { timeout: 120_000 }, async () => {
    const { token } = await newcomer(`decide-${language}`);
    const client = await connect(server.url + '/mcp', await token('paput.read paput.write'), mode);
    await propose(client);
    const [first, second, third] = drafts.map(({ title }) => title);
    const host = await open({ locale: 'fr-FR' }, client, list, {}, { context });
    await host.frame.getByRole('heading', { level: 1, name: say.waiting(3), exact: true }).waitFor();
    assert.deepEqual(await card(host, first).locator('li').allTextContents(), [say.decision, '認証', 'OAuth', 'paput', say.locale === 'en-GB' ? 'Proposed by codex' : '提案元：codex', say.sure]);

    // What is to be approved can be read first.
    await button(host, first, say.read).click();
    await card(host, first).getByRole('region').getByText('漏れたときの被害を小さくする。').waitFor();
    assert.equal(await button(host, first, say.hide).getAttribute('aria-expanded'), 'true');
    await button(host, first, say.hide).click();
    await card(host, first).getByRole('region').waitFor({ state: 'detached' });

    // By keyboard, and with a key that is held down. The last added comes first: third, second, first.
    await button(host, second, say.approve).focus();
    await host.page.keyboard.down('Enter');
    await card(host, second).getByText(say.saved).waitFor();
    for (let i = 0; i < 5; i++) await host.page.keyboard.down('Enter');
    await host.page.keyboard.up('Enter');
    assert.deepEqual(await focused(host), { text: first, ring: true }, 'the focus is on what is next');
    assert.equal(await said(host), `${say.saved} ${second}`);
    assert.equal(await card(host, second).getByRole('button').count(), 1, 'there is nothing more to decide, only to read');

    // By a mouse: the second of two clicks is not meant for what has come under it meanwhile.
    await button(host, first, say.approve).dispatchEvent('click', { detail: 2 });
    await button(host, third, say.discard).dblclick();
    const why = card(host, third).getByLabel(say.why);
    await why.waitFor();
    await button(host, third, say.cancel).click();
    assert.equal((await focused(host)).text, say.discard);
    await button(host, third, say.discard).click();
    assert.equal(await why.evaluate((field) => field === document.activeElement), true, 'the reason can be written at once');
    await host.page.keyboard.type(' 決まりきったこと <b> ');
    await picture(host.page, `app-why-${language}`);
    await button(host, third, say.discard).dblclick();
    await card(host, third).getByText(say.discarded).waitFor();
    await host.frame.getByRole('heading', { level: 1, name: say.waiting(1), exact: true }).waitFor();
    assert.equal(await said(host), `${say.discarded} ${third}`);
    await inspect(host, language, 'decided');

    assert.deepEqual(host.calls, [list, save, discard], 'each decision is one call');
    assert.deepEqual(await titles(client, 'saved'), [second]);
    const { structuredContent: lessons } = await client.callTool({ name: 'paput_get_discard_policy_context', arguments: {} });
    assert.deepEqual(lessons.discards.map(({ title, reason }) => ({ title, reason })), [{ title: third, reason: '決まりきったこと <b>' }]);
    assert.deepEqual(await titles(client, 'discarded'), [third]);
    assert.deepEqual(await titles(client, 'pending'), [first]);
    const { structuredContent: memos } = await client.callTool({ name: search, arguments: {} });
    assert.deepEqual(memos.entries.map(({ title }) => title), [second]);
    await client.close();
  });

  test(`${language}, ${theme}: what a search finds, and the rest of it`, { timeout: 120_000 }, async () => {
    const { token } = await newcomer(`search-${language}`);
    const client = await connect(server.url + '/mcp', await token('paput.read paput.write'), mode);
    await client.callTool({ name: 'paput_create_memos', arguments: { memos: drafts.map(({ confidence, ...memo }) => memo) } });
    const host = await open({ locale: 'fr-FR' }, client, search, { query: 'deploy' }, { context });
    await host.frame.getByRole('heading', { level: 1, name: say.memos(1), exact: true }).waitFor();
    const { title, body, summary } = drafts[1];
    await card(host, title).getByText(summary).waitFor();
    await button(host, title, say.read).click();
    await card(host, title).getByRole('region').getByText(body).waitFor();
    assert.equal(await host.frame.getByRole('button', { name: new RegExp(`^(${say.approve}|${say.discard})`) }).count(), 0);
    await inspect(host, language, 'memos');

    const paged = await open({ locale: 'fr-FR' }, client, search, { page_size: 2 }, { context });
    await paged.frame.getByRole('heading', { level: 1, name: say.memos(2, true), exact: true }).waitFor();
    await paged.frame.getByRole('button', { name: say.more }).focus();
    await paged.page.keyboard.press('Enter');
    await paged.frame.getByRole('heading', { level: 1, name: say.memos(3), exact: true }).waitFor();
    assert.equal((await focused(paged)).text, (await paged.frame.getByRole('heading', { level: 2 }).allTextContents())[2]);
    assert.deepEqual(paged.asked.find(({ method }) => method === 'tools/call').params.arguments.page_size, 2);
    await client.callTool({ name: 'paput_create_memos', arguments: { memos: [{ title: 'Another' }] } });
    await paged.frame.getByRole('button', { name: say.reload }).click();
    await card(paged, 'Another').waitFor();
    await inspect(paged, language, 'pages');

    const none = await open({ locale: 'fr-FR' }, client, search, { query: 'xyzzy' }, { context });
    await none.frame.getByText(say.noMemos).waitFor();
    await inspect(none, language, 'nothing');
    const wrong = await open({ locale: 'fr-FR' }, client, search, { page_size: 1000 }, { context });
    await wrong.frame.getByText(say.lost).waitFor();
    await wrong.frame.getByText('page_size').waitFor();
    await inspect(wrong, language, 'wrong');
    await client.close();
  });

  test(`${language}, ${theme}: where only the person approves, the app says what to do`, { timeout: 120_000 }, async () => {
    const { token } = await newcomer(`refuse-${language}`);
    const client = await connect(server.url + '/mcp', await token('paput.read paput.write'), mode);
    const { title } = drafts[0];
    const { [title]: id } = await propose(client, [drafts[0]]);
    const own = await token('paput.write paput.account');
    const decided = await fetch(server.url + '/paput.memo.v1.MemoService/UpdateCaptureApproval', {
      method: 'POST', headers: { authorization: `Bearer ${own}`, 'content-type': 'application/json' }, body: '{"personApproves":true}',
    });
    assert.equal(decided.status, 200, await decided.text());
    const host = await open({ locale: 'fr-FR' }, client, list, {}, { context });
    await button(host, title, say.approve).focus();
    await host.page.keyboard.press('Enter');
    await card(host, title).getByText(say.only).waitFor();
    assert.deepEqual(await card(host, title).locator('code').allTextContents(), [`paput capture approve ${id}`, 'paput login --scope paput.account']);
    assert.match(await said(host), new RegExp(say.only));
    assert.deepEqual(await focused(host), { text: say.approve, ring: true }, 'the focus stays');
    assert.deepEqual(await titles(client, 'pending'), [title]);
    await inspect(host, language, 'refused');

    // To discard is still the assistant's to do. Another client has done so by then, and there is nothing left to approve.
    const late = await open({ locale: 'fr-FR' }, client, list, {}, { context });
    await client.callTool({ name: discard, arguments: { ids: [id] } });
    await button(late, title, say.discard).click();
    await button(late, title, say.discard).click();
    await card(late, title).getByText(say.discarded).waitFor();
    await late.frame.getByRole('button', { name: say.reload }).click();
    await late.frame.getByText(say.nothing).waitFor();
    await inspect(late, language, 'empty');
    await client.close();
  });
}

test('what another has decided, and what gets no answer, is told as it is', { timeout: 120_000 }, async () => {
  const { token } = await newcomer('late');
  const access = await token('paput.read paput.write');
  const client = await connect(server.url + '/mcp', access);
  const memos = [{ title: 'Keep the log append only', body: `${drafts[2].body} So we keep it.` }];
  await client.callTool({ name: 'paput_create_memos', arguments: { memos } });
  const ids = await propose(client);
  const host = await open({ locale: 'en-GB' }, client, list, {}, { context: { theme: 'dark' } });
  await card(host, drafts[2].title).getByText(new RegExp(`^Already there, and similar: ${memos[0].title} \\(\\d+%\\)$`)).waitFor();
  const [first, second] = drafts.map(({ title }) => title);
  await client.callTool({ name: discard, arguments: { ids: [ids[first]] } });
  await button(host, first, 'Approve').click();
  await card(host, first).getByText(words.en.failed).waitFor();
  await card(host, first).getByText('discarded').waitFor();

  // What a program changes after it was seen is not approved before it is seen.
  const third = drafts[2].title;
  await button(host, third, 'Read').click();
  await card(host, third).getByText(drafts[2].body).waitFor();
  const changed = await fetch(`${server.url}/paput.memo.v1.MemoService/UpdateCandidates`, {
    method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${access}` },
    body: JSON.stringify({ candidates: [{ id: ids[third], body: 'Nobody has seen this.' }] }),
  });
  assert.equal(changed.status, 200);
  await button(host, third, 'Approve').click();
  await card(host, third).getByText(words.en.failed).waitFor();
  assert.deepEqual(await titles(client, 'saved'), []);
  await button(host, third, 'Read').click();
  await card(host, third).getByText('Nobody has seen this.').waitFor();
  await button(host, third, 'Approve').click();
  await card(host, third).getByText(words.en.saved).waitFor();

  // The server cannot be reached: it may have been done or not, and to try again does no harm.
  const { request } = client;
  client.request = () => Promise.reject(new Error('the line is dead'));
  await button(host, second, 'Approve').click();
  await card(host, second).getByText(words.en.unsure).waitFor();
  await button(host, second, 'Read').click();
  await card(host, second).getByText(words.en.lost).waitFor();
  client.request = request;
  host.asked.length = 0;
  await button(host, second, 'Approve').evaluate((button) => {
    button.click();
    button.click();
  });
  await card(host, second).getByText(words.en.saved).waitFor();
  assert.deepEqual(host.calls, [save]);
  assert.deepEqual(await titles(client, 'saved'), [second, third]);
  await inspect(host, 'en', 'faults');
  // Twice at once is once: the tools have no key, and need none.
  const again = { name: save, arguments: { candidates: [{ id: ids[drafts[2].title] }] } };
  const [one, two] = await Promise.all([client.callTool(again), client.callTool(again)]);
  assert.equal(one.structuredContent.results[0].memo_id, two.structuredContent.results[0].memo_id);
  const { structuredContent: found } = await client.callTool({ name: search, arguments: {} });
  assert.equal(found.entries.length, 3);
  await client.close();
});

test('hostile memos are text', { timeout: 120_000 }, async () => {
  const { token } = await newcomer('hostile');
  const client = await connect(server.url + '/mcp', await token('paput.read paput.write'));
  const markup = `<img src="https://evil.test/x" onerror="pwned = 1"><script>pwned = 2</script></h2><a href="javascript:pwned = 3">x</a>`;
  const hidden = 'Rotate keys yearly\u{e0049}\u{e0067}\u{e006e}\u200b\u00ad or not';
  const joined = '👩\u200d💻 と辻\u{e0100}さん ☎\ufe0f';
  await propose(client, [
    { title: markup, summary: markup, body: markup, categories: ['<b onclick="pwned = 4">c</b>'], projects: ['</style><style>*{display:none}'] },
    { title: hidden, body: 'a\u202egpj.exe\u202c b\u2066c\u2069\r\nnext line' },
    { title: joined, body: joined },
  ]);
  // Without a policy of the host's, the app's own must do.
  const host = await open({ locale: 'en-GB' }, client, list, {}, { policy: null, context: { theme: 'light' } });
  await button(host, markup, 'Read').click();
  assert.equal(await card(host, markup).getByRole('region').textContent(), markup);
  const shown = hidden.replaceAll(/[^ -~]/gu, (c) => `⟨U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`);
  await button(host, shown, 'Read').click();
  assert.equal(await card(host, shown).getByRole('region').textContent(), 'a⟨U+202E⟩gpj.exe⟨U+202C⟩ b⟨U+2066⟩c⟨U+2069⟩\r\nnext line');
  await card(host, joined).waitFor();
  await button(host, markup, 'Approve').click();
  await card(host, markup).getByText(words.en.saved).waitFor();
  assert.deepEqual(await titles(client, 'saved'), [markup]);
  await inspect(host, 'en', 'hostile');
  await client.close();
});

test('the app keeps to its policy and its host, whatever either lets through', { timeout: 120_000 }, async () => {
  const { token } = await newcomer('policy');
  const client = await connect(server.url + '/mcp', await token('paput.read paput.write'));
  await propose(client);
  const context = { theme: 'light', locale: 'en-GB', styles: { variables: { '--color-background-primary': 'rgb(255, 250, 240)', '--font-sans': 'serif', color: 'red' } } };
  const host = await open({ locale: 'ja-JP' }, client, list, {}, { policy: null, context });
  const style = () => host.frame.evaluate(() => ({ ground: getComputedStyle(document.body).backgroundColor, color: document.documentElement.style.color, scheme: getComputedStyle(document.documentElement).colorScheme }));
  assert.deepEqual(await style(), { ground: 'rgb(255, 250, 240)', color: '', scheme: 'light' });

  // Another window than the host's is not listened to.
  await host.page.evaluate(() => {
    const other = document.body.appendChild(document.createElement('iframe'));
    other.contentWindow.eval(`parent.frames[0].postMessage({ jsonrpc: '2.0', method: 'ui/notifications/host-context-changed', params: { locale: 'ja' } }, '*')`);
    other.remove();
  });
  // The host may change its mind, and what it sends of other calls does not disturb the list.
  await host.bridge.setHostContext({ ...context, theme: 'dark' });
  await until('the dark theme', async () => (await style()).scheme === 'dark');
  await host.frame.getByRole('heading', { level: 1, name: words.en.waiting(3), exact: true }).waitFor();
  await host.bridge.sendToolResult({ content: [], structuredContent: { candidates: [] } });
  await host.bridge.setHostContext({ ...context, theme: 'dark', locale: 'ja' });
  await host.frame.getByRole('heading', { level: 1, name: words.ja.waiting(3), exact: true }).waitFor();
  await assert.rejects(host.bridge.request({ method: 'ui/nothing' }, anything), /there is no such method/);

  assert.deepEqual(await host.violations(), []);
  const reached = [];
  await host.page.route('https://evil.test/**', (route) => (reached.push(route.request().url()), route.abort()));
  const refused = await host.frame.evaluate(async () => {
    const image = document.body.appendChild(new Image());
    image.src = 'https://evil.test/x';
    const said = [await fetch('https://evil.test/').then(() => 'fetched', () => 'refused')];
    try {
      document.body.innerHTML = '<b>x</b>';
      said.push('written');
    } catch {
      said.push('refused');
    }
    document.body.appendChild(document.createElement('p')).setAttribute('style', 'color: red');
    return said;
  });
  assert.deepEqual(refused, ['refused', 'refused']);
  await until('the policy to refuse all of it', async () => (await host.violations()).length >= 4);
  assert.deepEqual((await host.violations()).map((violation) => violation.split(' ')[0]).sort(), ['connect-src', 'img-src', 'require-trusted-types-for', 'style-src-attr']);
  assert.deepEqual(reached, []);
  await host.page.context().close();
  await client.close();
});

test('nothing is offered that is not allowed', { timeout: 120_000 }, async () => {
  const { token } = await newcomer('allowed');
  const write = await token('paput.read paput.write');
  const [{ title }] = drafts;
  const writer = await connect(server.url + '/mcp', write);
  await propose(writer, [drafts[0]]);
  const offered = async (host) => (await card(host, title).getByRole('button').allTextContents()).join(' ');

  const among = await connect(server.url + '/mcp/x/capture', write);
  assert.equal(await offered(await open({ locale: 'en-GB' }, among, list, {})), 'Approve Discard Read');
  const capturer = await connect(server.url + '/mcp', await token('paput.capture'));
  assert.equal(await offered(await open({ locale: 'en-GB' }, capturer, list, {})), 'Discard Read');
  // A host that calls no tools for apps.
  const mute = await open({ locale: 'en-GB' }, writer, list, {}, { capabilities: {} });
  assert.equal(await offered(mute), '');
  // The browser's language and theme, where the host says nothing of them.
  for (const [language, colorScheme] of [['en', 'dark'], ['ja', 'light']]) {
    const reader = await connect(server.url + '/mcp/readonly', write);
    const host = await open({ locale: words[language].locale, colorScheme }, reader, list, {});
    assert.equal(await offered(host), words[language].read);
    await host.frame.getByText(words[language].readOnly).waitFor();
    await inspect(host, language, 'readonly');
    await reader.close();
  }
  await Promise.all([among, capturer, writer].map((client) => client.close()));
});
