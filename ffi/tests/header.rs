//! Keeps `include/stayline.h` true: writes it anew from the sources, and fails when it was not.

use std::path::{Path, PathBuf};

/// What stands at the top of the header.
const HEAD: &str = include_str!("header_head.txt");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn generated() -> String {
    let mut config = cbindgen::Config::from_file(root().join("ffi/cbindgen.toml")).unwrap();
    config.include_guard = Some("STAYLINE_H".to_owned());
    let mut parts = env!("CARGO_PKG_VERSION").splitn(3, '.');
    let mut part = || parts.next().expect("three parts").to_owned();
    let version = format!(
        "/**\n * The version of this header; `stayline_version` tells that of the library.\n */\n\
         #define STAYLINE_VERSION \"{}\"\n\n\
         /**\n * Its first number.\n */\n#define STAYLINE_VERSION_MAJOR {}\n\n\
         /**\n * Its second number.\n */\n#define STAYLINE_VERSION_MINOR {}\n\n\
         /**\n * Its third number.\n */\n#define STAYLINE_VERSION_PATCH {}\n",
        env!("CARGO_PKG_VERSION"),
        part(),
        part(),
        part(),
    );
    let (story, includes) = HEAD.split_once("\n----\n").expect("a line of dashes");
    config.header = Some(story.to_owned());
    config.after_includes = Some(format!("{includes}\n{version}"));
    let bindings = cbindgen::Builder::new()
        .with_config(config)
        .with_crate(env!("CARGO_MANIFEST_DIR"))
        .generate()
        .expect("the sources are read");
    let mut text = Vec::new();
    bindings.write(&mut text);
    with_defaults(&tidy(&String::from_utf8(text).expect("UTF-8")))
}

/// Behind each function that initialises a struct, one that returns it: compiled into the caller, so
/// that a library with a longer struct writes no further than the caller's goes.
fn with_defaults(header: &str) -> String {
    let mut text = String::new();
    let mut name = None;
    for line in header.lines() {
        text += line;
        text += "\n";
        let begun = line.strip_prefix("void ").and_then(|rest| rest.split_once("_init("));
        name = begun.map(|(name, _)| name).or(name);
        if let Some(name) = name.take_if(|_| line.ends_with(';')) {
            text += &format!(
                "\n/**\n * What `{name}_init` writes, for the struct of this header. Threads: any.\n \
                 */\nstatic inline {name} {name}_default(void)\n{{\n    {name} options;\n    \
                 {name}_init(&options, sizeof options);\n    return options;\n}}\n"
            );
        }
    }
    text
}

/// As a person would have typed it.
fn tidy(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.trim_end().replace(" ** out", " **out");
        let is_number = line.starts_with("#define") && line.split(' ').count() == 3;
        match line.split_once(" -").filter(|_| is_number) {
            Some((name, number)) => format!("{name} (-{number})"),
            None => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn the_header_is_what_the_sources_say() {
    let path = root().join("include/stayline.h");
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let generated = generated();
    if committed != generated {
        std::fs::write(&path, generated).unwrap();
        panic!(
            "include/stayline.h was out of date; it has been written anew: look at it, commit it"
        );
    }
}
