// paput itself, on a desktop: the log-in opens the browser, and the browser says how it ended.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { answer, launch, picture } from '../harness/browser.mjs';
import { desktop } from '../harness/desktop.mjs';
import { Program, binary, run, until } from '../harness/process.mjs';
import { Server } from '../harness/server.mjs';

let server, chromium;

before(async () => {
  server = await Server.start();
  chromium = await launch();
});

after(async () => {
  await chromium?.close();
  await server?.stop();
});

for (const { locale, decision, heading, code, said } of [
  { locale: 'en-GB', decision: 'deny', heading: 'The log-in did not work', code: 7, said: /access was denied in the browser/ },
  { locale: 'ja-JP', decision: 'approve', heading: 'サインインしました', code: 0, said: /Logged in to http:\/\/localhost:\d+ as aiko@example\.com\./ },
]) {
  test(`paput login opens the browser (${locale}, ${decision})`, { timeout: 120_000 }, async () => {
    const { env, opened } = await desktop(path.join(server.home, locale));
    const login = new Program(binary('paput'), ['login', server.url], { env });
    const context = await chromium.newContext({ locale, viewport: { width: 800, height: 400 } });
    try {
      const [address] = await until('paput to open the browser', opened);
      const page = await context.newPage();
      await answer(page, address, { decision });
      await page.getByRole('heading', { level: 1, name: heading }).waitFor();
      assert.equal(await page.evaluate(() => document.documentElement.lang), locale.slice(0, 2));
      await picture(page, `paput-login-${decision}-${locale.slice(0, 2)}`);
      assert.equal(await login.end, code, login.stderr);
      assert.match(login.stdout + login.stderr, said);
    } finally {
      await login.stop();
      await context.close();
    }
    const status = await run(binary('paput'), ['status', '--json'], { env, fails: true });
    assert.equal(status.code, decision === 'approve' ? 0 : 3, status.stderr);
  });
}
