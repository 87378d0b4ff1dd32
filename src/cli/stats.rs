//! The statistics of a run as lines for people, or as one JSON object for programs.

use crate::exec::{InputStatistics, RunStatistics};
use crate::write::text::append_string;
use std::fmt::Write;

/// Every figure by name, in the order shown.
fn figures(statistics: &RunStatistics) -> Vec<(&'static str, String)> {
    let seconds = &statistics.seconds;
    let rows: Vec<String> = statistics.rows_kept.iter().map(u64::to_string).collect();
    vec![
        ("passes", statistics.passes.to_string()),
        ("passes_repeated", statistics.passes_repeated.to_string()),
        ("bytes_stored", statistics.bytes_stored.to_string()),
        ("bytes_read", statistics.bytes_read.to_string()),
        ("bytes_reread", statistics.bytes_reread.to_string()),
        ("partitions", statistics.partitions.to_string()),
        ("records_read", statistics.records_read.to_string()),
        ("records_rejected", statistics.records_rejected.to_string()),
        ("records_padded", statistics.records_padded.to_string()),
        ("headers_repeated", statistics.headers_repeated.to_string()),
        ("values_rejected", statistics.values_rejected.to_string()),
        ("rows_kept", format!("[{}]", rows.join(", "))),
        ("rows_written", statistics.rows_written.to_string()),
        ("bytes_written", statistics.bytes_written.to_string()),
        ("files_written", statistics.files_written.to_string()),
        ("fields_recoded", statistics.fields_recoded.to_string()),
        ("bytes_spilled", statistics.bytes_spilled.to_string()),
        ("peak_held_bytes", statistics.peak_held_bytes.to_string()),
        ("threads", statistics.threads.to_string()),
        ("seconds_sample", format!("{:.6}", seconds.sample)),
        ("seconds_decompress", format!("{:.6}", seconds.decompress)),
        ("seconds_parse", format!("{:.6}", seconds.parse)),
        ("seconds_evaluate", format!("{:.6}", seconds.evaluate)),
        ("seconds_commit", format!("{:.6}", seconds.commit)),
        ("seconds_absorb", format!("{:.6}", seconds.absorb)),
        ("seconds_finish", format!("{:.6}", seconds.finish)),
        ("seconds_wall", format!("{:.6}", seconds.wall)),
    ]
}

/// One figure a line.
pub(super) fn text(statistics: &RunStatistics) -> String {
    let mut text = String::new();
    for (name, figure) in figures(statistics) {
        let _ = writeln!(text, "{name:>20}  {figure}");
    }
    for input in &statistics.inputs {
        let passes = if input.passes == 1 { "pass" } else { "passes" };
        let InputStatistics { input, passes: count, bytes_read, records_read } = input;
        let _ =
            writeln!(text, "{:>20}  {input}: {count} {passes}, {bytes_read} bytes, {records_read} records", "input");
    }
    text
}

/// One JSON object on one line.
pub(super) fn json(statistics: &RunStatistics) -> String {
    let mut members: Vec<String> =
        figures(statistics).into_iter().map(|(name, figure)| format!("\"{name}\": {figure}")).collect();
    let input = |input: &InputStatistics| {
        let mut name = Vec::new();
        append_string(&input.input, &mut name);
        let (name, InputStatistics { passes, bytes_read, records_read, .. }) = (String::from_utf8_lossy(&name), input);
        format!(
            "{{\"input\": {name}, \"passes\": {passes}, \"bytes_read\": {bytes_read}, \"records_read\": {records_read}}}"
        )
    };
    members.push(format!("\"inputs\": [{}]", statistics.inputs.iter().map(input).collect::<Vec<_>>().join(", ")));
    format!("{{{}}}\n", members.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_form_is_json() {
        let input = InputStatistics { input: "an \"odd\" name".into(), passes: 1, bytes_read: 7, records_read: 2 };
        let inputs = vec![input];
        let statistics = RunStatistics { rows_kept: vec![3, 4], passes: 1, inputs, ..RunStatistics::default() };
        let value: serde_json::Value = serde_json::from_str(&json(&statistics)).unwrap();
        assert_eq!(value["passes"], 1);
        assert_eq!(value["rows_kept"][1], 4);
        assert_eq!(value["seconds_wall"], 0.0);
        assert_eq!(value["inputs"][0]["input"], "an \"odd\" name");
    }
}
