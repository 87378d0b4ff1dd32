//! Imports point down: a module uses only those that stand above it in `src/lib.rs`.

use std::path::{Path, PathBuf};

/// The modules in layer order, as `src/lib.rs` lists them.
fn layers() -> Vec<String> {
    let text = std::fs::read_to_string("src/lib.rs").unwrap();
    text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned)).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Uses of `crate::module` in code that are not in tests, as (module, line).
fn uses(text: &str) -> Vec<(String, usize)> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for part in line.split("crate::").skip(1) {
            let module: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push((module, number + 1));
        }
    }
    found
}

#[test]
fn imports_point_down_the_layers() {
    let layers = layers();
    assert!(layers.len() >= 10, "the layers are read from src/lib.rs: {layers:?}");
    let level = |module: &str| layers.iter().position(|layer| layer == module);
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    let mut upward = Vec::new();
    for file in &files {
        let relative = file.strip_prefix("src").unwrap();
        let module = relative.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned();
        let Some(own) = level(&module) else { continue };
        for (used, line) in uses(&std::fs::read_to_string(file).unwrap()) {
            if level(&used).is_some_and(|used| used > own) {
                upward.push(format!("{}:{line} uses crate::{used}", file.display()));
            }
        }
    }
    assert!(upward.is_empty(), "imports that point up:\n{}", upward.join("\n"));
}

#[test]
fn every_folder_of_sources_is_a_layer() {
    let layers = layers();
    for entry in std::fs::read_dir("src").unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().trim_end_matches(".rs").to_owned();
        assert!(["lib", "main"].contains(&name.as_str()) || layers.contains(&name), "src/{name} is no layer");
    }
}
