//! Test support: real node processes, real gun.js relays, a raw GUN client.
