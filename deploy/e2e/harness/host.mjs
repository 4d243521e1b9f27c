// A host of MCP Apps: a real page that shows what the server's tool points to, the specification's own bridge behind it, and a real
// client behind that. What the app asks for reaches the real server.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { AppBridge, RESOURCE_MIME_TYPE, getToolUiResourceUri } from '@modelcontextprotocol/ext-apps/app-bridge';
import { until } from './process.mjs';

// Nothing is at these addresses but what the page is told: the host's page, and the app in a frame of another origin.
const home = 'https://host.test/';
const sandbox = 'https://app.test/';

/** What a host makes of a resource that declares no domains (MCP Apps, Host Behavior). */
const restrictive =
  "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; media-src 'self' data:; object-src 'none'; connect-src 'none'; base-uri 'self'; frame-src 'none'";

/** A client that says it shows apps, logged in at a URL of the server. mode is that of the SDK's versionNegotiation. */
export async function connect(url, token, mode = 'auto') {
  const client = new Client(
    { name: 'e2e-host', version: '1.0.0' },
    { capabilities: { extensions: { 'io.modelcontextprotocol/ui': { mimeTypes: [RESOURCE_MIME_TYPE] } } }, versionNegotiation: { mode } },
  );
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { authorization: `Bearer ${token}` } } }));
  return client;
}

/** An app that is shown for one call of a tool. */
export class Host {
  /** What the app has asked for, in order: requests and notifications. */
  asked = [];
  /** How high the app has said it is, in pixels. */
  height = undefined;
  /** Requests of the app's frame, and what its policy has refused. */
  requests = [];

  /**
   * Calls a tool and shows its app on a page. context is what the host says of itself. policy: null leaves the app to its own policy.
   */
  static async show(page, client, name, args, { context = {}, policy = restrictive, capabilities = { serverTools: {} } } = {}) {
    const host = new Host();
    host.page = page;
    const { tools } = await client.listTools();
    const tool = tools.find((tool) => tool.name === name);
    host.resource = (await client.readResource({ uri: getToolUiResourceUri(tool) })).contents[0];

    await page.addInitScript(() => {
      globalThis.violations = [];
      addEventListener('securitypolicyviolation', (event) => violations.push(`${event.effectiveDirective} ${event.blockedURI}`));
    });
    const headers = { 'content-type': 'text/html', ...(policy && { 'content-security-policy': policy }) };
    await page.route(sandbox, (route) => route.fulfill({ headers, body: host.resource.text }));
    await page.route(home, (route) => route.fulfill({
      contentType: 'text/html',
      body: `<!doctype html><title>Host</title><style>:root { color-scheme: ${context.theme ?? 'light dark'} } iframe { display: block; width: 100%; height: 1600px; border: 0 } body { margin: 0 }</style>
<script>addEventListener('message', ({ source, data }) => { if (source === document.querySelector('iframe').contentWindow) fromApp(data); });</script>
<iframe title="App" sandbox="allow-scripts" src="${sandbox}"></iframe>`,
    }));
    page.on('request', (request) => {
      if (request.frame() !== page.mainFrame() && request.url() !== sandbox) host.requests.push(request.url());
    });

    let sent = Promise.resolve();
    const transport = {
      start: async () => {},
      close: async () => {},
      send: (message) => (sent = sent.then(() => page.evaluate((message) => document.querySelector('iframe').contentWindow.postMessage(message, '*'), message))),
    };
    await page.exposeFunction('fromApp', (message) => {
      if (message.method) host.asked.push(message);
      transport.onmessage?.(message);
    });
    host.bridge = new AppBridge(client, { name: 'e2e-host', version: '1.0.0' }, capabilities, { hostContext: context });
    host.bridge.onsizechange = ({ height }) => (host.height = height);
    const ready = new Promise((resolve) => (host.bridge.oninitialized = resolve));
    await host.bridge.connect(transport);
    const result = client.callTool({ name, arguments: args });
    await page.goto(home);
    host.frame = await (await page.waitForSelector('iframe')).contentFrame();
    await ready;
    await host.bridge.sendToolInput({ arguments: args });
    await host.bridge.sendToolResult(await result);
    return host;
  }

  /**
   * Gives the app a width, and then the height that it says it has by then. Before, it has more than enough: the browser loses
   * clicks on a frame that changes its size.
   */
  async fit(width) {
    await this.page.setViewportSize({ width, height: 700 });
    await until('the app to say how high it is', async () =>
      this.height === (await this.frame.evaluate(() => Math.ceil(document.documentElement.getBoundingClientRect().height))));
    await this.page.evaluate((height) => (document.querySelector('iframe').style.height = `${height}px`), this.height);
    // What is beyond the window is not painted in a frame.
    await this.page.setViewportSize({ width, height: this.height });
  }

  /** The tools that the app has called, in order. */
  get calls() {
    return this.asked.filter(({ method }) => method === 'tools/call').map(({ params }) => params.name);
  }

  /** What the browser has refused the app. */
  violations() {
    return this.frame.evaluate(() => violations);
  }
}
