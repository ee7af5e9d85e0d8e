'use strict';
// Users: what SEA signs, encrypts, delegates and names by its hash.

/** A user that is logged in: the client, its key pair and its part of the graph. */
async function login(t, pair) {
  const client = t.client();
  const user = client.user();
  const keys = pair || (await t.SEA.pair());
  await new Promise((done, fail) => user.auth(keys, (ack) => (ack.err ? fail(new Error(ack.err)) : done())));
  return { client, user, keys };
}

function called(what, call) {
  return new Promise((done, fail) => {
    call((ack) => (ack && ack.err ? fail(new Error(`${what}: ${ack.err}`)) : done(ack)));
  });
}

module.exports = {
  async 'user-create'(t) {
    const alias = t.name('ada');
    const first = t.client();
    await t.within(30_000, 'create', called('create', (done) => first.user().create(alias, 'correct horse', done)));
    const raw = await t.raw();
    await t.until('the account at the relay', async () => (await raw.get(`~@${alias}`)) !== null);
    const [space] = Object.keys(await raw.get(`~@${alias}`));
    await t.until('its keys', async () => Object.keys((await raw.get(space)) || {}).length === 4);
    t.equal(Object.keys(await raw.get(space)).sort(), ['alias', 'auth', 'epub', 'pub'], 'what an account holds');
    // Elsewhere, with nothing but name and password.
    const second = t.client();
    await t.within(30_000, 'auth', called('auth', (done) => second.user().auth(alias, 'correct horse', done)));
    t.equal(`~${second.user().is.pub}`, space, 'who is logged in');
    const wrong = t.client();
    const ack = await t.within(30_000, 'auth', new Promise((done) => wrong.user().auth(alias, 'wrong horse', done)));
    t.check(ack.err, 'a wrong password is refused');
  },

  async 'user-put'(t) {
    const { user, keys } = await login(t);
    await t.put(user.get('profile'), { name: 'Ada', born: 1815, alive: false, note: null });
    await t.put(user.get('profile').get('work').get('engine'), 'analytical');
    const [reader, raw] = [t.client(), await t.raw()];
    const space = `~${keys.pub}`;
    t.equal(await t.once(reader.get(space).get('profile').get('name')), 'Ada', 'for anybody');
    t.equal(await t.once(reader.get(space).get('profile').get('born')), 1815, 'a number');
    t.equal(await t.once(reader.get(space).get('profile').get('alive')), false, 'a boolean');
    t.equal(await t.once(reader.get(space).get('profile').get('work').get('engine')), 'analytical', 'a deep path');
    const wire = await raw.get(`${space}/profile`);
    t.check(typeof wire.name === 'string' && JSON.parse(wire.name)['~'], 'every value is signed on the wire');
    // Live, at a client that is nobody.
    const followed = t.follow(reader.get(space).get('profile').get('name'));
    await t.put(user.get('profile').get('name'), 'Ada Lovelace');
    await followed.gives('Ada Lovelace');
  },

  async 'user-encrypted'(t) {
    const [ada, ben] = [await login(t), await login(t)];
    const key = await t.SEA.secret(ben.keys.epub, ada.keys);
    const sealed = await t.SEA.encrypt({ meet: 'at noon' }, key);
    await t.put(ada.user.get('letters').get('to ben'), sealed);
    const given = await t.once(ben.client.get(`~${ada.keys.pub}`).get('letters').get('to ben'));
    const opened = await t.SEA.decrypt(given, await t.SEA.secret(ada.keys.epub, ben.keys));
    t.equal(opened, { meet: 'at noon' }, 'what Ben opens');
    const stranger = await t.SEA.pair();
    t.equal(
      await t.SEA.decrypt(given, await t.SEA.secret(ada.keys.epub, stranger)),
      undefined,
      'what a stranger opens',
    );
  },

  async 'user-unsigned'(t) {
    const { user, keys } = await login(t);
    await t.put(user.get('profile'), { name: 'Ada' });
    const space = `~${keys.pub}/profile`;
    const raw = await t.raw();
    const before = await raw.get(space);
    const later = Date.now() + 1;
    const plainly = await raw.put({ [space]: { _: { '#': space, '>': { name: later } }, name: 'Mallory' } });
    t.check(plainly.err, 'a value without a signature is refused');
    const wire = JSON.parse(before.name);
    const altered = JSON.stringify({ ...wire, ':': 'Mallory' });
    const forged = await raw.put({ [space]: { _: { '#': space, '>': { name: later } }, name: altered } });
    t.check(forged.err, 'a value under the signature of another is refused');
    t.equal(await raw.get(space), before, 'what is stored');
  },

  async 'certificate-accepted'(t) {
    const [ada, ben] = [await login(t), await login(t)];
    const certificate = await t.SEA.certify(ben.keys.pub, { '*': 'inbox' }, ada.keys);
    const inbox = ben.client.get(`~${ada.keys.pub}`).get('inbox').get('ben');
    const ack = await t.within(
      9_000,
      'an ack',
      new Promise((done) => inbox.put('hello', done, { opt: { cert: certificate } })),
    );
    t.check(!ack.err, `a write under a certificate is taken, not answered ${t.shown(ack.err)}`);
    const read = t.client().get(`~${ada.keys.pub}`).get('inbox').get('ben');
    t.equal(await t.onceUntil(read, 'the message', (value) => value !== undefined), 'hello', 'what is read');
  },

  async 'certificate-missing'(t) {
    const [ada, ben] = [await login(t), await login(t)];
    await t.put(ada.user.get('inbox'), { welcome: 'write to me' });
    // Signed by Ben, in Ada's space, in the form a delegated write has.
    const raw = await t.raw();
    const [space, key, state] = [`~${ada.keys.pub}/inbox`, 'ben', Date.now()];
    const text = JSON.stringify({ '#': space, '.': key, ':': 'hello', '>': state });
    const signed = await t.SEA.sign(text, ben.keys, null, { raw: 1 });
    for (const extra of [{}, { '*': ben.keys.pub }, { '*': ben.keys.pub, '+': { m: {}, s: signed.s } }]) {
      const value = JSON.stringify({ ':': 'hello', '~': signed.s, ...extra });
      const ack = await raw.put({ [space]: { _: { '#': space, '>': { [key]: state } }, [key]: value } });
      t.check(ack.err, `without a certificate it is refused: ${Object.keys(extra)}`);
    }
    t.equal(await raw.get(space, { '.': key }), null, 'nothing is stored');
  },

  async 'content-hash'(t) {
    const [writer, reader, raw] = [t.client(), t.client(), await t.raw()];
    const text = JSON.stringify({ about: t.name('content') });
    const hash = await t.SEA.work(text, null, null, { name: 'SHA-256' });
    await t.put(writer.get('#').get(hash), text);
    t.equal(await t.once(reader.get('#').get(hash)), text, 'what is read by its hash');
    const other = await t.SEA.work(`${text} `, null, null, { name: 'SHA-256' });
    const ack = await raw.put({ '#': { _: { '#': '#', '>': { [other]: Date.now() } }, [other]: text } });
    t.check(ack.err, 'a value under the hash of another is refused');
    t.equal(await raw.get('#', { '.': other }), null, 'and not stored');
    const gone = await raw.put({ '#': { _: { '#': '#', '>': { [hash]: Date.now() } }, [hash]: null } });
    t.check(gone.err, 'null in its place is refused');
    t.equal(await t.once(t.client().get('#').get(hash)), text, 'it stays');
  },
};
