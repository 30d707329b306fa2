//! The card is one, conversations are several: they take turns.

use std::{
    ops::ControlFlow,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use engine::{Cancel, Error, Finish, Message};

use crate::common::{
    card::{machine, open},
    checked, most, say,
};

const QUESTIONS: [&str; 2] = ["Why is the sky blue?", "Name three rivers."];

fn user(text: &str) -> Vec<Message> {
    vec![Message::user(text)]
}

#[test]
fn two_threads_both_get_the_right_text() {
    machine(two_threads_both_get_the_right_text, &[], || {
        let model = open();
        let alone = QUESTIONS.map(|question| say(&mut model.session(), &user(question), &most(12)).text);
        let threads = QUESTIONS.map(|question| {
            let mut session = model.session();
            thread::spawn(move || [0, 1, 2].map(|_| say(&mut session, &user(question), &most(12)).text))
        });
        for (thread, expected) in threads.into_iter().zip(&alone) {
            assert!(thread.join().unwrap().iter().all(|text| text == expected), "{expected:?}");
        }
    });
}

#[test]
fn whoever_waits_can_be_cancelled() {
    machine(whoever_waits_can_be_cancelled, &[], || {
        let model = open();
        let expected = say(&mut model.session(), &user(QUESTIONS[0]), &most(12)).text;
        let (speaking, spoke) = mpsc::channel();
        let (finish, finished) = mpsc::channel::<()>();
        let mut first = model.session();
        let holder = thread::spawn(move || {
            let mut chunks = Vec::new();
            let reply = first.reply(&user(QUESTIONS[0]), &most(12), &Cancel::default(), &mut |chunk| {
                if chunks.is_empty() {
                    speaking.send(()).unwrap();
                    finished.recv().unwrap();
                }
                chunks.push(chunk);
                ControlFlow::Continue(())
            });
            checked(chunks, reply.unwrap(), &most(12)).text
        });
        spoke.recv().unwrap();
        // the device is held until `finish`
        let (cancel, started) = (Cancel::default(), Instant::now());
        let stop = cancel.clone();
        let timer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            stop.set();
        });
        let mut second = model.session();
        let error = second.reply(&user(QUESTIONS[1]), &most(12), &cancel, &mut |chunk| panic!("{chunk:?}"));
        let error = error.unwrap_err();
        assert!(matches!(error, Error::Cancelled) && error.code() == "cancelled", "{error}");
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        timer.join().unwrap();
        finish.send(()).unwrap();
        assert_eq!(holder.join().unwrap(), expected, "whoever waited has changed nothing");
        assert!(!say(&mut second, &user(QUESTIONS[1]), &most(12)).text.is_empty());
    });
}

#[test]
fn a_cancelled_reply_leaves_nothing_to_the_next() {
    machine(a_cancelled_reply_leaves_nothing_to_the_next, &[], || {
        let model = open();
        let alone = QUESTIONS.map(|question| say(&mut model.session(), &user(question), &most(12)).text);
        let mut session = model.session();
        for at in [0, 1, 1, 0] {
            let (cancel, mut heard) = (Cancel::default(), 0);
            let reply = session.reply(&user(QUESTIONS[at]), &most(12), &cancel, &mut |_| {
                heard += 1;
                if heard == 3 {
                    cancel.set();
                }
                ControlFlow::Continue(())
            });
            assert_eq!(reply.unwrap().finish, Finish::Cancelled);
            assert_eq!(say(&mut session, &user(QUESTIONS[1 - at]), &most(12)).text, alone[1 - at]);
        }
        // a listener that panics gives the device back all the same
        let panicked = thread::spawn({
            let mut session = model.session();
            move || {
                let hear = &mut |_| -> ControlFlow<()> { panic!("on purpose") };
                session.reply(&user(QUESTIONS[0]), &most(12), &Cancel::default(), hear).map(drop)
            }
        });
        assert!(panicked.join().is_err());
        assert_eq!(say(&mut session, &user(QUESTIONS[0]), &most(12)).text, alone[0]);
    });
}
