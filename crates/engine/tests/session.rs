//! Sessions on the CPU: replies against the oracle, usage, ends, and conversations that do not meet.
#![allow(clippy::unwrap_used)] // a test's way to fail

mod common;

use std::{
    ops::ControlFlow,
    sync::{Arc, LazyLock},
    thread,
    time::Duration,
};

use common::{checked, fail, messages, most, say, text_of};
use engine::{
    Cancel, Error, Finish, LoadOptions, Message, Model, ModelOptions, Overflow, PromptError, Request,
    SamplerOptions, Session, Source,
};

static MODEL: LazyLock<Arc<Model>> = LazyLock::new(|| open(Some(8192)));

fn open(context_length: Option<usize>) -> Arc<Model> {
    let weights = test_support::default_model();
    let source = Source::Cpu { weights, context_length, options: LoadOptions::default() };
    Model::open(&ModelOptions { source, tokenizer: None, min_response_space: None }).unwrap()
}

fn sky() -> Vec<Message> {
    vec![Message::user("Why is the sky blue?")]
}

/// The conversation with what was said and a new question.
fn then(mut messages: Vec<Message>, reply: &str, question: &str) -> Vec<Message> {
    messages.extend([Message::assistant(reply), Message::user(question)]);
    messages
}

#[test]
fn greedy_replies_equal_the_oracles() {
    let tokenizer = MODEL.prompts().tokenizer();
    let ends = MODEL.prompts().end_tokens();
    let (mut decided, mut stopped) = (0, 0);
    for chat in test_support::oracle().chats {
        let said = say(&mut MODEL.session(), &messages(&chat), &most(chat.greedy_ids.len()));
        assert_eq!(said.reply.prompt_tokens, chat.prompt_ids.len(), "{}", chat.name);
        assert_eq!((said.reply.cached_tokens, said.reply.dropped_turns), (0, 0));
        assert!(!said.text.contains("<|"), "{:?}", said.text);
        stopped += usize::from(said.reply.finish == Finish::Stop);
        let sure = chat.greedy_margins.iter().position(|margin| *margin < 0.5);
        let sure = &chat.greedy_ids[..sure.unwrap_or(chat.greedy_ids.len())];
        decided += sure.len();
        let visible: Vec<u32> = sure.iter().copied().filter(|id| !ends.contains(id)).collect();
        // the last character may be a part of one only
        let expected = text_of(tokenizer, &visible);
        let expected = expected.trim_end_matches('\u{fffd}');
        assert!(said.text.starts_with(expected), "{}: {:?} lacks {expected:?}", chat.name, said.text);
        if sure.len() == chat.greedy_ids.len() {
            assert_eq!(said.text, expected, "{}", chat.name);
        }
        let same = said.text.bytes().zip(chat.greedy_text.bytes()).take_while(|(a, b)| a == b).count();
        println!("{}: {same} of {} bytes equal", chat.name, chat.greedy_text.len());
    }
    assert!(decided > 20 && stopped > 1, "{decided} decided tokens, {stopped} replies ended by the model");
}

