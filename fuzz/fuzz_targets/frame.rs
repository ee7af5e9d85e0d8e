//! Whole frames as they come from a socket. Owns nothing: the rules that must hold are in `oip_gun_fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| oip_gun_fuzz::frame(input));
