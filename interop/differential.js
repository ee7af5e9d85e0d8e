'use strict';
// The same seeded random puts, fed over the wire to a gun.js relay and to ours, must leave the same
// graph: the same souls and keys, each with the same value and state.
//
//   node differential.js <relay url> [--ops N] [--seed TEXT]
//
// gun.js runs in this process with a real socket in front of it, and keeps its graph in memory, so
// that its own merge decides and its graph can be read as it is. Ours is fed over several connections
// at once, in another order than gun.js: the merge does not depend on order.
//
// Prints one JSON line: {"ok":true,"seed":…,"ops":…,"keys":…,…}, or "ok":false with the differences.
//
// What is left out, since gun.js does something else there by a rule of docs/wire.md or a known fault:
//   * states ahead of the clock (it keeps them in memory, we durably): their order depends on the clock
//   * names that an object of JavaScript has already, `_`, the empty name, U+001B: we refuse them
//   * half surrogate pairs, duplicate members: we refuse them
//   * souls with `~`, `#` or `<?`, which have rules of their own (the cases of users have those)
//   * malformed puts: we refuse the whole, it keeps the part before the fault (docs/wire.md, refuse-whole)
//   * frames over 16,000 characters: its parser garbles those over 32,768 steps
//   * ids that look like another with digits behind: it takes them for repetitions

const http = require('http');
const WebSocket = require('ws');

console.log = console.info = console.warn = console.error;
const Gun = require('gun');

const options = { ops: '100000', seed: 'conformance' };
const [url, ...rest] = process.argv.slice(2);
for (let i = 0; i < rest.length; i += 2) {
  const name = rest[i].replace(/^--/, '');
  if (!(name in options) || rest[i + 1] === undefined) {
    console.error(`unknown or incomplete option ${rest[i]}`);
    process.exit(2);
  }
  options[name] = rest[i + 1];
}
const OPERATIONS = Number(options.ops);

/** Connections over which ours is fed. */
const CONNECTIONS = 3;
/** Unacknowledged puts per connection of ours; frames of gun.js in flight. */
const IN_FLIGHT = 2_000;
/** Characters of a frame, far below what makes gun.js stumble. */
const FRAME_CHARS = 16_000;
/** Messages of a frame at most. */
const FRAME_MESSAGES = 60;
/** Souls and keys that meet often, about 15 times each; beside them come some that few operations meet. */
const SOULS = Math.max(10, Math.floor(OPERATIONS / 100));
const KEYS = 12;
/** How long both may take to settle after the last frame. */
const SETTLE_MS = 120_000;
/** Differences told. */
const TOLD_MAX = 10;

/** A generator of 32-bit numbers from a text (xorshift, seeded by FNV-1a): the same everywhere. */
function generator(seed) {
  let hash = 0x811c9dc5;
  for (const unit of seed) hash = Math.imul(hash ^ unit.codePointAt(0), 0x01000193);
  let [x, y, z, w] = [hash >>> 0 || 1, 0x9e3779b9, 0x243f6a88, 0xb7e15162];
  const next = () => {
    const mixed = (x ^ (x << 11)) >>> 0;
    [x, y, z] = [y, z, w];
    w = (w ^ (w >>> 19) ^ mixed ^ (mixed >>> 8)) >>> 0;
    return w;
  };
  for (let round = 0; round < 64; round += 1) next();
  const below = (bound) => next() % bound;
  return { below, pick: (list) => list[below(list.length)], chance: (percent) => below(100) < percent };
}

const random = generator(options.seed);

const ID_LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXZabcdefghijklmnopqrstuvwxyz';

/** Ids are told apart by a count in base 61, mixed so that none is another with digits behind. */
function messageId(count) {
  let id = '';
  let left = count;
  for (let at = 0; at < 8; at += 1) {
    id += ID_LETTERS[left % 61];
    left = Math.floor(left / 61);
  }
  return `${id}i`;
}

const CHARACTERS = [
  'a', 'b', 'z', 'A', 'Z', '0', '9', ' ', '"', '\\', '/', '\n', '\t', '\u0000', '\u001f', '\u007f', '\u2028',
  'é', 'e\u0301', 'ß', '中', '\ufeff', '\ufffd', '\uffff', '\ue000', '😀', '\u{10ffff}', '𝒳', "'", '.', '-',
];

function text(longest) {
  let made = '';
  for (let left = random.below(longest + 1); left > 0; left -= 1) made += random.pick(CHARACTERS);
  return made;
}

/** JSON text of a text; sometimes with more escapes than it needs. */
function quoted(value) {
  const json = JSON.stringify(value);
  if (!random.chance(10)) return json;
  const escaped = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return `"${value.split('').map(escaped).join('')}"`;
}

const FORBIDDEN = new Set(['', '_', ...Object.getOwnPropertyNames(Object.prototype), 'undefined']);