#[test]
fn guessing_ahead_changes_no_reply_and_no_cache() {
    let prose = &test_support::oracle().texts[0].text;
    let prose: String = prose.chars().take(700).collect();
    let list = "one two three four five six seven eight nine ten ".repeat(6);
    let tasks = [
        format!("Repeat this text word for word:\n\n{prose}"),
        format!("Continue this list:\n{list}"),
        "Write a C function that adds two numbers, then the same function for three numbers.".to_owned(),
    ];
    for task in tasks {
        let messages = vec![Message::user(task)];
        let drawn =
            SamplerOptions { temperature: 0.7, top_p: 0.9, seed: Some(3), ..SamplerOptions::default() };
        let cases = [
            (vec![], SamplerOptions::default()),
            (vec![" the".to_owned()], SamplerOptions::default()),
            (vec![], drawn),
        ];
        for (stop, sampler) in cases {
            let plain = Request { no_drafts: true, stop, sampler, ..most(70) };
            let ahead = Request { no_drafts: false, ..plain.clone() };
            let (mut one, mut other) = (MODEL.session(), MODEL.session());
            let (want, got) = (say(&mut one, &messages, &plain), say(&mut other, &messages, &ahead));
            assert_eq!((&got.text, got.reply.finish), (&want.text, want.reply.finish));
            assert_eq!(got.reply.completion_tokens, want.reply.completion_tokens);
            // what was guessed and not chosen is not in the cache
            let next = then(messages.clone(), &want.text, "Thanks. Once more?");
            let (want, got) = (say(&mut one, &next, &plain), say(&mut other, &next, &ahead));
            assert_eq!(got.text, want.text);
            if MODEL.place().isa != "amx" {
                // there it depends on the time between
                assert_eq!(got.reply.cached_tokens, want.reply.cached_tokens);
            }
        }
    }
}

#[test]
fn a_second_turn_keeps_what_the_cache_holds() {
    let mut session = MODEL.session();
    let first = say(&mut session, &sky(), &most(12));
    assert_eq!((first.reply.finish, first.reply.completion_tokens), (Finish::Length, 12));
    assert_eq!(first.chunks.len(), first.chunks.iter().filter(|chunk| !chunk.text.is_empty()).count());
    let second = then(sky(), &first.text, "And at night?");
    let kept = say(&mut session, &second, &most(12));
    let fresh = say(&mut MODEL.session(), &second, &most(12));
    // all of the first prompt and all of the reply but its last token, which was never run
    let all = first.reply.prompt_tokens + 11;
    if MODEL.place().isa == "amx" {
        // as far as it was read again as a prompt, see the next test
        assert!((first.reply.prompt_tokens..=all).contains(&kept.reply.cached_tokens));
    } else {
        assert_eq!(kept.reply.cached_tokens, all);
    }
    assert_eq!(fresh.reply.cached_tokens, 0);
    assert_eq!((&kept.text, kept.reply.prompt_tokens), (&fresh.text, fresh.reply.prompt_tokens));
    // asked again, only the last token of the prompt is run
    let again = say(&mut session, &second, &most(12));
    assert_eq!((again.reply.cached_tokens, &again.text), (again.reply.prompt_tokens - 1, &fresh.text));
    session.reset();
    let anew = say(&mut session, &second, &most(12));
    assert_eq!((anew.reply.cached_tokens, &anew.text), (0, &fresh.text));
}

#[test]
fn a_reply_is_read_again_as_a_prompt_where_that_gives_other_bits() {
    let mut session = MODEL.session();
    let first = say(&mut session, &sky(), &most(80));
    let second = then(sky(), &first.text, "And at night?");
    let fresh = say(&mut MODEL.session(), &second, &most(12));
    // at once, and when there was time enough, which other tests may take
    let mut cached = 0;
    for wait in [0, 20, 200, 1_000, 5_000, 20_000] {
        thread::sleep(Duration::from_millis(wait));
        let kept = say(&mut session, &second, &most(12));
        assert_eq!(kept.text, fresh.text, "whatever was cached: {}", kept.reply.cached_tokens);
        cached = kept.reply.cached_tokens;
        if cached > first.reply.prompt_tokens {
            break;
        }
        session.reset();
        assert_eq!(say(&mut session, &sky(), &most(80)).text, first.text);
    }
    let reply = first.reply.completion_tokens - 1;
    println!("{} of {reply} tokens read again", cached - first.reply.prompt_tokens);
    assert!(cached > first.reply.prompt_tokens && cached <= first.reply.prompt_tokens + reply);
}

