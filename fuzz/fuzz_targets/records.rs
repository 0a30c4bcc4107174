#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = paceline::fuzzing::records_in_one_form(data);
});
