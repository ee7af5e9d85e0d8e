'use strict';
// Runs one conformance case with a real gun.js client against a relay that is already up.
//
//   node run-case.js <node|browser> <case> <relay url> [gun.js relay url]
//   node run-case.js --list
//
// Client kinds: `node` is `require('gun')` with all it loads there; `browser` is `gun.js` and
// `sea.js` as a page loads them: in a headless Chromium if there is one (the program that
// OIP_BROWSER names, or `chromium` on the PATH), else, or with OIP_BROWSER=none, in a Node.js
// context that has of a page what gun.js looks for.
//
// Lines on stdout, JSON: {"ask":"stop"|"start"|"restart"} wants that done to the relay and waits for
// a line on stdin; the last one is {"case":…,"client":…,"in":…,"ok":true} or "ok":false with "error".
// Everything gun.js prints goes to stderr. Exit code 0 if the case passed, 1 if not, 2 for a wrong call.

const readline = require('readline');
const { allCases } = require('./runner/cases');

/** Longest a case may take; far above what any needs, for a loaded machine. */
const CASE_MAX_MS = 120_000;

console.log = console.info = console.warn = console.error;

function say(line) {
  return new Promise((done) => process.stdout.write(`${JSON.stringify(line)}\n`, done));
}

function usage(problem) {
  console.error(`${problem}\nusage: node run-case.js <node|browser> <case> <relay url> [gun.js relay url]`);
  process.exit(2);
}

/** Asks the one who started us to do something to the relay; one line answers one question. */
function harness() {
  const waiting = [];
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', () => (waiting.shift() || (() => {}))());
  lines.on('close', () => process.exit(1));
  return (ask) =>
    new Promise((done) => {
      waiting.push(done);
      say({ ask });
    });
}

async function main([client, name, ...urls]) {
  if (client === '--list') {
    await say(Object.keys(allCases()).sort());
    return 0;
  }
  const kinds = { node: './runner/node', browser: './runner/browser' };
  if (!(client in kinds)) usage(`no client kind is named ${client}`);
  if (!(name in allCases())) usage(`no case is named ${name}`);
  if (urls.length < 1) usage('no relay was named');
  const { run, where } = require(kinds[client]);
  const outcome = { case: name, client, in: where() };
  const late = new Promise((_, fail) => {
    setTimeout(() => fail(new Error(`not done after ${CASE_MAX_MS} ms`)), CASE_MAX_MS);
  });
  try {
    await Promise.race([run(name, urls, harness()), late]);
    await say({ ...outcome, ok: true });
    return 0;
  } catch (error) {
    await say({ ...outcome, ok: false, error: String((error && error.stack) || error) });
    return 1;
  }
}

process.on('SIGTERM', () => process.exit(1));
main(process.argv.slice(2)).then((code) => process.exit(code));
