//! The name of this program, as people know it: of a script its own, not its interpreter's. No other
//! arguments: they may be secrets.

use std::path::Path;

/// Bytes of a name that are kept.
const LONGEST: usize = 200;

/// This program's name, where the system tells it.
pub(super) fn this() -> Option<String> {
    // What the process was called with; a library's own view of that depends on how it was loaded.
    let line = std::fs::read("/proc/self/cmdline").ok();
    let arguments = match &line {
        Some(line) => line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect(),
        None => Vec::new(),
    };
    name_of(arguments.iter().map(AsRef::as_ref)).or_else(|| {
        let path = std::env::current_exe().ok()?;
        Some(cut(path.file_name()?.to_str()?))
    })
}

fn name_of<'a>(mut arguments: impl Iterator<Item = &'a str>) -> Option<String> {
    let interpreter = base(arguments.next()?)?;
    if !interpreter.starts_with("python") && !interpreter.starts_with("pypy") {
        return Some(cut(interpreter));
    }
    while let Some(argument) = arguments.next() {
        match argument {
            // Options with a value of their own.
            "-W" | "-X" | "--check-hash-based-pycs" => {
                arguments.next();
            }
            option if option.starts_with("--") => {}
            option if option.starts_with('-') && option.ends_with('m') => {
                return Some(cut(&format!("{interpreter} -m {}", arguments.next()?)));
            }
            // Code, in which there may be anything.
            option if option.starts_with('-') && option.ends_with('c') => break,
            option if option.starts_with('-') => {}
            script => return base(script).map(cut),
        }
    }
    Some(cut(interpreter))
}

fn base(path: &str) -> Option<&str> {
    Path::new(path).file_name()?.to_str()
}

fn cut(name: &str) -> String {
    name[..name.floor_char_boundary(LONGEST)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_has_its_own_name_and_nothing_secret() {
        let name = |line: &str| name_of(line.split(' '));
        for (line, told) in [
            ("/usr/bin/agent --key secret", "agent"),
            ("/venv/bin/python /venv/bin/stayline serve --key secret", "stayline"),
            ("python3 -W error -m stayline serve --key secret", "python3 -m stayline"),
            ("python3.11 -X dev -I host.py secret", "host.py"),
            ("python -Im stayline", "python -m stayline"),
            ("python -c secret", "python"),
            ("python -Ic secret", "python"),
            ("python -i", "python"),
            ("python", "python"),
            ("pypy3 ./a/b.py", "b.py"),
        ] {
            assert_eq!(name(line).as_deref(), Some(told), "{line}");
        }
        assert_eq!(name_of([].into_iter()), None);
        assert_eq!(name_of([""].into_iter()), None);
        assert_eq!(name(&"ä".repeat(500)).map(|name| name.len()), Some(LONGEST));
        assert!(this().is_some());
    }
}
