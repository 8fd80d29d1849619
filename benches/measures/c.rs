//! `link_receive_c` and `c_status`: the same through the C border, from a program in C.
//!
//! The programs in `benches/c` are compiled here, against the release build of the library that
//! lies beside this one. Where there is no C compiler or no library, that is told.

use std::io;
use std::path::PathBuf;
use std::process::Command as Process;

use crate::events::frame;
use crate::measures::Scale;
use crate::measures::receive;
use crate::report::{Figure, Reference, Target};
use crate::samples::Samples;
use crate::scratch::{Scratch, workspace_folder};
use crate::site::failed;

/// Through a coordinator, from C. The error is the reason why it cannot be measured.
pub fn link_receive(scale: Scale) -> io::Result<Result<Vec<Figure>, String>> {
    let scratch = Scratch::new()?;
    let program = match compiled(&scratch, "link_receive")? {
        Ok(program) => program,
        Err(reason) => return Ok(Err(reason)),
    };
    let count = receive::events(scale);
    let arguments = [count.to_string(), frame(7)];
    let (mut samples, mut reference) = (Samples::default(), Samples::default());
    for _ in 0..Scale::RUNS {
        reference.push(receive::apply_all(count)?);
        samples.push(receive::told(Process::new(&program).args(&arguments))?);
    }
    let target = Target::at_most(1.2);
    Ok(Ok(vec![receive::figure("link_receive_c", samples, reference, target)]))
}

/// A look at a session, beside an empty call through the same border.
pub fn status(scale: Scale) -> io::Result<Result<Vec<Figure>, String>> {
    let scratch = Scratch::new()?;
    let program = match compiled(&scratch, "status")? {
        Ok(program) => program,
        Err(reason) => return Ok(Err(reason)),
    };
    let count = scale.pick(20_000_000, 100_000).to_string();
    let run = |what: &str| {
        let microseconds = receive::told(Process::new(&program).args([&count, what]))?;
        Ok::<f64, io::Error>(microseconds * 1_000.0)
    };
    let [mut active, mut status, mut empty]: [Samples; 3] = Default::default();
    for _ in 0..Scale::RUNS {
        empty.push(run("empty")?);
        active.push(run("active")?);
        status.push(run("status")?);
    }
    let note = format!("the status alone, without its id: {:.1} ns", status.median());
    Ok(Ok(vec![Figure {
        name: "c_status",
        unit: "ns a call",
        samples: active,
        reference: Some(Reference { name: "an empty guarded call".into(), samples: empty }),
        target: Target::at_most(15.0),
        note: Some(note),
    }]))
}

/// The program of that name, or why there is none.
fn compiled(scratch: &Scratch, name: &str) -> io::Result<Result<PathBuf, String>> {
    let workspace = workspace_folder();
    // Beside this program: the same profile.
    let folder = std::env::current_exe()?.parent().map(PathBuf::from).unwrap_or_default();
    let library = folder.join(format!("libstayline_ffi.{}", std::env::consts::DLL_EXTENSION));
    if !library.exists() {
        return Ok(Err(format!("{} is not built", library.display())));
    }
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let program = scratch.file(name);
    let compiled = Process::new(&compiler)
        .args(["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(workspace.join("include"))
        .arg(workspace.join(format!("benches/c/{name}.c")))
        .arg(&library)
        .arg(format!("-Wl,-rpath,{}", folder.display()))
        .arg("-o")
        .arg(&program)
        .output();
    match compiled {
        Ok(output) if output.status.success() => Ok(Ok(program)),
        Ok(output) => Err(failed(String::from_utf8_lossy(&output.stderr))),
        Err(error) => Ok(Err(format!("{}: {error}", compiler.display()))),
    }
}
