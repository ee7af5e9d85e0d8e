'use strict';
// What a case is written with. Runs in Node.js and in pages: names nothing of either.
//
// Waits for facts, each at most WAIT_MS; a fact that does not come fails the case with its name.

const WAIT_MS = 30_000;
/** gun.js gives up waiting for an ack after this; what must come "at once" must come before. */
const LACK_MS = 9_000;
/** How often a fact is looked at that nothing announces. */
const POLL_MS = 20;
/** gun.js dials again once, about 2 s after a connection broke. Then a page has to name its peer again. */
const NAME_AGAIN_MS = 3_000;

/** A value without gun.js' metadata. */
function plain(value) {
  if (value === null || typeof value !== 'object') return value;
  const { _: _meta, ...rest } = value;
  return rest;
}

/** Text that tells all values apart, -0 from 0 as well, whatever the order of members. */
function shown(value) {
  if (Object.is(value, -0)) return '-0';
  if (value === null || typeof value !== 'object') return value === undefined ? 'undefined' : JSON.stringify(value);
  if (typeof value.get === 'function') return '(a gun chain)';
  if (Array.isArray(value)) return `[${value.map(shown)}]`;
  return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${shown(value[key])}`)}}`;
}

function short(value) {
  const text = shown(value);
  return text.length > 300 ? `${text.slice(0, 300)}… (${text.length} characters)` : text;
}

