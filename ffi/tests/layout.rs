//! Reads off the header what `src/layout.rs` measures, and fails when that was not all.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The file that defines an item, as its module is called.
fn module(sources: &[(String, String)], kind: &str, name: &str) -> String {
    let declared = |text: &str| {
        let start = format!("pub {kind} {name}");
        text.match_indices(&start).any(|(at, _)| {
            !text[at + start.len()..]
                .starts_with(|next: char| next.is_alphanumeric() || next == '_')
        })
    };
    let found = sources.iter().find(|(_, text)| declared(text));
    found.unwrap_or_else(|| panic!("`pub {kind} {name}` is nowhere")).0.clone()
}

/// `STORE_IN_USE` as `StoreInUse`.
fn in_rust(member: &str) -> String {
    let words = member.split('_').map(|word| word[..1].to_owned() + &word[1..].to_lowercase());
    words.collect()
}

/// The code of a header, without comments.
fn code(header: &str) -> String {
    let mut rest = header;
    let mut code = String::new();
    while let Some((before, comment)) = rest.split_once("/*") {
        code += before;
        rest = comment.split_once("*/").expect("comments end").1;
    }
    code + rest
}

/// What stands between the braces behind `start`, and what follows them.
fn braces(start: &str) -> (&str, &str) {
    let (_, inside) = start.split_once('{').expect("a brace");
    inside.split_once('}').expect("a brace")
}

/// The name of `bool late`, `const char *data`, `void (*drop)(void *user_data)`.
fn field_name(field: &str) -> &str {
    let field = match field.split_once("(*") {
        Some((_, pointer)) => pointer.split(')').next().unwrap(),
        None => field,
    };
    field.trim().rsplit([' ', '*']).next().unwrap()
}

fn items(header: &str, sources: &[(String, String)]) -> String {
    let code = code(header);
    let mut text = "\
// Written by `cargo test -p stayline-ffi --test layout` from the header; do not edit it.
layout! {
    constants {
"
    .to_owned();
    for line in code.lines().filter_map(|line| line.strip_prefix("#define ")) {
        let name = line.split(' ').next().unwrap();
        // Of the header alone: its guard, its version, and what takes arguments.
        let own =
            name.starts_with("STAYLINE_VERSION") || name == "STAYLINE_H" || name.contains('(');
        if !own {
            writeln!(text, "        {}::{name},", module(sources, "const", name)).unwrap();
        }
    }
    text += "    }\n    enums {\n";
    for (at, _) in code.match_indices("\nenum ") {
        let name = code[at + 6..].split_whitespace().next().unwrap();
        writeln!(text, "        {}::{name} {{", module(sources, "enum", name)).unwrap();
        for member in braces(&code[at..]).0.split(',') {
            let c_name = member.split('=').next().unwrap().trim();
            if let Some(rust_name) = c_name.get(name.len() + 1..) {
                writeln!(text, "            {} = {c_name},", in_rust(rust_name)).unwrap();
            }
        }
        text += "        }\n";
    }
    text += "    }\n    structs {\n";
    for (at, _) in code.match_indices("\ntypedef struct {") {
        let (fields, after) = braces(&code[at..]);
        let name = after.split(';').next().unwrap().trim();
        writeln!(text, "        {}::{name} {{", module(sources, "struct", name)).unwrap();
        for field in fields.split(';').map(str::trim).filter(|field| !field.is_empty()) {
            writeln!(text, "            {},", field_name(field)).unwrap();
        }
        text += "        }\n";
    }
    text + "    }\n}\n"
}

#[test]
fn every_item_of_the_header_is_measured() {
    let header = std::fs::read_to_string(here().join("../include/stayline.h")).unwrap();
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(here().join("src")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let sources: Vec<(String, String)> = paths
        .iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();

    let path = here().join("src/layout_items.rs");
    let items = items(&header, &sources);
    if std::fs::read_to_string(&path).unwrap_or_default() != items {
        std::fs::write(&path, items).unwrap();
        panic!("ffi/src/layout_items.rs was out of date; it has been written anew: commit it");
    }
}
