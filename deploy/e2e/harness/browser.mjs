// A person at a real browser.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { App } from './app.mjs';
import { person } from './server.mjs';

const flags = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

const screenshots = path.resolve(import.meta.dirname, '../screenshots');

/** Starts Chromium; close() ends it. */
export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: flags });
}

/** Takes a picture of the whole page, for people to look at. */
export async function picture(page, name) {
  await mkdir(screenshots, { recursive: true });
  await page.screenshot({ path: path.join(screenshots, name + '.png'), fullPage: true });
}

/** Fills in and sends the sign-in form that the page shows. */
export async function signIn(page, { email, password } = person) {
  await page.locator('input[name=email]').fill(email);
  await page.locator('input[name=password]').fill(password);
  await page.locator('form button[type=submit]').first().click();
}

/** Clicks the button of the consent page that decides so: approve or deny. */
export async function decide(page, decision) {
  await page.locator(`button[name=decision][value=${decision}]`).click();
}

/**
 * Goes to an authorization URL, signs in when asked, and answers the app's request. tick names scopes to allow that are not
 * ticked, untick those to withhold. Returns the parameters that the browser brought back to the app, which must listen at its redirect URI.
 */
export async function answer(page, authorizationURL, { decision = 'approve', tick = [], untick = [], as = person } = {}) {
  const redirect = new URL(authorizationURL).searchParams.get('redirect_uri');
  await page.goto(String(authorizationURL));
  if (await page.locator('input[name=password]').count()) await signIn(page, as);
  await page.locator('button[name=decision]').first().waitFor();
  for (const scope of tick) await page.locator(`input[name=scope][value="${scope}"]`).check();
  for (const scope of untick) await page.locator(`input[name=scope][value="${scope}"]`).uncheck();
  const back = page.waitForRequest((request) => request.url().startsWith(redirect));
  await decide(page, decision);
  const url = new URL((await back).url());
  assert.equal(url.origin + url.pathname, redirect);
  return url.searchParams;
}

/** Has a person allow an app what it asks for, as set says to authorizationURL, and returns its access token. */
export async function tokenFor(chromium, server, set = {}, as = person) {
  const app = await App.register(server, 'e2e');
  const page = await chromium.newPage();
  try {
    const query = await answer(page, await app.authorizationURL(set), { as });
    return (await app.redeem(query.get('code'))).access_token;
  } finally {
    await page.context().close();
    app.close();
  }
}