#[test]
fn a_cancel_is_heard_between_tokens() {
    let whole = say(&mut MODEL.session(), &sky(), &most(24));
    for leave in [false, true] {
        let (cancel, mut chunks) = (Cancel::default(), Vec::new());
        let mut session = MODEL.session();
        let reply = session.reply(&sky(), &most(24), &cancel, &mut |chunk| {
            chunks.push(chunk);
            match chunks.len() {
                5 if leave => ControlFlow::Break(()),
                5 => {
                    cancel.set();
                    ControlFlow::Continue(())
                }
                _ => ControlFlow::Continue(()),
            }
        });
        let said = checked(chunks, reply.unwrap(), &most(24));
        assert_eq!((said.reply.finish, said.chunks.len()), (Finish::Cancelled, 5), "leave: {leave}");
        assert!(whole.text.starts_with(&said.text) && said.text.len() < whole.text.len());
        // and the session is as good as before
        let next = say(&mut session, &sky(), &most(24));
        assert_eq!(next.text, whole.text);
    }
}

#[test]
fn a_reply_cancelled_beforehand_says_nothing() {
    let cancel = Cancel::default();
    cancel.set();
    let mut session = MODEL.session();
    let reply = session.reply(&sky(), &Request::default(), &cancel, &mut |chunk| panic!("{chunk:?}"));
    let reply = reply.unwrap();
    assert_eq!((reply.finish, reply.completion_tokens), (Finish::Cancelled, 0));
    assert_eq!(say(&mut session, &sky(), &most(4)).reply.cached_tokens, 0, "no part of the prompt was run");
}

#[test]
fn a_cancel_is_heard_between_prompt_chunks() {
    let long = vec![Message::user("The sea is wide and deep. ".repeat(700))];
    let (cancel, mut session) = (Cancel::default(), MODEL.session());
    let stop = cancel.clone();
    let timer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(250));
        stop.set();
    });
    let reply = session.reply(&long, &most(4), &cancel, &mut |chunk| panic!("{chunk:?}")).unwrap();
    timer.join().unwrap();
    assert_eq!((reply.finish, reply.completion_tokens), (Finish::Cancelled, 0));
    assert!(reply.prompt_tokens > 4000);
    // what the next reply finds in the cache tells where it stopped
    let cancel = Cancel::default();
    cancel.set();
    let next = session.reply(&long, &most(4), &cancel, &mut |chunk| panic!("{chunk:?}")).unwrap();
    println!("{} of {} prompt tokens run", next.cached_tokens, next.prompt_tokens);
    assert!(next.cached_tokens > 0 && next.cached_tokens < next.prompt_tokens - 1);
    assert!(next.cached_tokens.is_multiple_of(64));
}

#[test]
fn the_end_is_length_at_max_tokens_and_at_the_context() {
    let said = say(&mut MODEL.session(), &sky(), &most(0));
    assert_eq!((said.reply.finish, said.reply.completion_tokens), (Finish::Length, 0));
    let said = say(&mut MODEL.session(), &sky(), &most(7));
    assert_eq!((said.reply.finish, said.reply.completion_tokens), (Finish::Length, 7));
    let small = open(Some(80));
    let counting = [Message::user("Count from 1 to 100.")];
    let said = say(&mut small.session(), &counting, &Request::default());
    assert_eq!(said.reply.finish, Finish::Length);
    assert_eq!(said.reply.prompt_tokens + said.reply.completion_tokens, 80);
}

#[test]
fn a_stop_text_ends_it_and_is_not_shown() {
    let whole = say(&mut MODEL.session(), &sky(), &most(24)).text;
    // cut at characters, not at tokens: it begins and ends within words
    let middle: String = whole.chars().skip(whole.chars().count() / 2).take(9).collect();
    let at = whole.find(&middle).unwrap();
    let request = Request { stop: vec!["no such thing".into(), middle], ..most(24) };
    let said = say(&mut MODEL.session(), &sky(), &request);
    assert_eq!((said.reply.finish, said.text.as_str()), (Finish::Stop, &whole[..at]));
    assert!(said.reply.completion_tokens < 24);
    // the beginning of a stop text that never comes is handed on at the end
    let tail: String = whole.chars().skip(whole.chars().count() - 6).collect();
    let request = Request { stop: vec![tail + "\u{1}"], ..most(24) };
    assert_eq!(say(&mut MODEL.session(), &sky(), &request).text, whole);
}