function name(prefix, count) {
  if (random.chance(97)) return `${prefix}${random.below(count)}`;
  const made = text(6);
  return FORBIDDEN.has(made) || /[~#]|<\?/.test(made) ? `${prefix}odd` : `${made}`;
}

/** Texts of numbers, as no two writers agree on them. */
const NUMBER_TEXTS = [
  '0', '-0', '0.0', '1', '1.0', '1e0', '10', '1e1', '1E+1', '100e-1', '9', '-1', '-1.5', '0.1', '1e-1', '0.30000000000000004',
  '1e21', '1000000000000000000000', '123456789012345680000', '1e-7', '0.0000001', '0.000001', '5e-324', '4.9E-324', '1e-400',
  '1.7976931348623157e308', '-1.7976931348623157e308', '9007199254740991', '9007199254740992', '9007199254740993',
  '1795359133587.001', '1795359133587.0010', '2.2250738585072014e-308', '0.1e1', '12e-1',
];

function numberText() {
  if (random.chance(50)) return random.pick(NUMBER_TEXTS);
  const digits = `${random.below(1_000_000)}`;
  const form = random.below(4);
  if (form === 0) return digits;
  if (form === 1) return `-${digits}.${random.below(1_000_000)}`;
  if (form === 2) return `${digits[0]}.${digits}e${random.below(600) - 300}`;
  return `${digits}${random.below(1_000_000_000)}${random.below(1_000_000_000)}`;
}

function valueText() {
  switch (random.below(10)) {
    case 0:
      return 'null';
    case 1:
      return random.pick(['true', 'false']);
    case 2:
      return `{"#":${quoted(name('soul ', SOULS))}}`;
    case 3:
    case 4:
    case 5:
      return numberText();
    case 6:
      // Few texts, so that equal ones meet.
      return quoted(random.pick(['', 'a', 'b', 'null', 'true', '0', '{"#":"soul 1"}', '\ud83d\ude00', '\ufffd']));
    default:
      return quoted(text(12));
  }
}

/** All states lie in the past. */
const EPOCH = 1_700_000_000_000;
const ODD_STATES = ['0', '-1', '1e3', '-0', '1.5', '1e-7', '17000000000e2', '1700000000000.001', '1700000000000.0010'];

/** In every fifth soul time goes on, slightly out of order; in the others few states meet again and again. */
function stateText(soul, count) {
  if (random.chance(5)) return random.pick(ODD_STATES);
  if (/[05]$/.test(soul)) return `${EPOCH + Math.floor(count / 50) + random.below(40) - 20}`;
  const fraction = random.chance(20) ? random.pick(['.001', '.5', '.500', '.002002']) : '';
  return `${EPOCH + random.below(6)}${fraction}`;
}

/** Souls touched, so that ours can be asked for each. */
const souls = new Set();

/** One put: the text of a message with one to three nodes. */
function operation(count) {
  const nodes = new Map();
  const wanted = random.chance(80) ? 1 : 1 + random.below(3);
  for (let left = wanted; left > 0; left -= 1) nodes.set(name('soul ', SOULS), new Map());
  for (const [soul, keys] of nodes) {
    souls.add(soul);
    const wantedKeys = random.chance(70) ? 1 : 1 + random.below(5);
    for (let left = wantedKeys; left > 0; left -= 1) keys.set(name('key ', KEYS), valueText());
  }
  const parts = [];
  for (const [soul, keys] of nodes) {
    const states = [];
    const values = [];
    for (const [key, value] of keys) {
      states.push(`${JSON.stringify(key)}:${stateText(soul, count)}`);
      values.push(`${quoted(key)}:${value}`);
    }
    const meta = `"_":{"#":${quoted(soul)},">":{${states}}}`;
    parts.push(`${JSON.stringify(soul)}:{${random.chance(50) ? [meta, ...values] : [...values, meta]}}`);
  }
  return `{"#":"${messageId(count)}","put":{${parts}}}`;
}

/** Operations as frames: one alone, or a batch of them. */
function* frames() {
  let batch = [];
  let chars = 0;
  let wanted = FRAME_MESSAGES;
  for (let count = 0; count < OPERATIONS; count += 1) {
    const message = operation(count);
    if (batch.length >= wanted || chars + message.length > FRAME_CHARS) {
      yield batch;
      [batch, chars] = [[], 0];
      wanted = random.chance(5) ? 1 : 1 + random.below(FRAME_MESSAGES);
    }
    batch.push(message);
    chars += message.length + 1;
  }
  if (batch.length > 0) yield batch;
}

function frameText(batch) {
  return batch.length === 1 ? batch[0] : `[${batch}]`;
}

function connect(to) {
  return new Promise((done, fail) => {
    const socket = new WebSocket(to);
    socket.on('open', () => done(socket));
    socket.on('error', fail);
  });
}

function messagesOf(data) {
  const frame = JSON.parse(data);
  return Array.isArray(frame) ? frame : [frame];
}

/** A connection to ours: every put is acknowledged, so what is in flight is known. */
async function feeder() {
  const socket = await connect(url);
  const state = { inFlight: 0, refused: [], waiting: [], answers: new Map() };
  socket.on('message', (data) => {
    for (const message of messagesOf(data)) {
      if (!message['@']) continue;
      const answer = state.answers.get(message['@']);
      if (answer) {
        answer(message);
        continue;
      }
      state.inFlight -= 1;
      if (message.err) state.refused.push(message);
    }
    while (state.waiting.length > 0 && state.inFlight < IN_FLIGHT) state.waiting.shift()();
  });
  socket.on('close', () => {
    console.error('our relay closed a connection');
    process.exit(1);
  });
  return {
    state,
    async send(batch) {
      while (state.inFlight >= IN_FLIGHT) await new Promise((done) => state.waiting.push(done));
      state.inFlight += batch.length;
      socket.send(frameText(batch));
    },
    async drained() {
      while (state.inFlight > 0) await pause(5);
    },
    /** A whole node, from all parts of the answer. */
    node(soul) {
      const id = `get${random.below(1_000_000_000)}x${state.answers.size}`;
      const node = {};
      const states = {};
      return new Promise((done) => {
        state.answers.set(id, (message) => {
          const part = (message.put || {})[soul];
          for (const [key, value] of Object.entries(part || {})) {
            if (key !== '_') node[key] = value;
          }
          Object.assign(states, part && part._['>']);
          if (message['%']) return;
          state.answers.delete(id);
          done({ node, states });
        });
        socket.send(JSON.stringify({ '#': id, get: { '#': soul } }));
      });
    },
  };
}

function pause(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

/** The gun.js relay of this process: its address and its graph. */
async function gunRelay() {
  const server = http.createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const gun = Gun({ web: server, radisk: false, localStorage: false, multicast: false, stats: false });
  return { url: `ws://127.0.0.1:${server.address().port}/gun`, graph: gun._.graph };
}

function entries(node, states) {
  const found = new Map();
  for (const key of Object.keys(node || {})) {
    if (key !== '_') found.set(key, `${JSON.stringify(node[key])} at ${JSON.stringify(states[key])}`);
  }
  return found;
}

/** Compares every key of every soul, of either side. */
function compare(theirs, ours) {
  const differences = [];
  let keys = 0;
  for (const soul of new Set([...Object.keys(theirs), ...ours.keys()])) {
    const here = ours.get(soul) || { node: {}, states: {} };
    const left = entries(theirs[soul], theirs[soul] ? theirs[soul]._['>'] : {});
    const right = entries(here.node, here.states);
    for (const key of new Set([...left.keys(), ...right.keys()])) {
      keys += 1;
      if (left.get(key) !== right.get(key)) {
        differences.push({ soul, key, gunjs: left.get(key) || 'nothing', ours: right.get(key) || 'nothing' });
      }
    }
  }
  return { keys, differences };
}

async function main() {
  const started = Date.now();
  const relay = await gunRelay();
  const judge = await connect(relay.url);
  judge.on('message', () => {});
  const feeders = await Promise.all(Array.from({ length: CONNECTIONS }, feeder));
  let sent = 0;
  for (const batch of frames()) {
    judge.send(frameText(batch));
    await feeders[sent % CONNECTIONS].send(batch);
    sent += 1;
    // Lets gun.js of this process work, and keeps its queue short.
    while (judge.bufferedAmount > 1_000_000) await pause(1);
  }
  for (const { drained } of feeders) await drained();
  const refused = feeders.flatMap(({ state }) => state.refused);
  const fed = Date.now();

  const ours = new Map();
  for (const soul of souls) {
    const found = await feeders[0].node(soul);
    if (Object.keys(found.node).length > 0) ours.set(soul, found);
  }
  // gun.js acknowledges nothing without a disk: it is done when its graph is the same, or not at all.
  let outcome = compare(relay.graph, ours);
  while (outcome.differences.length > 0 && Date.now() - fed < SETTLE_MS) {
    await pause(500);
    outcome = compare(relay.graph, ours);
  }
  const { keys, differences } = outcome;
  const ok = differences.length === 0 && refused.length === 0 && keys > 0;
  const report = { ok, seed: options.seed, ops: OPERATIONS, frames: sent, souls: souls.size, keys };
  report.seconds = (Date.now() - started) / 1000;
  if (!ok) Object.assign(report, { different: differences.length, differences: differences.slice(0, TOLD_MAX), refused: refused.slice(0, TOLD_MAX) });
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(ok ? 0 : 1));
}

process.on('SIGTERM', () => process.exit(1));
main().catch((error) => {
  console.error(error);
  process.exit(1);
});
