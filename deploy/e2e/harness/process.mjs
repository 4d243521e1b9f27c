// Programs that a test starts: run to their end, or watched while they run.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import path from 'node:path';

/** Where make build put the binaries. */
const binaries = process.env.PAPUT_BIN ?? path.resolve(import.meta.dirname, '../../../bin');

/** The path of one of our binaries. */
export const binary = (name) => path.join(binaries, name);

/** Waits until condition() is true or gives a value, and returns that; what names it in the error when time runs out. */
export async function until(what, condition, { timeout = 60_000 } = {}) {
  const end = Date.now() + timeout;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${timeout / 1000} s in vain: ${what}`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** A program that runs beside the test. It ends with the test's own process at the latest. */
export class Program {
  stdout = '';
  stderr = '';
  /** The exit code, or the name of the signal that ended it; undefined while it runs. */
  ended = undefined;

  constructor(command, args, { env = {}, cwd, onLine = () => {} } = {}) {
    this.name = path.basename(command);
    this.child = spawn(command, args, { cwd, env: { ...process.env, ...env } });
    running.add(this.child);
    this.child.stdin.on('error', () => {}); // it may end before it has read everything
    createInterface(this.child.stdout).on('line', onLine);
    this.child.stdout.on('data', (data) => (this.stdout += data));
    this.child.stderr.on('data', (data) => (this.stderr += data));
    this.end = new Promise((resolve, reject) => {
      this.child.on('error', reject);
      this.child.on('close', (code, signal) => {
        running.delete(this.child);
        resolve((this.ended = code ?? signal));
      });
    });
    this.end.catch(() => {}); // whoever waits for it is told
  }

  /** Waits until the program has printed what pattern matches, and returns the match. */
  async printed(pattern, { in: stream = 'stdout', timeout = 60_000 } = {}) {
    return until(
      `${this.name} to print ${pattern}`,
      () => {
        const match = this[stream].match(pattern);
        if (!match && this.ended !== undefined) {
          throw new Error(`${this.name} ended (${this.ended}) before it printed ${pattern}:\n${this.stdout}${this.stderr}`);
        }
        return match;
      },
      { timeout },
    );
  }

  /** Sends a signal and waits for the end. */
  async stop(signal = 'SIGINT') {
    if (this.ended === undefined) this.child.kill(signal);
    return this.end;
  }
}

/** Runs a program to its end and returns what it printed. Anything but exit code 0 is an error unless fails is set. */
export async function run(command, args, { input = '', fails = false, ...options } = {}) {
  const program = new Program(command, args, options);
  program.child.stdin.end(input);
  const code = await program.end;
  if (code !== 0 && !fails) {
    throw new Error(`${program.name} ${args.join(' ')} ended with ${code}:\n${program.stdout}${program.stderr}`);
  }
  return { code, stdout: program.stdout, stderr: program.stderr };
}
