'use strict';
// The node build: `require('gun')` with SEA and the rest, without a store of its own, so that what it
// reads has come from the relay. AXE is off: with it the node is a relay, which sends what it writes
// to those that asked for it only, whoever the relay is that it dials.

const WebSocket = require('ws');
const Gun = require('gun');
const { allCases } = require('./cases');
const { toolkit } = require('./toolkit');

function open(url, options) {
  return Gun({
    peers: [url],
    axe: false,
    radisk: false,
    localStorage: false,
    multicast: false,
    stats: false,
    ...options,
  });
}

function run(name, urls, harness) {
  return allCases()[name](toolkit({ kind: 'node', open, Gun, SEA: Gun.SEA, WebSocket }, urls, harness));
}

module.exports = { run, where: () => `node ${process.version}` };
