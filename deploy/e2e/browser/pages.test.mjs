// What a person sees in the browser, in English and in Japanese. Every page is looked at for the basics of accessibility,
// at the width of a desk and of a small phone, and its picture is kept in screenshots/.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { App } from '../harness/app.mjs';
import { answer, decide, launch, picture, signIn } from '../harness/browser.mjs';
import { Server, person } from '../harness/server.mjs';

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
    locale: 'en-GB', setup: 'Set up Paput', short: 'too short', differ: 'not the same', signedIn: 'You are signed in',
    gone: 'no longer works', signIn: 'Sign in', wrong: 'The e-mail address or the password is wrong.',
    consent: 'Connect “Test app”?', unverified: 'Unverified app', nothing: 'Tick at least one thing',
    landing: 'Paput keeps what you learn at work', again: 'Please sign in again', other: 'Sign in with another account',
    useOther: 'Use another account', reference: 'Reference: ',
  },
  ja: {
    locale: 'ja-JP', setup: 'Paput の初期設定', short: '短すぎます', differ: '一致しません', signedIn: 'サインインしています',
    gone: '使えません', signIn: 'サインイン', wrong: 'メールアドレスまたはパスワードが違います。',
    consent: '「Test app」を接続しますか？', unverified: '未確認のアプリです', nothing: '1 つ以上選ぶ',
    landing: 'Paput は、仕事で学んだこと', again: 'もう一度サインインしてください', other: '別のアカウントでサインイン',
    useOther: '別のアカウントを使う', reference: '参照番号：',
  },
};

/** A page of a browser of its own that prefers a language. It notes what the browser complains of. */
async function open(language, options = {}) {
  const context = await chromium.newContext({ locale: words[language].locale, viewport: { width: 1100, height: 800 }, ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) page.complaints.push(message.text());
  });
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('response', (response) => {
    if (response.url().includes('/assets/') && response.status() !== 200) page.complaints.push(`${response.url()}: ${response.status()}`);
  });
  return page;
}

/** Checks what every page must be, and takes its picture at two widths. */
async function inspect(page, language, name) {
  const wide = page.viewportSize();
  const found = await page.evaluate(() => ({
    language: document.documentElement.lang,
    title: document.title,
    headings: document.querySelectorAll('h1').length,
    main: document.querySelectorAll('main').length,
    scripts: document.querySelectorAll('script, [onclick], [style]').length,
    unlabelled: [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]
      .filter((field) => ![...field.labels].some((label) => label.textContent.trim()))
      .map((field) => field.outerHTML),
    unnamed: [...document.querySelectorAll('button, a')].filter((e) => !e.textContent.trim()).map((e) => e.outerHTML),
    faults: [...document.querySelectorAll('[aria-invalid=true]')].filter(
      (field) => !(field.getAttribute('aria-describedby') ?? '').split(' ').some((id) => document.getElementById(id)?.textContent.trim()),
    ).length,
    styled: getComputedStyle(document.querySelector('main')).maxWidth !== 'none',
  }));
  assert.equal(found.language, language);
  assert.match(found.title, /\S.*Paput|Paput/);
  assert.equal(found.headings, 1, 'one h1');
  assert.equal(found.main, 1, 'one main');
  assert.equal(found.scripts, 0, 'no script and no inline style');
  assert.deepEqual(found.unlabelled, [], 'fields without a label');
  assert.deepEqual(found.unnamed, [], 'buttons and links without a text');
  assert.equal(found.faults, 0, 'fields in error without a description of it');
  assert(found.styled, 'the stylesheet has not been applied');
  await picture(page, `${name}-${language}`);
  await page.setViewportSize({ width: 320, height: 640 });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert(overflow <= 0, `${overflow} pixels to scroll sideways at a width of 320`);
  const small = await page.evaluate(() =>
    [...document.querySelectorAll('button')].filter((b) => b.getBoundingClientRect().height < 24).map((b) => b.textContent),
  );
  assert.deepEqual(small, [], 'buttons too small to hit');
  await picture(page, `${name}-${language}-320`);
  if (wide) await page.setViewportSize(wide);
  assert.deepEqual(page.complaints, [], 'the browser complains');
}

async function shows(page, text) {
  await page.getByText(text).first().waitFor();
}

