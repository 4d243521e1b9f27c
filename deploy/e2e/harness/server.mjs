// A paputd with a data directory of its own, on ports of its own.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Program, binary, run } from './process.mjs';

/** What must never be in a log, an event or a page: the kinds of token by their prefixes. */
export const secrets = /paput_(at|rt|ac)_\w+/;

/** The account that most tests use. */
export const person = { email: 'aiko@example.com', password: 'correct horse 電池 staple' };

/** A running paputd. */
export class Server {
  /**
   * Starts one with the account of person; account: null starts it without any. fixtures adds what the conformance suite
   * asks a server to have.
   */
  static async start({ account = person, args = [], fixtures = false } = {}) {
    const home = await mkdtemp(path.join(os.tmpdir(), 'paput-e2e-'));
    const server = new Server();
    server.home = home;
    server.data = path.join(home, 'data');
    server.run = (http, nats) => {
      const flags = ['--data', server.data, '--listen', http, '--nats-listen', nats, ...args];
      server.program = fixtures
        ? new Program(binary('paputd-conformance'), flags, { env: { PAPUT_TEST_AS_PAPUTD: '1' } })
        : new Program(binary('paputd'), ['serve', ...flags]);
      return server.program.printed(/Ctrl-C stops the server/);
    };
    await server.run('127.0.0.1:0', '127.0.0.1:0');
    server.url = server.console(/MCP endpoint\s+(\S+)/);
    server.nats = server.console(/Events \(NATS\)\s+(\S+)/);
    if (account) await server.addAccount(account);
    return server;
  }

  /** What the first group of pattern matches on the console. */
  console(pattern) {
    const match = this.program.stdout.match(pattern);
    assert(match, `the console does not show ${pattern}:\n${this.program.stdout}`);
    return match[1];
  }

  async addAccount({ email, password }) {
    await run(binary('paputd'), ['account', 'add', '--data', this.data, '--email', email, '--password-stdin'], {
      input: password + '\n',
    });
  }

  /** Makes an account without a password and returns the link that its owner sets one with. */
  async invite(email) {
    const { stdout } = await run(binary('paputd'), ['account', 'add', '--data', this.data, '--email', email]);
    return stdout.match(/http\S+\/invite\S+/)[0];
  }

  /** Begins to read the audit stream as an auditor does. */
  audit() {
    return new Audit(this);
  }

  /** Ends the server by a signal and starts it again on the same data and ports. meanwhile() is done in between. */
  async restart(signal, meanwhile = () => {}) {
    await this.end(signal);
    await meanwhile();
    await this.run(new URL(this.url).host.replace('localhost', '127.0.0.1'), new URL(this.nats).host);
  }

  /** Stops the server, as Ctrl-C does. */
  async stop() {
    await this.end('SIGINT').finally(() => rm(this.home, { recursive: true, force: true }));
  }

  /** Ends the server by a signal, and checks that it kept its secrets and had nothing to complain of. */
  async end(signal) {
    const code = await this.program.stop(signal);
    assert.equal(code, signal === 'SIGKILL' ? signal : 0, `paputd ended with ${code}:\n${this.program.stderr}`);
    const said = this.program.stdout + this.program.stderr;
    assert.doesNotMatch(said, secrets, 'paputd printed a token');
    assert.doesNotMatch(said, /level=ERROR|panic:|goroutine \d+/, 'paputd met an error');
  }
}

/** The audit stream, read by paput audit tail. */
export class Audit {
  /** The events so far, in order. */
  events = [];

  constructor(server) {
    const key = path.join(server.data, 'nats', 'auditor.nk');
    this.program = new Program(binary('paput'), ['audit', 'tail', '--nats', server.nats, '--nkey', key], {
      env: { PAPUT_HOME: path.join(server.home, 'auditor') },
      onLine: (line) => this.events.push(JSON.parse(line)),
    });
  }

  /** The events so far whose NATS subject is paput.auth. and name: "grant.token_refreshed". */
  of(name) {
    assert.equal(this.program.ended, undefined, `paput audit tail has ended:\n${this.program.stderr}`);
    return this.events.filter((event) => event.natssubject === 'paput.auth.' + name);
  }

  async stop() {
    await this.program.stop();
    assert.doesNotMatch(this.program.stdout, secrets, 'the audit stream has a token');
  }
}