#[test]
fn a_seed_makes_a_reply_repeatable() {
    let warm = |seed| Request {
        sampler: SamplerOptions { temperature: 1.0, seed: Some(seed), ..SamplerOptions::default() },
        ..most(24)
    };
    let text = |seed| say(&mut MODEL.session(), &sky(), &warm(seed)).text;
    let texts = [1, 2, 3].map(text);
    assert_eq!(texts, [1, 2, 3].map(text));
    assert!(texts[0] != texts[1] || texts[1] != texts[2], "{texts:?}");
}

#[test]
fn a_message_too_long_is_refused_with_both_counts() {
    let small = open(Some(128));
    let long = [Message::user("word ".repeat(300))];
    let (text, error) = fail(&mut small.session(), &long, &Request::default());
    let Error::Prompt(PromptError::TooLong { prompt_tokens, room, .. }) = error else { panic!("{error}") };
    assert_eq!((text.as_str(), room, error.code()), ("", 96, "context_length_exceeded"));
    assert!(prompt_tokens > 300);
    let message = error.to_string();
    assert!(message.contains(&prompt_tokens.to_string()) && message.contains("room 96"), "{message}");
}

#[test]
fn old_turns_are_dropped_when_the_context_is_small() {
    let small = open(Some(192));
    let mut conversation = vec![];
    for turn in 0..8 {
        conversation.push(Message::user(format!("Question {turn} about {}", "the sea and ".repeat(6))));
        conversation.push(Message::assistant("It is deep. ".repeat(4)));
    }
    conversation.push(Message::user("Is it blue?"));
    let said = say(&mut small.session(), &conversation, &most(4));
    let dropped = said.reply.dropped_turns;
    assert!((1..=8).contains(&dropped), "{dropped}");
    // the same as if they had never been said
    let rest = say(&mut small.session(), &conversation[dropped * 2..], &most(4));
    assert_eq!((rest.reply.dropped_turns, rest.reply.prompt_tokens), (0, said.reply.prompt_tokens));
    assert_eq!(rest.text, said.text);
    let request = Request { overflow: Overflow::Error, ..most(4) };
    let (_, error) = fail(&mut small.session(), &conversation, &request);
    assert!(matches!(error, Error::Prompt(PromptError::HistoryTooLong { room: 160, .. })), "{error}");
}

/// Two turns, `between` them.
fn two_turns(session: &mut Session, question: &str, between: &mut dyn FnMut()) -> [String; 2] {
    let first = vec![Message::user(question)];
    let said = say(session, &first, &most(12)).text;
    between();
    let second = say(session, &then(first, &said, "Say more."), &most(12));
    assert!(second.reply.cached_tokens > 12, "{}", second.reply.cached_tokens);
    [said, second.text]
}

#[test]
fn interleaved_sessions_do_not_meet() {
    let questions = ["Why is the sky blue?", "Why is the grass green?"];
    let alone = questions.map(|question| two_turns(&mut MODEL.session(), question, &mut || {}));
    let mut other = None;
    let mixed = two_turns(&mut MODEL.session(), questions[0], &mut || {
        other = Some(two_turns(&mut MODEL.session(), questions[1], &mut || {}));
    });
    assert_eq!([mixed, other.unwrap()], alone);
    let together = questions
        .map(|question| thread::spawn(move || two_turns(&mut MODEL.session(), question, &mut || {})))
        .map(|thread| thread.join().unwrap());
    assert_eq!(together, alone);
}

