//! A connection that runs random commands and records what it was told.

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::Sender;

use super::checker::{Call, Event, History};
use super::model::{Action, End, Step};
use crate::kill::{Conn, Reply};

/// The history as it comes to be: its lock makes the order of the events that of time.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    history: Mutex<History>,
    /// No value is written twice.
    values: AtomicU64,
}

impl Recorder {
    fn begin(&self, call: Call) -> usize {
        let mut history = self.history.lock().unwrap();
        let at = history.calls.len();
        history.calls.push(call);
        history.events.push(Event::Begin(at));
        at
    }
    fn end(&self, at: usize, reply: Reply) {
        let mut history = self.history.lock().unwrap();
        history.calls[at].reply = Some(reply);
        history.events.push(Event::End(at));
    }
    pub(super) fn crash(&self) {
        self.history.lock().unwrap().events.push(Event::Crash);
    }
    pub(super) fn into_history(self) -> History {
        self.history.into_inner().unwrap()
    }
    fn value(&self) -> u64 {
        self.values.fetch_add(1, Relaxed)
    }
}

/// Runs commands until the connection breaks.
pub(super) fn run(
    addr: SocketAddr,
    seed: u64,
    objects: usize,
    recorder: &Recorder,
    replied: &Sender<()>,
) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut live = || -> io::Result<()> {
        let mut conn = Conn::new(addr)?;
        loop {
            let object = rng.usize(..objects);
            let action = match rng.u8(..10) {
                0 | 1 => Action::Multi(
                    (0..rng.usize(1..5))
                        .map(|_| step(&mut rng, recorder))
                        .filter(|step| !step.waits())
                        .collect(),
                ),
                2 => watch(&mut conn, object, recorder)?,
                _ => Action::One(step(&mut rng, recorder)),
            };
            say(&mut conn, object, action, recorder)?;
            if replied.send(()).is_err() {
                return Ok(());
            }
        }
    };
    // It ends with the server.
    let _ = live();
}

fn step(rng: &mut fastrand::Rng, recorder: &Recorder) -> Step {
    let mut end = || if rng.bool() { End::Left } else { End::Right };
    let (from, to) = (end(), end());
    let list = rng.usize(..2);
    match rng.u8(..16) {
        0 | 1 => Step::Get,
        2 => Step::Set(recorder.value()),
        3 | 4 => Step::Swap(recorder.value()),
        5 | 6 => Step::Add(rng.i64(-3..5)),
        7 | 8 => Step::Push(list, to, recorder.value()),
        9 | 10 => Step::Pop(list, from),
        11 => Step::Range(list),
        12 => Step::Move(list, from, to),
        13 => Step::WaitMove(list, from, to),
        _ => Step::WaitPop(list, from),
    }
}

/// WATCH and GET, for what follows.
fn watch(conn: &mut Conn, object: usize, recorder: &Recorder) -> io::Result<Action> {
    let words = |request: String| request.split(' ').map(|word| word.as_bytes().to_vec()).collect();
    let requests = [words(format!("WATCH o{object}:r")), words(Step::Get.request(object))];
    let seen = match &conn.ask(&requests)?[1] {
        Reply::Bulk(None) => None,
        Reply::Bulk(Some(text)) => Some(String::from_utf8_lossy(text).parse().unwrap()),
        other => panic!("GET answers {other:?}"),
    };
    Ok(Action::Replace { seen, new: recorder.value() })
}

/// Runs one action and records it.
pub(super) fn say(
    conn: &mut Conn,
    object: usize,
    action: Action,
    recorder: &Recorder,
) -> io::Result<()> {
    let requests: Vec<String> = match &action {
        Action::One(step) => vec![step.request(object)],
        Action::Multi(steps) => std::iter::once("MULTI".to_owned())
            .chain(steps.iter().map(|step| step.request(object)))
            .chain(["EXEC".to_owned()])
            .collect(),
        Action::Replace { new, .. } => {
            ["MULTI".to_owned(), Step::Set(*new).request(object), "EXEC".to_owned()].into()
        }
    };
    let words = |request: &String| request.split(' ').map(|w| w.as_bytes().to_vec()).collect();
    let requests: Vec<Vec<Vec<u8>>> = requests.iter().map(words).collect();
    let at = recorder.begin(Call { object, action, reply: None });
    let reply = conn.ask(&requests)?.pop().expect("a reply to each request");
    recorder.end(at, reply);
    Ok(())
}
