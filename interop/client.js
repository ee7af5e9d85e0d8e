'use strict';
// A browser-style gun.js client (the core build, as in a web page), driven by JSON lines.
//
//   node client.js --peers url,url [--localstorage true|false]
//
// Commands on stdin, one JSON object per line, each with an `id`:
//   {"id":1,"op":"connected"}                              answered once a peer's socket is open
//   {"id":2,"op":"put","path":["soul","key"],"value":V}    answered by the first ack
//   {"id":3,"op":"once","path":["soul"]}                   answered by what `once` gives
//   {"id":4,"op":"on","path":["soul"]}                     an event line for each call back
//   {"id":5,"op":"get","path":["soul"],"wait":ms}          `once` with its `wait` option set
// Lines on stdout: {"ready":true}, {"id":n,"ok":…,"err":…}, {"id":n,"value":…}, {"event":n,"value":…}.
// An undefined value has no `value` member. Node metadata (`_`) is left out of values.
// Ends on SIGTERM or when stdin closes.

const readline = require('readline');

const options = { peers: '', localstorage: 'true' };
for (let i = 2; i < process.argv.length; i += 2) {
  const name = process.argv[i].replace(/^--/, '');
  if (!(name in options) || process.argv[i + 1] === undefined) {
    console.error(`unknown or incomplete option ${process.argv[i]}`);
    process.exit(2);
  }
  options[name] = process.argv[i + 1];
}

console.log = console.info = console.error;

// What gun.js looks for in a web page: a window with a WebSocket and a localStorage.
const kept = new Map();
globalThis.window = {
  WebSocket: require('ws'),
  localStorage: {
    getItem: (name) => (kept.has(name) ? kept.get(name) : null),
    setItem: (name, text) => void kept.set(name, String(text)),
    removeItem: (name) => void kept.delete(name),
  },
  console,
};
require('gun/gun.js');
const Gun = globalThis.window.Gun;

const peers = options.peers.split(',').map((peer) => peer.trim()).filter(Boolean);
const gun = Gun({ peers, localStorage: options.localstorage === 'true' });

process.on('SIGTERM', () => process.exit(0));

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function plain(value) {
  if (value === null || typeof value !== 'object') return value;
  const { _: _meta, ...rest } = value;
  return rest;
}

function chain(path) {
  return path.reduce((at, name) => at.get(name), gun);
}

function whenConnected(then) {
  const known = Object.values(gun.back('opt.peers') || {});
  if (known.some((peer) => peer.wire && peer.wire.readyState === 1)) return then();
  setTimeout(() => whenConnected(then), 10);
}

const operations = {
  connected: ({ id }) => whenConnected(() => say({ id })),
  put: ({ id, path, value }) => {
    let answered = false;
    chain(path).put(value, (ack) => {
      if (answered) return;
      answered = true;
      say({ id, ok: ack.ok, err: ack.err });
    });
  },
  once: ({ id, path }) => chain(path).once((value) => say({ id, value: plain(value) })),
  get: ({ id, path, wait }) => chain(path).once((value) => say({ id, value: plain(value) }), { wait }),
  on: ({ id, path }) => chain(path).on((value) => say({ event: id, value: plain(value) })),
};

readline
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line);
    const operation = operations[command.op];
    if (!operation) return say({ id: command.id, err: `unknown operation ${command.op}` });
    operation(command);
  })
  .on('close', () => process.exit(0));
say({ ready: true });
