'use strict';
// Nodes that name each other.

module.exports = {
  async nested(t) {
    const [writer, reader] = [t.client(), t.client()];
    const soul = t.name('nested');
    await t.put(writer.get(soul), { name: 'Corran', engine: { maker: 'Volvo', parts: { belt: 'new' } } });
    t.equal(await t.once(reader.get(soul).get('engine').get('parts').get('belt')), 'new', 'three levels down');
    const raw = await t.raw();
    t.equal(await raw.get(soul), { name: 'Corran', engine: { '#': `${soul}/engine` } }, 'the link above');
    t.equal(await raw.get(`${soul}/engine/parts`), { belt: 'new' }, 'the node below');
    // Into what is there already: the link is kept, and what was below as well.
    await t.put(t.client().get(soul), { engine: { hours: 12 } });
    t.equal(
      await raw.get(`${soul}/engine`),
      { maker: 'Volvo', hours: 12, parts: { '#': `${soul}/engine/parts` } },
      'both writes',
    );
  },

  async 'deep-path'(t) {
    const [writer, reader] = [t.client(), t.client()];
    const names = Array.from({ length: 12 }, (_, level) => `level ${level}`);
    const path = (client) => names.reduce((at, name) => at.get(name), client.get(t.name('deep')));
    await t.put(path(writer), 'the bottom');
    t.equal(await t.once(path(reader)), 'the bottom', 'twelve levels down');
    const followed = t.follow(path(t.client()));
    await followed.gives('the bottom');
    await t.put(path(writer), 'changed');
    await followed.gives('changed');
  },

  async links(t) {
    const [writer, reader] = [t.client(), t.client()];
    const [ada, boat] = [t.name('ada'), t.name('boat')];
    await t.put(writer.get(ada), { name: 'Ada' });
    await t.put(writer.get(boat), { name: 'Corran' });
    await t.put(writer.get(boat).get('owner'), writer.get(ada));
    t.equal(await t.once(reader.get(boat).get('owner').get('name')), 'Ada', 'through the link');
    const followed = t.follow(reader.get(boat).get('owner').get('name'));
    await t.put(writer.get(ada).get('name'), 'Ada L.');
    await followed.gives('Ada L.');
    const raw = await t.raw();
    t.equal((await raw.get(boat)).owner, { '#': ada }, 'the link itself');
  },

  async 'circular-link'(t) {
    const [writer, reader] = [t.client(), t.client()];
    const [hen, egg] = [t.name('hen'), t.name('egg')];
    await t.put(writer.get(hen), { name: 'hen' });
    await t.put(writer.get(egg), { name: 'egg' });
    await t.put(writer.get(hen).get('from'), writer.get(egg));
    await t.put(writer.get(egg).get('from'), writer.get(hen));
    const round = reader.get(hen).get('from').get('from').get('from').get('from');
    t.equal(await t.once(round.get('name')), 'hen', 'twice around');
    // A node may name itself.
    const self = t.name('self');
    await t.put(writer.get(self), { name: 'self' });
    await t.put(writer.get(self).get('me'), writer.get(self));
    t.equal(await t.once(t.client().get(self).get('me').get('me').get('name')), 'self', 'a node that names itself');
  },

  async 'null-over-link'(t) {
    const [writer, raw] = [t.client(), await t.raw()];
    const soul = t.name('over');
    await t.put(writer.get(soul), { child: { a: 1 } });
    t.equal((await raw.get(soul)).child, { '#': `${soul}/child` }, 'the link');
    await t.put(writer.get(soul).get('child'), null);
    t.equal(await raw.get(soul), { child: null }, 'null in its place');
    t.equal(await raw.get(`${soul}/child`), { a: 1 }, 'what it named stays');
    t.equal(await t.once(t.client().get(soul).get('child')), null, 'what a later client reads');
    await t.put(writer.get(soul), { child: { b: 2 } });
    t.equal((await raw.get(soul)).child, { '#': `${soul}/child` }, 'the same link again');
    t.equal(await raw.get(`${soul}/child`), { a: 1, b: 2 }, 'the old values come back');
  },
};
