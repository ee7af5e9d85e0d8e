//! The sealed form of private records. Owns nothing: the rules that must hold are in `oip_gun_fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| oip_gun_fuzz::sealed(input));
