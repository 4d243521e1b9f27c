// A person's desktop, as far as programs see it: something that opens a URL in the browser.
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

/**
 * Makes a home directory, and the environment of a machine whose browser is the test's: what wants to open a URL leaves it
 * where opened() finds it, which returns undefined while there is none.
 */
export async function desktop(home) {
  const notes = path.join(home, 'opened');
  const opener = path.join(home, 'xdg-open');
  await mkdir(home, { recursive: true });
  await writeFile(notes, '');
  await writeFile(opener, `#!/bin/sh\nprintf '%s\\n' "$1" >>'${notes}'\n`);
  await chmod(opener, 0o755);
  const env = { ...process.env, HOME: home, PATH: home + path.delimiter + process.env.PATH, BROWSER: opener };
  delete env.DISPLAY;
  delete env.WAYLAND_DISPLAY;
  const opened = async () => {
    const urls = (await readFile(notes, 'utf8')).split('\n').filter(Boolean);
    return urls.length > 0 ? urls : undefined;
  };
  return { env, opened };
}
