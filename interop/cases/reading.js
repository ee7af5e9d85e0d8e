'use strict';
// Every way in which gun.js reads, and what two clients see of each other.

module.exports = {
  async get(t) {
    const [writer, reader] = [t.client(), t.client()];
    const soul = t.name('get');
    await t.put(writer.get(soul), { a: 'one', b: 2 });
    t.equal(await t.once(reader.get(soul).get('a')), 'one', 'one key');
    t.equal(await t.once(reader.get(soul).get('b')), 2, 'another key');
    t.equal(await t.once(t.client().get(soul)), { a: 'one', b: 2 }, 'the whole node');
  },

  async once(t) {
    const [writer, reader] = [t.client(), t.client()];
    const soul = t.name('once');
    await t.put(writer.get(soul), { count: 1 });
    let calls = 0;
    await new Promise((done) => {
      reader.get(soul).get('count').once((value) => {
        calls += 1;
        done(value);
      });
    });
    const followed = t.follow(reader.get(soul).get('count'));
    await t.put(writer.get(soul).get('count'), 2);
    await followed.gives(2);
    t.equal(calls, 1, 'calls of once, though the value changed');
    t.equal(await t.once(reader.get(soul).get('count')), 2, 'a second once');
  },

  async missing(t) {
    // All within the time after which gun.js gives up by itself: the relay has said "not found".
    const reader = t.client();
    const soul = t.name('missing');
    const all = Promise.all([
      t.once(reader.get(soul)),
      t.once(reader.get(soul).get('key')),
      t.once(reader.get(soul).get('key').get('below')),
    ]);
    t.equal(await t.within(8_000, 'once of what is not there', all), [undefined, undefined, undefined], 'what is not there');
    const writer = t.client();
    await t.put(writer.get(soul), { here: true });
    const absent = t.once(t.client().get(soul).get('absent'));
    t.equal(await t.within(8_000, 'once of a missing key', absent), undefined, 'a missing key of a node');
  },

  async 'not-found'(t) {
    const raw = await t.raw();
    const soul = t.name('nothing');
    t.equal(await raw.get(soul), null, 'a missing soul is answered');
    t.equal(await raw.get(soul, { '.': 'key' }), null, 'a missing key is answered');
    t.equal(await raw.get(soul, { '.': { '*': 'k' } }), null, 'an empty range is answered');
  },

  async on(t) {
    const [writer, reader] = [t.client(), t.client()];
    const soul = t.name('on');
    // Asked before anything is there: the first value is a change, too.
    const early = t.follow(reader.get(soul).get('topic'));
    await t.put(writer.get(soul), { topic: 'tea', seats: 4 });
    await early.gives('tea');
    const whole = t.follow(reader.get(soul));
    await whole.gives({ topic: 'tea', seats: 4 });
    for (const topic of ['coffee', 'juice', 'water']) {
      await t.put(writer.get(soul).get('topic'), topic);
      await early.gives(topic);
      await whole.gives({ topic, seats: 4 });
    }
  },

  async 'on-many'(t) {
    const [writer, reader] = [t.client(), t.client()];
    const soul = t.name('fast');
    const followed = t.follow(reader.get(soul).get('count'));
    // Changes that come faster than they are told: the last one always arrives.
    for (let count = 1; count <= 500; count += 1) writer.get(soul).get('count').put(count);
    await followed.gives(500);
  },

  async map(t) {
    const [writer, reader] = [t.client(), t.client()];
    const soul = t.name('map');
    await t.put(writer.get(soul), { red: { hex: 'f00' }, green: { hex: '0f0' } });
    const found = t.collect(reader.get(soul));
    await t.until('what is there', () => found.red && found.green);
    t.equal(found, { red: { hex: 'f00' }, green: { hex: '0f0' } }, 'what is there');
    await t.put(writer.get(soul).get('blue'), { hex: '00f' });
    await t.until('what comes', () => found.blue && found.blue.hex === '00f');
    await t.put(writer.get(soul).get('red').get('hex'), 'e00');
    await t.until('a change within an item', () => found.red.hex === 'e00');
  },

  async set(t) {
    const [writer, reader] = [t.client(), t.client()];
    const soul = t.name('set');
    const found = t.collect(reader.get(soul));
    for (const name of ['Ada', 'Grace', 'Barbara']) {
      await t.put({ put: (value, done) => writer.get(soul).set(value, done) }, { name });
    }
    const names = () => Object.values(found).map((item) => item && item.name).sort();
    await t.until('all three items', () => t.shown(names()) === t.shown(['Ada', 'Barbara', 'Grace']));
    const later = t.collect(t.client().get(soul));
    await t.until('all three at a later client', () => Object.keys(later).length === 3);
    t.equal(later, found, 'the set at a later client');
  },

  async 'set-of-texts'(t) {
    const [writer, reader] = [t.client(), t.client()];
    const soul = t.name('texts');
    const found = t.collect(reader.get(soul));
    writer.get(soul).set('one');
    writer.get(soul).set('two');
    await t.until('both texts', () => t.shown(Object.values(found).sort()) === t.shown(['one', 'two']));
  },

  async 'two-clients'(t) {
    const [left, right] = [t.client(), t.client()];
    const soul = t.name('talk');
    const [atLeft, atRight] = [t.follow(left.get(soul)), t.follow(right.get(soul))];
    // In turns, each after it has seen the other's word.
    for (let turn = 0; turn < 10; turn += 1) {
      left.get(soul).get('left').put(turn);
      await atRight.until(`the left's word ${turn}`, (value) => value && value.left === turn);
      right.get(soul).get('right').put(turn);
      await atLeft.until(`the right's word ${turn}`, (value) => value && value.right === turn);
    }
    // Both at once on one key: they end with the same.
    for (let turn = 0; turn < 20; turn += 1) {
      left.get(soul).get('both').put(`left ${turn}`);
      right.get(soul).get('both').put(`right ${turn}`);
    }
    const raw = await t.raw();
    await t.until('one value everywhere', async () => {
      const known = await raw.get(soul);
      return atLeft.last.both && atLeft.last.both === atRight.last.both && known.both === atLeft.last.both;
    });
  },

  async 'lex-prefix'(t) {
    const [writer, reader] = [t.client(), t.client()];
    const soul = t.name('days');
    const days = { '2026-10-30': 'a', '2026-11-01': 'b', '2026-11-02': 'c', '2026-12-01': 'd' };
    await t.put(writer.get(soul), days);
    const found = t.collect(reader.get(soul).get({ '.': { '*': '2026-11' }, '%': 50_000 }));
    await t.until('two days', () => Object.keys(found).length === 2);
    t.equal(found, { '2026-11-01': 'b', '2026-11-02': 'c' }, 'the days of November');
  },

  async 'lex-range'(t) {
    const [writer, reader] = [t.client(), t.client()];
    const soul = t.name('letters');
    await t.put(writer.get(soul), { a: 1, b: 2, c: 3, d: 4, e: 5 });
    const found = t.collect(reader.get(soul).get({ '.': { '>': 'b', '<': 'd' }, '%': 50_000 }));
    await t.until('three letters', () => Object.keys(found).length === 3);
    t.equal(found, { b: 2, c: 3, d: 4 }, 'both ends belong to the range');
    const raw = await t.raw();
    const range = (more) => raw.get(soul, more);
    t.equal(await range({ '.': { '>': 'b', '<': 'd' }, '%': 0 }), { b: 2, c: 3, d: 4 }, 'the range itself');
    t.equal(await range({ '.': { '>': 'b' } }), { b: 2 }, 'a range without a budget gives one value');
    t.equal(await range({ '.': { '>': 'b', '<': 'd', '-': 1 } }), { d: 4 }, 'from the end');
    t.equal(await range({ '.': { '=': 'c' } }), { c: 3 }, 'one name');
    t.equal(await range({ '.': { '*': '', '>': 'd' }, '%': 18 }), { d: 4, e: 5 }, 'a budget of two numbers');
  },

  async 'lex-souls'(t) {
    const writer = t.client();
    const family = t.name('family');
    for (const name of ['ada', 'ben', 'cleo']) await t.put(writer.get(`${family}/${name}`), { name });
    await t.put(writer.get(t.name('other')), { name: 'not of them' });
    const raw = await t.raw();
    const id = t.randomId();
    raw.send({ '#': id, get: { '#': { '*': `${family}/` }, '%': 50_000 } });
    const found = {};
    let last = false;
    while (!last) {
      const part = await raw.next('the souls', (message) => message['@'] === id);
      t.check(part.put && !part.err, `data answers, not ${t.shown(part.err)}`);
      for (const [soul, node] of Object.entries(part.put)) found[soul] = node.name;
      last = !part['%'];
    }
    const expected = Object.fromEntries(['ada', 'ben', 'cleo'].map((name) => [`${family}/${name}`, name]));
    t.equal(found, expected, 'the souls that begin so');
  },
};
