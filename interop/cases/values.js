'use strict';
// What may be put: every kind of value, at its edges, arrives at another client as it was sent.

module.exports = {
  async put(t) {
    const [writer, reader] = [t.client(), t.client()];
    const boat = t.name('boat');
    await t.put(writer.get(boat), { name: 'Corran', length: 9.5, afloat: true });
    t.equal(await t.once(reader.get(boat)), { name: 'Corran', length: 9.5, afloat: true }, 'the boat');
  },

  async 'local-storage'(t) {
    // As pages are by default: the ack may come from the page's own storage before the relay's does.
    const writer = t.client({ localStorage: true });
    const soul = t.name('kept');
    await t.put(writer.get(soul), { name: 'Corran', engine: { maker: 'Volvo' } });
    const followed = t.follow(t.client().get(soul).get('engine').get('maker'));
    await followed.gives('Volvo');
    await t.put(writer.get(soul).get('engine').get('maker'), 'Yanmar');
    await followed.gives('Yanmar');
  },

  async numbers(t) {
    const numbers = [
      0, 1, -1, 0.1, 0.1 + 0.2, -1.5, 1e21, 1e-7, 123456789012345680000, 5e-324, 2.2250738585072014e-308,
      Number.MAX_VALUE, -Number.MAX_VALUE, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 53 + 2, 1.7e12 + 1 / 999,
    ];
    const node = Object.fromEntries(numbers.map((number, at) => [`n${at}`, number]));
    const [writer, reader] = [t.client(), t.client()];
    const soul = t.name('numbers');
    await t.put(writer.get(soul), node);
    t.equal(await t.once(reader.get(soul), { wait: 500 }), node, 'the numbers');
  },

  async 'minus-zero'(t) {
    const [writer, raw] = [t.client(), await t.raw()];
    const soul = t.name('zero');
    await t.put(writer.get(soul), { zero: -0 });
    t.equal(await raw.get(soul), { zero: 0 }, 'JSON has no minus zero in gun.js');
  },

  async unicode(t) {
    const texts = {
      empty: '',
      quotes: '"\\\'`"',
      controls: '\u0000\u0001\u0008\t\n\u000b\f\r\u001f\u007f\u0085',
      separators: '\u2028\u2029\ufeff\u200d',
      scripts: 'Grüße, Ελλάδα, שלום, สวัสดี, 日本語, 한국어',
      composed: 'é e\u0301',
      planes: '😀👩‍👩‍👧‍👦𝒳\u{10ffff}\ufffd\uffff',
      json: '{"a":[1,"\\u0000",{"#":"not a link"}]}',
      looksLikeSea: 'SEA{"m":1,"s":"x"}',
    };
    const [writer, reader] = [t.client(), t.client()];
    const soul = t.name('\u2028 "Grüße" \\ 😀\u0001\ufffd');
    await t.put(writer.get(soul), texts);
    t.equal(await t.once(reader.get(soul), { wait: 500 }), texts, 'the texts');
    // The same texts as keys; an empty key is none.
    const keys = Object.fromEntries(Object.values(texts).filter(Boolean).map((text) => [text, text]));
    const byText = t.name('keys');
    await t.put(writer.get(byText), keys);
    t.equal(await t.once(reader.get(byText), { wait: 500 }), keys, 'the keys');
  },

  async 'lone-surrogate'(t) {
    const raw = await t.raw();
    const soul = t.name('half');
    const ack = await raw.put({ [soul]: { _: { '#': soul, '>': { a: 1 } }, a: 'half \ud83d' } });
    t.check(ack.err, 'half a character is refused with an error');
    t.equal(await raw.get(soul), null, 'and nothing is stored');
  },

  async 'big-text'(t) {
    const [writer, reader] = [t.client(), t.client()];
    const text = 'All work and no play. "\\😀'.repeat(40_000);
    const soul = t.name('big');
    await t.put(writer.get(soul), { text });
    const given = await t.onceUntil(reader.get(soul).get('text'), 'the text', (value) => value !== undefined);
    t.check(given === text, `a text of ${text.length} characters arrives whole, got ${given && given.length}`);
  },

  async 'many-keys'(t) {
    const [writer, reader] = [t.client(), t.client()];
    const node = {};
    for (let at = 0; at < 5_000; at += 1) node[`key ${at}`] = at;
    const soul = t.name('many');
    await t.put(writer.get(soul), node);
    const followed = t.follow(reader.get(soul));
    await followed.until('all 5,000 keys', (value) => value && Object.keys(value).length === 5_000);
    t.equal(followed.last, node, 'the node');
  },

  async deleted(t) {
    const [writer, reader] = [t.client(), t.client()];
    const soul = t.name('deleted');
    await t.put(writer.get(soul), { kept: 1, gone: 'for now' });
    const followed = t.follow(reader.get(soul).get('gone'));
    await followed.gives('for now');
    await t.put(writer.get(soul).get('gone'), null);
    await followed.gives(null);
    const later = t.client();
    t.equal(await t.once(later.get(soul)), { kept: 1, gone: null }, 'what a later client reads');
    await t.put(writer.get(soul).get('gone'), 'back');
    await followed.gives('back');
  },

  async 'put-acks'(t) {
    const soul = t.name('acks');
    const now = Date.now();
    const fresh = await t.put(t.client().get(soul), { a: 'now' }, { state: now });
    t.check(fresh.ok, 'a fresh put is acknowledged');
    // Other clients, which know nothing of the first and therefore send what they have.
    const repeated = await t.put(t.client().get(soul), { a: 'now' }, { state: now });
    t.check(repeated.ok, 'a repeated put is acknowledged');
    const stale = await t.put(t.client().get(soul), { a: 'then' }, { state: now - 1000 });
    t.check(stale.ok, 'a stale put is acknowledged');
    const partly = await t.put(t.client().get(soul), { a: 'then', b: 'new' }, { state: now - 1000 });
    t.check(partly.ok, 'a partly stale put is acknowledged');
    t.equal(await t.once(t.client().get(soul)), { a: 'now', b: 'new' }, 'what is kept');
  },

  async 'equal-states'(t) {
    const state = Date.now();
    const kinds = ['text', -1, 7, false, null, true];
    const raw = await t.raw();
    // By the rule of gun.js the greater JSON text wins, in whatever order the values come.
    for (const order of [kinds, [...kinds].reverse()]) {
      const soul = t.name(`tie ${t.shown(order[0])}`);
      for (const value of order) await t.put(t.client().get(soul), { a: value }, { state });
      t.equal(await raw.get(soul), { a: true }, 'the winner on the relay');
      t.equal(await t.once(t.client().get(soul)), { a: true }, 'the winner at a client');
    }
  },
};
