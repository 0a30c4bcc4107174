#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = paceline_core::fuzzing::protocol(data);
});
