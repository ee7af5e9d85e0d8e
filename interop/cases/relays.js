'use strict';
// Our relay linked with a real gun.js relay. `t.url` is ours, `t.otherUrl` that of gun.js; which of
// the two dialled the other stands in cases.toml.

/** A client at gun.js reads what a client at ours wrote, then sees it change. */
async function fromOursToGunJs(t) {
  const [here, there] = [t.client(), t.client({ url: t.otherUrl })];
  const soul = t.name('from ours');
  await t.put(here.get(soul), { a: 1, below: { b: 2 } });
  const read = there.get(soul);
  await t.onceUntil(read.get('a'), 'the value', (value) => value === 1);
  await t.onceUntil(read.get('below').get('b'), 'the value below', (value) => value === 2);
  const followed = t.follow(read.get('a'));
  await followed.gives(1);
  await t.put(here.get(soul).get('a'), 'changed');
  await followed.gives('changed');
}

/** The other way round. */
async function fromGunJsToOurs(t) {
  const [here, there] = [t.client(), t.client({ url: t.otherUrl })];
  const soul = t.name('from gun.js');
  await t.put(there.get(soul), { a: 1, below: { b: 2 } });
  const read = here.get(soul);
  await t.onceUntil(read.get('a'), 'the value', (value) => value === 1);
  await t.onceUntil(read.get('below').get('b'), 'the value below', (value) => value === 2);
  const followed = t.follow(read.get('a'));
  await followed.gives(1);
  await t.put(there.get(soul).get('a'), 'changed');
  await followed.gives('changed');
}

module.exports = {
  'we-dial-gunjs-ours-to-gunjs': fromOursToGunJs,
  'we-dial-gunjs-gunjs-to-ours': fromGunJsToOurs,
  'gunjs-dials-us-ours-to-gunjs': fromOursToGunJs,
  'gunjs-dials-us-gunjs-to-ours': fromGunJsToOurs,
};