for (const language of ['en', 'ja']) {
  const say = words[language];

  test(`${language}: the first account, by the link on the console`, { timeout: 120_000 }, async () => {
    const fresh = await Server.start({ account: null });
    try {
      const link = fresh.console(/(http\S+\/setup\S+)/);
      const page = await open(language);
      await page.goto(link);
      await page.getByRole('heading', { level: 1, name: say.setup }).waitFor();
      await inspect(page, language, 'setup');

      // The browser's own checks would step in first; what the server says is for those without them.
      await page.evaluate(() => (document.querySelector('form').noValidate = true));
      await page.locator('input[name=email]').fill(person.email);
      await page.locator('input[name=password]').fill('short');
      await page.locator('button[type=submit]').click();
      await shows(page, say.short);
      await inspect(page, language, 'setup-short');
      assert.equal(await page.locator('input[name=email]').inputValue(), person.email, 'the address is kept');
      assert.equal(await page.locator('input[name=password]').inputValue(), '', 'the password is not');
      await page.locator('input[name=password]').fill(person.password);
      await page.locator('input[name=password_again]').fill('something else');
      await page.locator('button[type=submit]').click();
      await shows(page, say.differ);

      await page.locator('input[name=password]').fill(person.password);
      await page.locator('input[name=password_again]').fill(person.password);
      await page.locator('button[type=submit]').click();
      await page.getByRole('heading', { level: 1, name: say.signedIn }).waitFor();
      await shows(page, person.email);
      await inspect(page, language, 'signed-in');
      assert(!page.url().includes('token'), 'the link stays in the address');

      // It works once.
      await page.goto(link);
      await shows(page, say.gone);
      await inspect(page, language, 'setup-gone');
      const signOut = await page.context().newPage();
      await signOut.goto(fresh.url + '/login');
      await signOut.locator('form[action="/logout"] button').click();
      await signOut.locator('input[name=password]').waitFor();
      await page.context().close();
    } finally {
      await fresh.stop();
    }
  });

  test(`${language}: an invitation`, { timeout: 120_000 }, async () => {
    const link = await server.invite(`${language}@example.com`);
    const page = await open(language);
    await page.goto(link);
    await page.locator('input[name=password]').waitFor();
    await inspect(page, language, 'invite');
    await page.locator('input[name=password]').fill(person.password);
    await page.locator('input[name=password_again]').fill(person.password);
    await page.locator('button[type=submit]').click();
    await page.getByRole('heading', { level: 1, name: say.signedIn }).waitFor();
    await page.goto(link);
    await shows(page, say.gone);
    await inspect(page, language, 'invite-gone');
    await page.context().close();
  });

  test(`${language}: a wrong password, then consent, and the app gets its code`, { timeout: 120_000 }, async () => {
    const app = await App.register(server, 'Test app');
    const page = await open(language);
    try {
      await page.goto(String(await app.authorizationURL()));
      await page.getByRole('heading', { level: 1, name: say.signIn }).waitFor();
      await inspect(page, language, 'login');
      await signIn(page, { ...person, password: 'not the password' });
      await shows(page, say.wrong);
      await inspect(page, language, 'login-wrong');
      await signIn(page);

      await page.getByRole('heading', { level: 1, name: say.consent }).waitFor();
      await shows(page, say.unverified);
      await shows(page, person.email);
      await shows(page, new URL(app.redirect).hostname);
      await inspect(page, language, 'consent');
      for (const scope of ['paput.read', 'paput.write']) await page.locator(`input[value="${scope}"]`).uncheck();
      await decide(page, 'approve');
      await shows(page, say.nothing);
      await inspect(page, language, 'consent-nothing');
      for (const scope of ['paput.read', 'paput.write']) await page.locator(`input[value="${scope}"]`).check();
      const back = page.waitForRequest((request) => request.url().startsWith(app.redirect));
      await decide(page, 'approve');
      const query = new URL((await back).url()).searchParams;
      assert.equal(query.get('iss'), server.url);
      assert.equal(query.get('state'), 'a state');
      const token = await app.redeem(query.get('code'));
      assert.equal(token.status, 200);
      assert.deepEqual(token.scope.split(' ').sort(), ['paput.read', 'paput.write']);
    } finally {
      await page.context().close();
      app.close();
    }
  });

  test(`${language}: a fresh sign-in, and another account`, { timeout: 120_000 }, async () => {
    const app = await App.register(server, 'Test app');
    const page = await open(language);
    const other = { email: `${language}-other@example.com`, password: person.password };
    try {
      await page.goto(await server.invite(other.email));
      await page.locator('input[name=password]').fill(other.password);
      await page.locator('input[name=password_again]').fill(other.password);
      await page.locator('button[type=submit]').click();
      await page.getByRole('heading', { level: 1, name: say.signedIn }).waitFor();

      // An app wants to be sure who it is.
      await page.goto(String(await app.authorizationURL({ prompt: 'login' })));
      await page.getByRole('heading', { level: 1, name: say.again }).waitFor();
      assert.equal(await page.locator('input[name=email]').inputValue(), other.email, 'the address is filled in');
      await inspect(page, language, 'login-again');
      await signIn(page, { ...other, password: 'not the password' });
      await shows(page, say.wrong);
      await page.getByRole('heading', { level: 1, name: say.again }).waitFor();
      await signIn(page, other);
      await page.getByRole('heading', { level: 1, name: say.consent }).waitFor();
      await shows(page, other.email);

      // It is the wrong account: the way to another one leads back to the same question.
      const asked = page.url();
      await page.getByRole('link', { name: say.useOther }).click();
      await page.getByRole('heading', { level: 1, name: say.other }).waitFor();
      assert.equal(await page.locator('input[name=email]').inputValue(), '', 'the address is left open');
      await inspect(page, language, 'login-other');
      await signIn(page);
      await page.getByRole('heading', { level: 1, name: say.consent }).waitFor();
      assert.equal(page.url(), asked);
      await shows(page, person.email);
      const back = page.waitForRequest((request) => request.url().startsWith(app.redirect));
      await decide(page, 'approve');
      assert.equal((await app.redeem(new URL((await back).url()).searchParams.get('code'))).status, 200);

      // A hint fills in the address for someone who is signed out, and the app's name for it goes nowhere else.
      const stranger = await open(language);
      await stranger.goto(String(await app.authorizationURL({ login_hint: other.email })));
      assert.equal(await stranger.locator('input[name=email]').inputValue(), other.email);
      assert(!stranger.url().includes('other'), stranger.url());
      await stranger.context().close();

      // A program on this computer is asked about each time.
      await page.goto(String(await app.authorizationURL()));
      await page.getByRole('heading', { level: 1, name: say.consent }).waitFor();

      const response = await page.goto(server.url + '/logout');
      assert.equal(response.status(), 405);
      await shows(page, say.reference);
      await inspect(page, language, 'error-method');
    } finally {
      await page.context().close();
      app.close();
    }
  });

  test(`${language}: errors are pages in plain words`, { timeout: 120_000 }, async () => {
    const app = await App.register(server, 'Test app');
    const page = await open(language);
    try {
      for (const [name, set] of Object.entries({
        'error-redirect': { redirect_uri: 'https://evil.example/callback' },
        'error-client': { client_id: 'client_unknown' },
      })) {
        const response = await page.goto(String(await app.authorizationURL(set)));
        assert.equal(response.status(), 400);
        assert.match(response.headers()['content-type'], /^text\/html/);
        await inspect(page, language, name);
        const text = await page.locator('main').innerText();
        assert.doesNotMatch(text, /invalid_|redirect_uri|client_id|evil\.example|\{/, 'the page speaks to machines');
      }
      // A consent page that is opened in another browser than the one that began.
      const begun = await open(language);
      await begun.goto(String(await app.authorizationURL()));
      await signIn(begun);
      await begun.locator('button[name=decision]').first().waitFor();
      const response = await page.goto(begun.url());
      assert(response.status() >= 400, `another browser was let in: ${response.status()}`);
      await inspect(page, language, 'error-other-browser');
      await begun.context().close();
    } finally {
      await page.context().close();
      app.close();
    }
  });

  test(`${language}: the landing page`, { timeout: 60_000 }, async () => {
    const page = await open(language);
    const response = await page.goto(server.url);
    assert.equal(response.status(), 200);
    await shows(page, say.landing);
    await shows(page, `claude mcp add --transport http paput ${server.url}`);
    await inspect(page, language, 'landing');
    await page.context().close();
  });
}

test('a person says no: the app learns that and nothing else', { timeout: 60_000 }, async () => {
  const app = await App.register(server, 'Test app');
  const page = await open('en');
  try {
    const query = await answer(page, await app.authorizationURL(), { decision: 'deny' });
    assert.deepEqual(Object.fromEntries(query), {
      error: 'access_denied', error_description: 'the person said no', state: 'a state', iss: server.url,
    });
  } finally {
    await page.context().close();
    app.close();
  }
});

test('a person allows less than was asked: reading works, writing does not', { timeout: 60_000 }, async () => {
  const app = await App.register(server, 'Test app');
  const page = await open('en');
  try {
    const query = await answer(page, await app.authorizationURL(), { untick: ['paput.write'] });
    const token = await app.redeem(query.get('code'));
    assert.equal(token.scope, 'paput.read');
    const list = await app.mcp(token.access_token, 'tools/list');
    const { securitySchemes } = list.body.result.tools.find((tool) => tool.name === 'paput_create_memos');
    assert.deepEqual(securitySchemes, [{ type: 'oauth2', scopes: ['paput.write'] }], 'nobody can tell what the tool needs');
    const read = await app.mcp(token.access_token, 'tools/call', { name: 'paput_search_memo', arguments: {} });
    assert.equal(read.status, 200);
    assert.equal(read.body.result.isError, undefined);
    const write = await app.mcp(token.access_token, 'tools/call', { name: 'paput_create_memos', arguments: { memos: [{ title: 'x' }] } });
    assert.equal(write.status, 403);
    assert.match(write.challenge, /error="insufficient_scope".*scope="paput\.write"/);
  } finally {
    await page.context().close();
    app.close();
  }
});

test('the keyboard is enough', { timeout: 60_000 }, async () => {
  const app = await App.register(server, 'Test app');
  const page = await open('en');
  const focused = () => page.evaluate(() => document.activeElement.name || document.activeElement.id || document.activeElement.tagName);
  const tabTo = async (name) => {
    for (let i = 0; i < 20; i++) {
      await page.keyboard.press('Tab');
      if ((await focused()) === name) return;
    }
    assert.fail(`Tab does not lead to ${name}`);
  };
  try {
    await page.goto(String(await app.authorizationURL()));
    await tabTo('email');
    await page.keyboard.type(person.email);
    await tabTo('password');
    await page.keyboard.type(person.password);
    await page.keyboard.press('Enter');
    await page.locator('button[name=decision]').first().waitFor();
    await tabTo('scope');
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.notEqual(outline, 'none', 'the focus cannot be seen');
    await page.keyboard.press('Space');
    await tabTo('decision'); // the first is the one that denies, so that Enter in the form does
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.value), 'approve');
    const back = page.waitForRequest((request) => request.url().startsWith(app.redirect));
    await page.keyboard.press('Enter');
    const token = await app.redeem(new URL((await back).url()).searchParams.get('code'));
    assert.equal(token.scope, 'paput.write', 'the first box was unticked with the space bar');
  } finally {
    await page.context().close();
    app.close();
  }
});

test('JavaScript is not needed', { timeout: 60_000 }, async () => {
  const app = await App.register(server, 'Test app');
  const page = await open('ja', { javaScriptEnabled: false });
  try {
    const query = await answer(page, await app.authorizationURL());
    assert.equal((await app.redeem(query.get('code'))).status, 200);
  } finally {
    await page.context().close();
    app.close();
  }
});

test('the pages cannot be framed', { timeout: 60_000 }, async () => {
  const app = await App.register(server, 'Test app');
  const page = await open('en');
  try {
    const address = String(await app.authorizationURL());
    await page.goto('about:blank');
    await page.setContent(`<iframe src="${address.replaceAll('&', '&amp;')}"></iframe>`);
    const frame = await (await page.locator('iframe').elementHandle()).contentFrame();
    await frame.waitForLoadState();
    assert.equal(await frame.locator('input[name=password]').count(), 0, 'the sign-in page shows in a frame');
  } finally {
    await page.context().close();
    app.close();
  }
});
