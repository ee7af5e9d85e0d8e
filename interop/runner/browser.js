'use strict';
// The browser build, as a page loads it. Owns the page's scripts and both ways of running them.

const childProcess = require('child_process');
const fs = require('fs');
const http = require('http');
const os = require('os');
const path = require('path');
const vm = require('vm');
const { caseFiles } = require('./cases');

/** Browsers are looked for under these names. */
const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome'];

/** How much of what the browser complained of stands in the message when it fails. */
const LAST_WORDS = 2_000;

/** Headless, no profile of anyone's, and no connection but to the page's server and the relay. */
const ARGUMENTS = [
  '--headless',
  '--disable-gpu',
  '--disable-quic',
  '--disable-sync',
  '--disable-component-update',
  '--disable-background-networking',
  '--disable-background-timer-throttling',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--no-default-browser-check',
];

/** The program of a real browser, or undefined. */
function browserProgram() {
  const named = process.env.OIP_BROWSER;
  if (named === 'none') return undefined;
  if (named) return named;
  const folders = (process.env.PATH || '').split(path.delimiter);
  const places = PROGRAMS.flatMap((name) => folders.map((folder) => path.join(folder, name)));
  return places.find((place) => fs.existsSync(place));
}

function where() {
  const program = browserProgram();
  return program ? path.basename(program) : 'a page in node';
}

/** What the page runs: gun.js and sea.js as they are, then the toolkit and the cases. */
function scripts() {
  const wrapped = (file, into) =>
    `(() => { const module = { exports: {} };\n${fs.readFileSync(file, 'utf8')}\n` +
    `Object.assign(${into}, module.exports); })();`;
  const ours = [path.join(__dirname, 'toolkit.js'), path.join(__dirname, 'page.js')];
  return [
    fs.readFileSync(require.resolve('gun/gun.js'), 'utf8'),
    fs.readFileSync(require.resolve('gun/sea.js'), 'utf8'),
    'window.conformance = {}; window.conformanceCases = {};',
    ...ours.map((file) => wrapped(file, 'window.conformance')),
    ...caseFiles().map((file) => wrapped(file, 'window.conformanceCases')),
  ];
}

function run(name, urls, harness) {
  const program = browserProgram();
  return program ? inBrowser(program, name, urls, harness) : inContext(name, urls, harness);
}

/** A context of Node.js with what gun.js and sea.js look for in a page. */
async function inContext(name, urls, harness) {
  const kept = new Map();
  const page = {
    WebSocket: require('ws'),
    localStorage: {
      getItem: (key) => (kept.has(key) ? kept.get(key) : null),
      setItem: (key, text) => void kept.set(key, String(text)),
      removeItem: (key) => void kept.delete(key),
    },
    crypto: globalThis.crypto || require('crypto').webcrypto,
    console,
    // Node.js' cryptography takes its own arrays only, not those of a context.
    Uint8Array,
    ArrayBuffer,
    TextEncoder,
    TextDecoder,
    MessageChannel,
    performance,
    atob,
    btoa,
    setTimeout,
    clearTimeout,
    setInterval,
    clearInterval,
  };
  page.window = page.self = page;
  vm.createContext(page);
  for (const script of scripts()) vm.runInContext(script, page);
  await page.conformance.runCase(name, urls, harness);
}

/** A real browser opens a page of ours; it reports, and asks for things, by POST. */
async function inBrowser(program, name, urls, harness) {
  let finish;
  const outcome = new Promise((done) => (finish = done));
  const bundle = scripts().join('\n;\n');
  const call = `conformance.runPage(${JSON.stringify(name)}, ${JSON.stringify(urls)});`;
  const server = http.createServer((request, response) => {
    if (request.method === 'GET' && request.url === '/') {
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end('<!doctype html><meta charset="utf-8"><title>case</title><script src="/page.js"></script>');
    } else if (request.method === 'GET' && request.url === '/page.js') {
      response.setHeader('content-type', 'text/javascript; charset=utf-8');
      response.end(`${bundle}\n;${call}`);
    } else if (request.method === 'POST') {
      let body = '';
      request.setEncoding('utf8');
      request.on('data', (part) => (body += part));
      request.on('end', async () => {
        const said = JSON.parse(body);
        if (said.ask) await harness(said.ask);
        response.end('{}');
        if (said.done) finish(said);
      });
    } else {
      response.statusCode = 404;
      response.end();
    }
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'oip-gun-page-'));
  const ours = process.getuid && process.getuid() === 0 ? ['--no-sandbox'] : [];
  const address = `http://127.0.0.1:${server.address().port}/`;
  const browser = childProcess.spawn(program, [...ARGUMENTS, ...ours, `--user-data-dir=${profile}`, address], {
    stdio: ['ignore', 'ignore', 'pipe'],
    // A group of its own, so that all its processes can be ended together.
    detached: true,
  });
  let words = '';
  browser.stderr.on('data', (part) => (words = (words + part).slice(-LAST_WORDS)));
  const end = () => {
    try {
      process.kill(-browser.pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  };
  const ended = new Promise((done) => browser.on('exit', done));
  const failed = new Promise((_, fail) => {
    browser.on('error', (error) => fail(new Error(`${program} does not start: ${error.message}`)));
    browser.on('exit', (code) => fail(new Error(`${program} ended with ${code} before the case did: ${words}`)));
  });
  failed.catch(() => {});
  process.on('exit', end);
  try {
    const said = await Promise.race([outcome, failed]);
    if (said.error) throw new Error(said.error);
  } finally {
    end();
    await ended;
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}

module.exports = { run, where };
