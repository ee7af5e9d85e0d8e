// Opens and makes records in the form `oip-sealed-1`, from docs/private-records.md alone: WebCrypto and
// nothing else. Shows that the form can be implemented elsewhere; run by a test of oip-vault.
//
//   node sealed.js open < {"readers": [jwk], "records": [{"soul", "data", "oip"}]}   one answer per record and reader
//   node sealed.js seal < {"creator": jwk, "readers": [jwk], "local", "recordType", "indexedAt", "content"}
"use strict";

const { subtle } = globalThis.crypto;
const utf8 = new TextEncoder();
const SUITE = "HPKE base, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM";
const FORM = "oip-sealed-1";

// --- texts and bytes

/** Canonical JSON (RFC 8785): JavaScript's own number and string texts, members in UTF-16 order. */
function canonical(value) {
  if (Array.isArray(value)) return "[" + value.map(canonical).join(",") + "]";
  if (value && typeof value === "object") {
    const members = Object.keys(value).sort().map((name) => JSON.stringify(name) + ":" + canonical(value[name]));
    return "{" + members.join(",") + "}";
  }
  return JSON.stringify(value);
}

const join = (...parts) => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
};
const fromBase64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const toBase64 = (bytes) => btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(""));
const fromUrl = (text) => fromBase64(text.replaceAll("-", "+").replaceAll("_", "/"));
const toUrl = (bytes) => toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
const sha256 = async (bytes) => new Uint8Array(await subtle.digest("SHA-256", bytes));
const number = (bytes) => BigInt("0x" + hex(bytes));
const bytes32 = (n) => Uint8Array.from(n.toString(16).padStart(64, "0").match(/../g), (d) => parseInt(d, 16));

async function hmac(key, ...parts) {
  const raw = key.length ? key : new Uint8Array(32);
  const imported = await subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await subtle.sign("HMAC", imported, join(...parts)));
}

// --- P-256 points

const P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

function power(base, exponent) {
  let result = 1n;
  for (let b = base % P, e = exponent; e > 0n; e >>= 1n, b = (b * b) % P) if (e & 1n) result = (result * b) % P;
  return result;
}

