'use strict';
// What runs inside the page: gives a case the page's gun.js.

let clients = 0;

/**
 * Without localStorage, where the case does not ask for it: its ack comes before that of the relay, and
 * what is read may come from it. Each client has its own part of it, as if it were a page of its own.
 */
function open(url, options) {
  clients += 1;
  return window.Gun({ peers: [url], localStorage: false, file: `case/${clients}/`, ...options });
}

async function runCase(name, urls, harness) {
  const { Gun, WebSocket } = window;
  const env = { kind: 'browser', open, Gun, SEA: Gun.SEA, WebSocket };
  await window.conformanceCases[name](window.conformance.toolkit(env, urls, harness));
}

/** In a real page: says the outcome to the server the page came from. */
async function runPage(name, urls) {
  const say = (body) => fetch('/', { method: 'POST', body: JSON.stringify(body) });
  try {
    await runCase(name, urls, (ask) => say({ ask }));
    await say({ done: true });
  } catch (error) {
    await say({ done: true, error: String((error && error.stack) || error) });
  }
}

module.exports = { runCase, runPage };
