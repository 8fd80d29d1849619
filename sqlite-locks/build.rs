//! Compiles the C part, against the header of the SQLite that it is for.

fn main() {
    println!("cargo:rerun-if-changed=src/locks.c");
    let target = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if !matches!(target.as_str(), "linux" | "android") {
        return;
    }
    println!("cargo:rerun-if-env-changed=DEP_SQLITE3_INCLUDE");
    let mut build = cc::Build::new();
    if let Some(folder) = std::env::var_os("DEP_SQLITE3_INCLUDE") {
        build.include(folder);
    }
    build.file("src/locks.c").compile("staylinelocks");
}
