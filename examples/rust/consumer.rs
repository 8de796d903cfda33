//! Two consumers of the same deliveries: each event is worked on once, whoever comes first.
//!
//! `mark_seen` is one step with no claim: right where the work is cheap to lose or to repeat. It is called
//! before the work here, so that a crash in between loses that event's work; where that must not be, begin
//! the event as a request and complete it.
//!
//! `cargo run -p semel-examples --bin consumer -- ./seen examples/rust/events.txt`

use std::time::Duration;

use semel::Store;

/// For as long as the queue may deliver again.
const WINDOW: Duration = Duration::from_secs(3 * 24 * 3600);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(path), Some(events)) = (args.next(), args.next()) else {
        return Err("usage: consumer DIRECTORY EVENTS".into());
    };
    let store = Store::open(path)?;
    let text = std::fs::read_to_string(&events).map_err(|e| format!("{events}: {e}"))?;
    let deliveries: Vec<_> =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' ')).collect();

    let counts = std::thread::scope(|scope| {
        let consumers = ["left", "right"].map(|name| {
            let (store, deliveries) = (&store, &deliveries);
            scope.spawn(move || consume(name, store, deliveries))
        });
        consumers.map(|consumer| consumer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let mut worked = 0;
    for count in counts {
        worked += count?;
    }
    println!("{} deliveries to each of two consumers, {worked} events worked on", deliveries.len());
    Ok(())
}

/// Works on the events that nobody has seen; how many those were.
fn consume(name: &str, store: &Store, deliveries: &[(&str, &str)]) -> semel::Result<usize> {
    let mut worked = 0;
    for (id, event) in deliveries {
        if store.mark_seen("orders", *id, WINDOW)? {
            println!("{name:<6} {id}: {event}");
            worked += 1;
        }
    }
    Ok(worked)
}
