'use strict';
// The relay goes away and comes back.
//
// gun.js dials again once, 2 s after a connection broke; `t.connected` names the peer again where
// the relay took longer, as a page would. The browser build then asks again for what it follows. The
// node build does not, so the case asks for it; nothing else differs.

function askAgain(t, client, soul) {
  if (t.kind === 'node') client.on('out', { '#': t.randomId(), get: { '#': soul } });
}

module.exports = {
  async reconnect(t) {
    const [writer, reader] = [t.client(), t.client()];
    const soul = t.name('again');
    await t.put(writer.get(soul), { a: 'before', kept: true });
    const followed = t.follow(reader.get(soul));
    await followed.gives({ a: 'before', kept: true });
    await t.harness('restart');
    await t.connected(writer);
    await t.connected(reader);
    askAgain(t, reader, soul);
    await t.put(writer.get(soul).get('a'), 'after');
    await followed.gives({ a: 'after', kept: true });
    t.equal(await t.once(t.client().get(soul)), { a: 'after', kept: true }, 'what the relay kept, and the change');
  },

  async 'missed-changes'(t) {
    const reader = t.client();
    const soul = t.name('missed');
    await t.put(t.client().get(soul), { a: 'before' });
    const followed = t.follow(reader.get(soul));
    await followed.gives({ a: 'before' });
    await t.harness('stop');
    await t.disconnected(reader);
    await t.harness('start');
    // Changed by someone who was there before the reader came back.
    const raw = await t.raw();
    const ack = await raw.put({ [soul]: { _: { '#': soul, '>': { a: Date.now() } }, a: 'meanwhile' } });
    t.check(ack.ok, 'the change is stored');
    await t.connected(reader);
    askAgain(t, reader, soul);
    await followed.gives({ a: 'meanwhile' });
  },

  async offline(t) {
    const writer = t.client({ localStorage: t.kind === 'browser' });
    const soul = t.name('offline');
    await t.put(writer.get(soul), { a: 'online' });
    await t.harness('stop');
    await t.disconnected(writer);
    writer.get(soul).put({ a: 'offline', b: 'offline too' });
    const isOffline = (value) => value === 'offline';
    await t.onceUntil(writer.get(soul).get('a'), 'what the writer itself reads', isOffline);
    await t.harness('start');
    await t.connected(writer);
    // gun.js sends nothing of what was written meanwhile; an application puts it again.
    const known = await t.once(writer.get(soul));
    await t.put(writer.get(soul), known);
    const followed = t.follow(t.client().get(soul));
    await followed.gives({ a: 'offline', b: 'offline too' });
  },
};
