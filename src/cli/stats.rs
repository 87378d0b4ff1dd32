//! The statistics of a run as lines for people, or as one JSON object for programs.

use crate::exec::{InputStatistics, RunStatistics};
use crate::frame::StrataStatistics;
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
        ("least_memory_bytes", statistics.least_memory_bytes.to_string()),
        ("peak_resident_bytes", peak_resident_bytes().map_or_else(|| "null".to_owned(), |bytes| bytes.to_string())),
        ("threads", statistics.threads.to_string()),
        ("processes", statistics.processes.to_string()),
        ("passes_in_processes", statistics.passes_in_processes.to_string()),
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

/// The figures of the work on groups, behind those of the pass.
fn strata_figures(strata: &StrataStatistics) -> Vec<(&'static str, String)> {
    vec![
        ("strata", strata.strata.to_string()),
        ("strata_attempts", strata.attempts.to_string()),
        ("strata_failed", strata.failed.to_string()),
        ("strata_workers", strata.workers.to_string()),
        ("strata_bytes_memory", strata.bytes_in_memory.to_string()),
        ("strata_bytes_disk", strata.bytes_on_disk.to_string()),
        ("strata_seconds_busy", format!("{:.6}", strata.seconds_busy)),
        ("strata_seconds_wall", format!("{:.6}", strata.seconds_wall)),
    ]
}

fn all_figures(statistics: &RunStatistics, strata: Option<&StrataStatistics>) -> Vec<(&'static str, String)> {
    let mut all = figures(statistics);
    all.extend(strata.into_iter().flat_map(strata_figures));
    all
}

/// The most memory that the process has had, its code and the files mapped into it included, where the system tells.
fn peak_resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// One figure a line.
pub(super) fn text(statistics: &RunStatistics, strata: Option<&StrataStatistics>) -> String {
    let mut text = String::new();
    for (name, figure) in all_figures(statistics, strata) {
        let _ = writeln!(text, "{name:>20}  {figure}");
    }
    for why in &statistics.on_threads {
        let _ = writeln!(text, "{:>20}  {why}", "on_threads");
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
pub(super) fn json(statistics: &RunStatistics, strata: Option<&StrataStatistics>) -> String {
    let members = all_figures(statistics, strata).into_iter();
    let mut members: Vec<String> = members.map(|(name, figure)| format!("\"{name}\": {figure}")).collect();
    let input = |input: &InputStatistics| {
        let mut name = Vec::new();
        append_string(&input.input, &mut name);
        let (name, InputStatistics { passes, bytes_read, records_read, .. }) = (String::from_utf8_lossy(&name), input);
        format!(
            "{{\"input\": {name}, \"passes\": {passes}, \"bytes_read\": {bytes_read}, \"records_read\": {records_read}}}"
        )
    };
    let quoted = |text: &String| {
        let mut quoted = Vec::new();
        append_string(text, &mut quoted);
        String::from_utf8_lossy(&quoted).into_owned()
    };
    members
        .push(format!("\"on_threads\": [{}]", statistics.on_threads.iter().map(quoted).collect::<Vec<_>>().join(", ")));
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
        let value: serde_json::Value = serde_json::from_str(&json(&statistics, None)).unwrap();
        assert_eq!(value["passes"], 1);
        assert_eq!(value["rows_kept"][1], 4);
        assert_eq!(value["seconds_wall"], 0.0);
        assert_eq!(value["inputs"][0]["input"], "an \"odd\" name");
        assert!(value.get("strata").is_none());
        let strata = StrataStatistics { strata: 7, ..StrataStatistics::default() };
        let value: serde_json::Value = serde_json::from_str(&json(&statistics, Some(&strata))).unwrap();
        assert_eq!((&value["strata"], &value["strata_failed"]), (&7.into(), &0.into()));
    }
}
