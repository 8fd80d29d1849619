//! `bench`: measures Stayline beside the floors it stands on, prints a table, and writes
//! `target/bench.json`.
//!
//! ```text
//! cargo run --release -p stayline-benches -- [--quick] [--only NAME]...
//! ```
//!
//! Every figure is the median of five runs, taken in turns with those of its floor; the table
//! shows the smallest and largest too. Absolute numbers are those of this machine at this moment,
//! the client's share of the processors included; the ratios are what the targets speak of.
//! `link_receive_python` and `python_status` run `$PYTHON` (or `python3`) and are skipped when the
//! module is not built; `link_receive_c` and `c_status` compile programs with `$CC` (or `cc`), and
//! are skipped when the C library is not built. Missing a target is told, and is no failure; a
//! figure that cannot be measured is one.
//!
//! To compare with another commit, `make bench-against REV=…` runs both programs in turns
//! (`benches/against.py`).

mod events;
mod floors;
mod measures;
mod report;
mod samples;
mod scratch;
mod site;
mod socket;
mod stored;

use std::io;
use std::process::ExitCode;
use std::time::Instant;

use measures::{
    Scale, c, crowd, fanout, history, import, ingest, latency, memory, open, receive, replay,
    resume, status,
};
use report::Figure;
use site::failed;

const HELP: &str = "\
Measures Stayline beside the floors it stands on.

usage: bench [--quick] [--only NAME]...

  --quick       little of everything, to see that it works; the figures mean little
  --only NAME   only this one; may be given several times
  --help        this

The table goes to standard output, the same as JSON to target/bench.json.";

/// Either figures, or why there are none.
type Measured = Result<Vec<Figure>, String>;

/// Measures one line of the table, or a few that belong together.
type Measure = fn(Scale) -> io::Result<Measured>;

/// By name, in the order of the table.
const MEASURES: [(&str, Measure); 17] = [
    ("ingest_10", |scale| ingest::ten(scale).map(Ok)),
    ("ingest_1", |scale| ingest::one(scale).map(Ok)),
    ("ingest_1000_sessions", crowd::ingest),
    ("fanout_100", |scale| fanout::fanout(scale).map(Ok)),
    ("ack_latency", |scale| latency::ack(scale).map(Ok)),
    ("replay", |scale| replay::replay(scale).map(Ok)),
    ("core_apply", |scale| receive::core_apply(scale).map(Ok)),
    ("link_receive_rust", |scale| receive::rust(scale).map(Ok)),
    ("link_receive_c", c::link_receive),
    ("link_receive_python", receive::python),
    ("python_status", status::python),
    ("c_status", c::status),
    ("resume_1000", |scale| resume::resume(scale).map(Ok)),
    ("idle_sessions", memory::idle),
    ("history", |scale| history::history(scale).map(Ok)),
    ("open", |scale| open::open(scale).map(Ok)),
    ("import", import::import),
];

struct Arguments {
    scale: Scale,
    only: Vec<String>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some((memory::CHILD, rest)) = words.split_first().map(|(first, rest)| (&**first, rest)) {
        return told(memory::run_child(rest));
    }
    let arguments = match parse(words.into_iter()) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("bench: {message}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    told(run(&arguments))
}

fn told(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `None`: help was asked for.
fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut arguments = Arguments { scale: Scale { is_quick: false }, only: Vec::new() };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => arguments.scale.is_quick = true,
            "--only" => {
                let name = words.next().ok_or("--only needs a name")?;
                if !MEASURES.iter().any(|(known, _)| *known == name) {
                    let known = MEASURES.map(|(known, _)| known).join(", ");
                    return Err(format!("there is no {name:?}; there are {known}"));
                }
                arguments.only.push(name);
            }
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("{word:?} is not understood")),
        }
    }
    Ok(Some(arguments))
}

fn run(arguments: &Arguments) -> io::Result<()> {
    if cfg!(debug_assertions) && !arguments.scale.is_quick {
        return Err(failed("built without optimisation; use --release, or --quick"));
    }
    let (mut figures, mut skipped) = (Vec::new(), Vec::new());
    for (name, measure) in MEASURES {
        if !arguments.only.is_empty() && !arguments.only.iter().any(|only| only == name) {
            continue;
        }
        let started = Instant::now();
        match measure(arguments.scale).map_err(|error| failed(format!("{name}: {error}")))? {
            Ok(measured) => figures.extend(measured),
            Err(reason) => skipped.push(format!("{name}: {reason}")),
        }
        eprintln!("{name}: {:.1} s", started.elapsed().as_secs_f64());
    }
    if arguments.scale.is_quick {
        println!("--quick: the figures mean little\n");
    }
    print!("{}", report::table(&figures, &skipped));
    let path = scratch::target_folder().join("bench.json");
    report::write_json(&path, &figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Option<Arguments>, String> {
        parse(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn arguments_are_read_or_refused() {
        let arguments = parsed(&["--quick", "--only", "replay"]).unwrap().unwrap();
        assert!(arguments.scale.is_quick);
        assert_eq!(arguments.only, ["replay"]);
        assert!(parsed(&["--help"]).unwrap().is_none());
        for (words, told) in
            [(&["--only"][..], "needs a name"), (&["--only", "x"], "\"x\""), (&["-q"], "\"-q\"")]
        {
            let message = parsed(words).err().expect("refused");
            assert!(message.contains(told), "{message}");
        }
    }
}