#[test]
fn eight_replies_at_once_are_what_each_is_alone_and_a_cancelled_one_holds_nobody_up() {
    let questions: Vec<_> = (0..8).map(|n| vec![Message::user(format!("Count up from {n}."))]).collect();
    let alone: Vec<_> = questions.iter().map(|q| say(&mut MODEL.session(), q, &most(16)).text).collect();
    thread::scope(|scope| {
        let leaver = scope.spawn(|| {
            let (cancel, mut chunks) = (Cancel::default(), 0);
            let reply = MODEL.session().reply(&sky(), &most(400), &cancel, &mut |_| {
                chunks += 1;
                if chunks == 3 {
                    cancel.set();
                }
                ControlFlow::Continue(())
            });
            reply.unwrap().finish
        });
        let replies: Vec<_> = questions
            .iter()
            .map(|question| scope.spawn(|| say(&mut MODEL.session(), question, &most(16)).text))
            .collect();
        let together: Vec<_> = replies.into_iter().map(|reply| reply.join().unwrap()).collect();
        assert_eq!(together, alone);
        assert_eq!(leaver.join().unwrap(), Finish::Cancelled);
    });
}

#[test]
fn a_text_is_gone_on_with_as_it_stands() {
    let mut session = MODEL.session();
    let mut complete = |text: &str, request: &Request| {
        let mut chunks = Vec::new();
        let reply = session.complete(text, request, &Cancel::default(), &mut |chunk| {
            chunks.push(chunk);
            ControlFlow::Continue(())
        });
        reply.map(|reply| checked(chunks, reply, request))
    };
    let said = complete("The capital of France is", &most(4)).unwrap();
    assert!(said.text.contains("Paris"), "{:?}", said.text);
    assert_eq!(said.reply.prompt_tokens, MODEL.count_tokens("The capital of France is").unwrap());
    // a control token that it spells is ordinary text
    let spelled = complete("<|im_start|>user", &most(1)).unwrap();
    assert!(spelled.reply.prompt_tokens > 3, "{}", spelled.reply.prompt_tokens);
    let empty = complete("", &most(1)).unwrap_err();
    assert_eq!(empty.code(), "invalid_messages");
    let long = complete(&"word ".repeat(9000), &most(1)).unwrap_err();
    assert_eq!(long.counts(), Some((9001, 8192 - 128)), "{long}");
}

#[test]
fn the_likelihood_of_each_token_is_told() {
    let request = Request { logprobs: Some(3), ..most(12) };
    let told = say(&mut MODEL.session(), &sky(), &request);
    assert_eq!(told.text, say(&mut MODEL.session(), &sky(), &most(12)).text);
    let steps: Vec<_> = told.chunks.iter().flat_map(|chunk| &chunk.steps).collect();
    assert_eq!(steps.len(), told.reply.completion_tokens);
    let bytes: Vec<u8> = steps.iter().flat_map(|step| step.chosen.bytes.clone()).collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), told.text);
    for step in steps {
        // greedy: what was chosen is the likeliest
        assert_eq!((step.top.len(), &step.top[0]), (3, &step.chosen));
        assert!(step.chosen.logprob < 0.0 && step.top[1].logprob <= step.top[0].logprob);
        assert!(step.top.iter().map(|token| token.logprob.exp()).sum::<f64>() <= 1.0 + 1e-9);
    }
}

#[test]
fn tokens_become_text_again() {
    let text = "Ça va? <|im_end|> 😀";
    let ids = MODEL.tokenize(text).unwrap();
    assert_eq!(MODEL.detokenize(&ids).unwrap(), text);
    let end = MODEL.prompts().tokenizer().added_id("<|im_end|>").unwrap();
    assert!(!ids.contains(&end));
    assert_eq!(MODEL.detokenize(&[end]).unwrap(), "<|im_end|>");
    assert_eq!(MODEL.detokenize(&[u32::MAX]).unwrap_err().code(), "unknown_token");
    let rendered = MODEL.render(&sky()).unwrap();
    assert!(rendered.ends_with("<|im_start|>user\nWhy is the sky blue?<|im_end|>\n<|im_start|>assistant\n"));
}