function pause(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

/** Fails with `what` unless `promise` settles within `ms`. */
function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`waited ${ms} ms for: ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function randomId() {
  const letters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXZabcdefghijklmnopqrstuvwxyz';
  return Array.from({ length: 9 }, () => letters[Math.floor(Math.random() * letters.length)]).join('');
}

/** A plain connection: shows what is on the wire. */
class Raw {
  constructor(socket) {
    this.socket = socket;
    this.heard = [];
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      for (const message of Array.isArray(frame) ? frame : [frame]) {
        this.heard.push(typeof message === 'string' ? JSON.parse(message) : message);
      }
    };
  }

  send(message) {
    this.socket.send(JSON.stringify(message));
  }

  /** The first message for which `test` holds; others are kept. */
  async next(what, test) {
    const ends = Date.now() + WAIT_MS;
    for (;;) {
      const at = this.heard.findIndex(test);
      if (at >= 0) return this.heard.splice(at, 1)[0];
      if (Date.now() > ends) throw new Error(`waited ${WAIT_MS} ms for: ${what}`);
      await pause(POLL_MS);
    }
  }

  /** Puts a graph and gives the ack. */
  put(graph) {
    const id = randomId();
    this.send({ '#': id, put: graph });
    return this.next('an ack', (message) => message['@'] === id && !message.put);
  }

  /** Gets, and gives all values of `soul` that the parts of the answer hold; null if there are none. */
  async get(soul, more = {}) {
    const node = await this.getNode(soul, more);
    return node && plain(node);
  }

  /** The same with the metadata. */
  async getNode(soul, more = {}) {
    const id = randomId();
    this.send({ '#': id, get: { '#': soul, ...more } });
    const whole = { _: { '#': soul, '>': {} } };
    for (;;) {
      const part = await this.next(`an answer for ${soul}`, (message) => message['@'] === id);
      if (!part.put) return null;
      const { _: meta, ...values } = part.put[soul] || { _: { '>': {} } };
      Object.assign(whole, values);
      Object.assign(whole._['>'], meta['>']);
      if (!part['%']) return whole;
    }
  }

  close() {
    this.socket.close();
  }
}

/** `on` of a chain: what it gave last, and waiting for what it is to give. */
class Followed {
  constructor(chain) {
    this.values = [];
    chain.on((value) => this.values.push(plain(value)));
  }

  get last() {
    return this.values[this.values.length - 1];
  }

  /** Waits until a value came for which `test` holds. */
  async until(what, test) {
    const ends = Date.now() + WAIT_MS;
    while (!this.values.some(test)) {
      if (Date.now() > ends) throw new Error(`waited ${WAIT_MS} ms for: ${what}; last: ${short(this.last)}`);
      await pause(POLL_MS);
    }
  }

  gives(value) {
    return this.until(`on gives ${short(value)}`, (given) => shown(given) === shown(value));
  }
}

function toolkit(env, urls, harness) {
  const run = randomId();
  const t = {
    kind: env.kind,
    Gun: env.Gun,
    SEA: env.SEA,
    /** The relay under test, and the gun.js relay beside it where the case has one. */
    url: urls[0],
    otherUrl: urls[1],
    /** Has something done to the relay under test: stop, start or restart. */
    harness,
    pause,
    within,
    shown,
    randomId,

    /** A name nobody else uses. */
    name: (text) => `${text} ${run}`,

    /** A client of the kind under test. */
    client: (options = {}) => env.open(options.url || t.url, options),

    /** Puts, and gives the first ack; an error in it fails the case. */
    async put(chain, value, options) {
      const ack = await t.tryPut(chain, value, options);
      if (ack.err) throw new Error(`a put of ${short(value)} was answered ${short(ack.err)}`);
      return ack;
    },

    /** Puts, and gives the first ack, whatever it is. */
    tryPut(chain, value, options) {
      const acked = new Promise((done) => chain.put(value, (ack) => done(ack), options));
      return within(LACK_MS - 500, `an ack for ${short(value)}`, acked);
    },

    /** What `once` gives. */
    async once(chain, options) {
      const given = new Promise((done) => chain.once((value) => done(plain(value)), options));
      return within(WAIT_MS, 'once calls back', given);
    },

    /** Calls `once` until it gives a value for which `test` holds. */
    async onceUntil(chain, what, test) {
      const ends = Date.now() + WAIT_MS;
      for (;;) {
        const value = await t.once(chain, { wait: 300 });
        if (test(value)) return value;
        if (Date.now() > ends) throw new Error(`waited ${WAIT_MS} ms for: ${what}; last: ${short(value)}`);
        await pause(POLL_MS);
      }
    },

    follow: (chain) => new Followed(chain),

    /** `map().on` of a chain: a collector of what it gave last, by key. */
    collect(chain) {
      const found = {};
      chain.map().on((value, key) => {
        found[key] = plain(value);
      });
      return found;
    },

    /** Waits until `test` holds. */
    async until(what, test) {
      const ends = Date.now() + WAIT_MS;
      while (!(await test())) {
        if (Date.now() > ends) throw new Error(`waited ${WAIT_MS} ms for: ${what}`);
        await pause(POLL_MS);
      }
    },

    equal(actual, expected, what) {
      if (shown(actual) !== shown(expected)) {
        throw new Error(`${what}: expected ${short(expected)}, got ${short(actual)}`);
      }
    },

    check(holds, what) {
      if (!holds) throw new Error(`does not hold: ${what}`);
    },

    /** A plain connection to a relay. */
    async raw(url = t.url) {
      const socket = new env.WebSocket(url);
      const opened = new Promise((done, fail) => {
        socket.onopen = done;
        socket.onerror = () => fail(new Error(`no connection to ${url}`));
      });
      await within(WAIT_MS, `a connection to ${url}`, opened);
      return new Raw(socket);
    },

    isConnected(client) {
      const peers = Object.values(client.back('opt.peers') || {});
      return peers.some((peer) => peer.wire && peer.wire.readyState === 1);
    },

    /** Waits for a connection, and names the peer again when gun.js has given it up. */
    async connected(client, url = t.url) {
      let named = Date.now();
      await t.until('a connection', () => {
        if (t.isConnected(client)) return true;
        if (Date.now() - named > NAME_AGAIN_MS) {
          named = Date.now();
          client.opt({ peers: [url] });
        }
        return false;
      });
    },

    disconnected: (client) => t.until('the end of the connection', () => !t.isConnected(client)),
  };
  return t;
}

module.exports = { toolkit };
