'use strict';
// A real gun.js relay, as an outside judge.
//
//   node relay.js --port 0 --dir DIR [--peers url,url] [--radisk true|false] [--touch SOUL]
//
// Prints one line `{"ready":true,"port":N}` on stdout; everything gun.js prints goes to stderr.
// Ends on SIGTERM or when stdin closes, so that it never outlives the test that started it.
//
// A gun.js relay dials its configured peers only after something local has asked: `--touch SOUL`
// does such a get at the start and then every 2 s while a configured peer is not connected.

const fs = require('fs');
const http = require('http');
const path = require('path');

const options = { port: '0', dir: '.', peers: '', radisk: 'true', touch: '' };
for (let i = 2; i < process.argv.length; i += 2) {
  const name = process.argv[i].replace(/^--/, '');
  if (!(name in options) || process.argv[i + 1] === undefined) {
    console.error(`unknown or incomplete option ${process.argv[i]}`);
    process.exit(2);
  }
  options[name] = process.argv[i + 1];
}

console.log = console.info = console.error;
const Gun = require('gun');

const peers = options.peers.split(',').map((peer) => peer.trim()).filter(Boolean);
fs.mkdirSync(options.dir, { recursive: true });
const server = http.createServer(Gun.serve(options.dir));

server.on('error', (error) => {
  console.error(`the relay can't listen on port ${options.port}: ${error.message}`);
  process.exit(1);
});
process.on('SIGTERM', () => process.exit(0));
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();

server.listen(Number(options.port), '127.0.0.1', () => {
  const gun = Gun({
    web: server,
    file: path.join(options.dir, 'radata'),
    peers,
    radisk: options.radisk === 'true',
    localStorage: false,
    multicast: false,
    stats: false,
  });
  if (options.touch) touch(gun);
  process.stdout.write(`${JSON.stringify({ ready: true, port: server.address().port })}\n`);
});

function touch(gun) {
  const known = gun.back('opt.peers') || {};
  const open = peers.filter((url) => known[url] && known[url].wire && known[url].wire.readyState === 1);
  if (open.length < peers.length) {
    // A peer whose dialling failed once is struck off gun.js's list for good: name it again.
    gun.opt({ peers });
    gun.get(options.touch).once(() => {});
  }
  setTimeout(() => touch(gun), 2000);
}
