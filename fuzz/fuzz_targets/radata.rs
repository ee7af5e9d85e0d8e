//! The files of a relay's disk. Owns nothing: the rules that must hold are in `oip_gun_fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| oip_gun_fuzz::radata(input));
