//! Ranges of names, and which names lie in them. Owns nothing: the rules that must hold are in `oip_gun_fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| oip_gun_fuzz::lex(input));