/** The uncompressed point of a compressed one. */
function whole(compressed) {
  if (compressed.length !== 33) throw new Error("a compressed point has 33 bytes");
  const x = number(compressed.slice(1));
  const square = (((x * x * x - 3n * x + B) % P) + P) % P;
  let y = power(square, (P + 1n) / 4n);
  if ((y * y) % P !== square) throw new Error("not a point of the curve");
  if ((y & 1n) !== BigInt(compressed[0] & 1)) y = P - y;
  return join(Uint8Array.of(4), bytes32(x), bytes32(y));
}
const compressed = (point) => join(Uint8Array.of(2 + (point[64] & 1)), point.slice(1, 33));
const pointOf = (jwk) => join(Uint8Array.of(4), fromUrl(jwk.x), fromUrl(jwk.y));
const keyId = async (point) => hex(await sha256(compressed(point))).slice(0, 16);
const importPoint = (point) => subtle.importKey("raw", point, { name: "ECDH", namedCurve: "P-256" }, true, []);
const importPrivate = ({ kty, crv, x, y, d }) =>
  subtle.importKey("jwk", { kty, crv, x, y, d }, { name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"]);
const agree = async (key, point) =>
  new Uint8Array(await subtle.deriveBits({ name: "ECDH", public: await importPoint(point) }, key, 256));

// --- HPKE base mode (RFC 9180): DHKEM(P-256, HKDF-SHA256) 0x0010, HKDF-SHA256 0x0001, AES-256-GCM 0x0002

const KEM_ID = join(utf8.encode("KEM"), Uint8Array.of(0, 0x10));
const HPKE_ID = join(utf8.encode("HPKE"), Uint8Array.of(0, 0x10, 0, 1, 0, 2));
const V1 = utf8.encode("HPKE-v1");
const extract = (suite, salt, label, ikm) => hmac(salt, V1, suite, utf8.encode(label), ikm);

async function expand(suite, prk, label, info, length) {
  const labelled = join(Uint8Array.of(length >> 8, length & 255), V1, suite, utf8.encode(label), info);
  // Never more than one block here.
  return (await hmac(prk, labelled, Uint8Array.of(1))).slice(0, length);
}

async function context(shared, enc, recipient, info) {
  const none = new Uint8Array(0);
  const eae = await extract(KEM_ID, none, "eae_prk", shared);
  const secret = await expand(KEM_ID, eae, "shared_secret", join(enc, recipient), 32);
  const psk = await extract(HPKE_ID, none, "psk_id_hash", none);
  const hashed = await extract(HPKE_ID, none, "info_hash", info);
  const schedule = join(Uint8Array.of(0), psk, hashed);
  const prk = await extract(HPKE_ID, secret, "secret", none);
  return { key: await expand(HPKE_ID, prk, "key", schedule, 32), iv: await expand(HPKE_ID, prk, "base_nonce", schedule, 12) };
}

async function gcm(use, key, iv, text, additionalData = new Uint8Array(0)) {
  const imported = await subtle.importKey("raw", key, "AES-GCM", false, [use]);
  return new Uint8Array(await subtle[use]({ name: "AES-GCM", iv, additionalData, tagLength: 128 }, imported, text));
}

// --- the form

const wrapInfo = (soul, indexedAt, id) => utf8.encode(canonical([SUITE, soul, indexedAt, id]));
const associated = (soul, oip, level) =>
  utf8.encode(canonical({ soul, recordType: oip.recordType, indexedAt: oip.indexedAt, creator: oip.creator, level }));
const signed = (domain, soul, oip, level, revision, data) =>
  join(utf8.encode(domain), Uint8Array.of(0), utf8.encode(canonical({
    soul, recordType: oip.recordType, indexedAt: oip.indexedAt, revision, creator: oip.creator, level, arrays: [], data,
  })));

/** Whether the creator signed; null for keys that WebCrypto does not know (secp256k1). */
async function verifies(creator, message, signature) {
  const raw = fromUrl(creator.publicKey);
  let algorithm, key, how;
  if (creator.didAddress.startsWith("did:arweave:")) {
    algorithm = { name: "RSA-PSS", hash: "SHA-256" };
    key = await subtle.importKey("jwk", { kty: "RSA", n: creator.publicKey, e: "AQAB" }, algorithm, false, ["verify"]);
    how = { name: "RSA-PSS", saltLength: 32 };
  } else if (raw.length === 32) {
    key = await subtle.importKey("raw", raw, { name: "Ed25519" }, false, ["verify"]);
    how = { name: "Ed25519" };
  } else if (creator.didAddress.startsWith("did:key:zDn")) {
    key = await subtle.importKey("raw", whole(raw), { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
    how = { name: "ECDSA", hash: "SHA-256" };
  } else {
    return null;
  }
  return subtle.verify(how, key, fromBase64(signature), message);
}

async function open(record, reader) {
  const oip = JSON.parse(record.oip);
  const data = JSON.parse(record.data);
  const { level, revision, commitment, recipients } = data.seal;
  const outer = await verifies(oip.creator, signed("oip-record-1/sealed", record.soul, oip, level, revision, data), oip.signature);
  const point = pointOf(reader);
  const id = await keyId(point);
  const wrap = recipients.find((one) => one.key === id && one.kem === "P-256");
  if (!wrap) throw new Error("sealed to others");
  const enc = whole(fromBase64(wrap.enc));
  const { key, iv } = await context(await agree(await importPrivate(reader), enc), enc, point, wrapInfo(record.soul, oip.indexedAt, id));
  const contentKey = await gcm("decrypt", key, iv, fromBase64(wrap.wrapped));
  if (toBase64(await hmac(contentKey, utf8.encode(FORM))) !== commitment) throw new Error("another key than committed to");
  const sealed = join(fromBase64(data.encrypted), fromBase64(data.tag));
  const text = await gcm("decrypt", contentKey, fromBase64(data.iv), sealed, associated(record.soul, oip, level));
  const content = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text));
  const inner = await verifies(oip.creator, signed("oip-record-1/private", record.soul, oip, level, 0, content.data), content.signature);
  return { soul: record.soul, outer, inner, content: content.data };
}

// --- making one, as a client that trusts no node with its plaintext

function padded(length) {
  if (length < 2) return length;
  const exponent = Math.floor(Math.log2(length));
  const kept = Math.floor(Math.log2(exponent)) + 1;
  const step = 2 ** (exponent - kept);
  return Math.ceil(length / step) * step;
}

/** Signs with a P-256 key; `s` in the lower half, as readers demand. */
async function sign(jwk, message) {
  const key = await subtle.importKey("jwk", jwk, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
  const signature = new Uint8Array(await subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key, message));
  const s = number(signature.slice(32));
  if (s * 2n > N) signature.set(bytes32(N - s), 32);
  return toBase64(signature);
}

const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
function didKey(point) {
  let n = number(join(Uint8Array.of(0x80, 0x24), compressed(point)));
  let text = "";
  for (; n > 0n; n /= 58n) text = BASE58[Number(n % 58n)] + text;
  return "did:key:z" + text;
}

async function wrapFor(reader, contentKey, soul, indexedAt) {
  const point = pointOf(reader);
  const id = await keyId(point);
  const ephemeral = await subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, true, ["deriveBits"]);
  const enc = new Uint8Array(await subtle.exportKey("raw", ephemeral.publicKey));
  const { key, iv } = await context(await agree(ephemeral.privateKey, point), enc, point, wrapInfo(soul, indexedAt, id));
  const wrapped = await gcm("encrypt", key, iv, contentKey);
  return { key: id, kem: "P-256", enc: toBase64(compressed(enc)), wrapped: toBase64(wrapped) };
}

async function seal({ creator: jwk, readers, local, recordType, indexedAt, level, content }) {
  const publicKey = toUrl(compressed(pointOf(jwk)));
  const creator = { didAddress: didKey(pointOf(jwk)), publicKey };
  const soul = hex(await sha256(utf8.encode(publicKey))).slice(0, 32) + ":" + local;
  const oip = { did: "did:gun:" + soul, recordType, indexedAt, ver: "0.8.0", creator, didTx: "did:gun:" + soul, scheme: "oip-record-1/sealed" };
  const signature = await sign(jwk, signed("oip-record-1/private", soul, oip, level, 0, content));
  const text = utf8.encode(canonical({ data: content, signature }));
  const plain = join(text, new Uint8Array(padded(text.length) - text.length).fill(0x20));
  const contentKey = crypto.getRandomValues(new Uint8Array(32));
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const sealed = await gcm("encrypt", contentKey, iv, plain, associated(soul, oip, level));
  const recipients = [];
  for (const reader of readers) recipients.push(await wrapFor(reader, contentKey, soul, indexedAt));
  const data = {
    encrypted: toBase64(sealed.slice(0, -16)), iv: toBase64(iv), tag: toBase64(sealed.slice(-16)), encryptionType: FORM,
    seal: { v: 1, revision: 0, level, commitment: toBase64(await hmac(contentKey, utf8.encode(FORM))), recipients },
  };
  oip.signature = await sign(jwk, signed("oip-record-1/sealed", soul, oip, level, 0, data));
  return { soul, data: JSON.stringify(data), oip: JSON.stringify(oip) };
}

// --- the command

async function main() {
  let input = "";
  for await (const chunk of process.stdin) input += chunk;
  const asked = JSON.parse(input);
  if (process.argv[2] === "seal") {
    console.log(JSON.stringify(await seal(asked)));
    return;
  }
  for (const record of asked.records) {
    for (const reader of asked.readers) console.log(JSON.stringify(await open(record, reader)));
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
