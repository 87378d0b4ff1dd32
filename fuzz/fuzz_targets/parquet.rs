#![no_main]

#[path = "../checks.rs"]
#[allow(dead_code, reason = "each target runs one check")]
mod checks;

/// A panic of a decoder that becomes an error is not a finding; the fuzzer's own hook would end the process.
fn panics_that_are_not_caught_are_findings() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !outcrop::panics::is_caught() {
            before(panic)
        }
    }));
}

libfuzzer_sys::fuzz_target!(init: panics_that_are_not_caught_are_findings(), |data: &[u8]| checks::parquet(data));
