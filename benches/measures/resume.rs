//! `resume_1000`: a wrapper that has held a thousand events while there was no server, from the
//! moment that it is connected to the last acknowledgement. It is the wrapper of `net::client`, as
//! hosts use it. The floor commits as many rows in one transaction.

use std::io;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use stayline::Settings;
use stayline::coordinator::{Coordinator, Options, StartOptions};
use stayline::net::client::{Wrapper, WrapperOptions};
use stayline::net::server::{ServerOptions, serve};
use stayline::wrapper::SendOptions;

use crate::events;
use crate::floors::rows;
use crate::measures::Scale;
use crate::report::{Figure, Reference, Target};
use crate::samples::Samples;
use crate::scratch::Scratch;
use crate::site::{PATIENCE, failed};

/// What a wrapper holds by default.
const BUFFERED: u64 = 1_000;
/// Between two looks at the wrapper: far below what is measured.
const LOOK: Duration = Duration::from_micros(20);

/// The default buffer, full.
pub fn resume(scale: Scale) -> io::Result<Vec<Figure>> {
    let (mut samples, mut floor) = (Samples::default(), Samples::default());
    let rounds = scale.pick(3, 1) as usize * Scale::RUNS;
    for _ in 0..rounds {
        let scratch = Scratch::new()?;
        let elapsed = rows::insert(&scratch.file("floor.db"), BUFFERED, 1).map_err(failed)?;
        floor.push(milliseconds(elapsed));
        drop(scratch);
        samples.push(milliseconds(run()?));
    }
    Ok(vec![Figure {
        name: "resume_1000",
        unit: "ms",
        samples,
        reference: Some(Reference {
            name: "one commit of 1 000 rows in SQLite".into(),
            samples: floor,
        }),
        target: Target::at_most(2.0),
        note: None,
    }])
}

fn run() -> io::Result<Duration> {
    let scratch = Scratch::new()?;
    let coordinator =
        Coordinator::open(&scratch.location("runs.db"), Options::default()).map_err(failed)?;
    let session = coordinator.session("session").map_err(failed)?;
    let started = session.start(StartOptions::default()).map_err(failed)?;
    // Free, and known before anybody listens there.
    let reserved = TcpListener::bind("127.0.0.1:0")?;
    let address = reserved.local_addr()?;
    drop(reserved);
    let wrapper = Wrapper::open(WrapperOptions {
        url: format!("http://{address}"),
        session_id: "session".into(),
        execution_id: started.execution_id.to_string(),
        token: Some(started.token.to_string()),
        settings: Settings { reconnect_base_ms: 50, reconnect_cap_ms: 50, ..Settings::default() },
        retry_first: true,
        ..WrapperOptions::default()
    });
    let wrapper = wrapper.map_err(failed)?;
    for number in 0..BUFFERED {
        let data = events::data(number);
        wrapper.send("output", &data, SendOptions::default()).map_err(failed)?;
    }
    let server = serve(coordinator.clone(), &address.to_string(), ServerOptions::default());
    let server = server.map_err(failed)?;
    wrapper.wait_connected(Some(PATIENCE)).map_err(failed)?;
    let connected = Instant::now();
    while wrapper.buffered() + wrapper.unacknowledged() > 0 {
        if connected.elapsed() > PATIENCE {
            return Err(failed("the events are not acknowledged"));
        }
        std::thread::sleep(LOOK);
    }
    let elapsed = connected.elapsed();
    let stored = session.count_events(&Default::default()).map_err(failed)?;
    wrapper.close_without_waiting();
    server.close();
    match stored {
        BUFFERED => Ok(elapsed),
        _ => Err(failed(format!("{stored} events are stored"))),
    }
}

fn milliseconds(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1e3
}
