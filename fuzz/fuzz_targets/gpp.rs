#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ingestion::fuzzing::gpp(data));
