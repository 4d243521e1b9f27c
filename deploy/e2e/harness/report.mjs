// Prints each test on one line, what went wrong below it, and at the end "N passed, N failed".
import path from 'node:path';

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

/** A reporter for node:test. */
export default async function* report(events) {
  let passed = 0;
  let failed = 0;
  for await (const { type, data } of events) {
    if (type === 'test:stderr' || type === 'test:stdout') {
      yield data.message;
      continue;
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.details.type === 'suite' && type === 'test:pass') continue;
    const file = data.file ? path.relative(process.cwd(), data.file) : '';
    const name = `${file}: ${data.name} (${seconds(data.details.duration_ms)})`;
    if (type === 'test:pass') {
      passed++;
      yield `ok    ${name}\n`;
      continue;
    }
    if (data.details.error?.failureType === 'subtestsFailed') continue;
    failed++;
    const cause = data.details.error?.cause ?? data.details.error;
    yield `FAIL  ${name}\n${indent(cause?.stack ?? String(cause))}\n`;
  }
  yield `${passed} passed, ${failed} failed\n`;
}

function indent(text) {
  return text.replace(/^/gm, '      ');
}
