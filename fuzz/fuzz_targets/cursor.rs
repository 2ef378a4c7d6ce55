#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trackside::front_doors::cursor(bytes));
